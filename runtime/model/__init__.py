"""An ONNX file: reading its metadata, verifying it, and predicting with it."""
