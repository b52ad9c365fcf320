"""Model definitions (.emd) and packages (.dlpk)."""
