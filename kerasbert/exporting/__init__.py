"""A saved run for other runtimes: TensorFlow's SavedModel, ONNX, LiteRT."""
