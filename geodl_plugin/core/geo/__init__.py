"""Windows, rasters and vectors."""
