"""What is in an ONNX file: its layers, parameters, MACs, bytes and precision."""
