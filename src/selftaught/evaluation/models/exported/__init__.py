"""Models of fit as ONNX programs that take images as they are."""
