"""ONNX files: reading, verifying and timing them, and predicting with them."""
