"""From a raster and a model to boxes, class rasters and labelled features."""
