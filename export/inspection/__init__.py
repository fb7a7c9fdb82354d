"""The contents of an ONNX file: its layers, parameters, MACs, bytes and precision."""
