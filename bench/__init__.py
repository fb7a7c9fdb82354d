"""ONNX files to their cost beside their accuracy."""
