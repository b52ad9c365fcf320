"""Models written for other programs: ONNX, OpenVINO, ArcGIS."""
