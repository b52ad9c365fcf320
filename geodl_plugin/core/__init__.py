"""What GeoDL computes, free of QGIS."""
