"""ONNX, which onnxruntime runs on most machines and from most languages."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
import tf2onnx
from onnxruntime.quantization import QuantType, quantize_dynamic
from tf2onnx.handler import tf_op

from kerasbert.exporting.checking import Call
from kerasbert.exporting.graph import traced

# Of a session's messages, those of errors.
_ERRORS = 3


@tf_op("Erfc")
class _Erfc:
    """1 - erf, by which TensorFlow computes GELU, and which tf2onnx does not know (1.17)."""

    @classmethod
    def version_9(cls, graph, node, **_):
        dtype = graph.get_dtype(node.output[0])
        shape, outputs = graph.get_shape(node.output[0]), node.output
        one = graph.make_const(
            f"{node.name}/one", np.ones((), onnx.helper.tensor_dtype_to_np_dtype(dtype))
        )
        erf = graph.make_node("Erf", node.input, name=f"{node.name}/erf")
        graph.remove_node(node.name)
        graph.make_node(
            "Sub",
            [one.output[0], erf.output[0]],
            name=node.name,
            outputs=outputs,
            shapes=[shape],
            dtypes=[dtype],
        )


def write(model: keras.Model, path: Path) -> None:
    """Write a model's answers, without dropout, as a file."""
    with _quiet():
        specs = {
            tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype, tensor.name)
            for tensor in model.inputs
        }
        tf2onnx.convert.from_function(traced(model), [specs], output_path=str(path))
    graph = onnx.load(path)
    for tensor in (*graph.graph.input, *graph.graph.output):
        for number, dimension in enumerate(tensor.type.tensor_type.shape.dim):
            if not dimension.dim_value:  # it is free, by a name that says nothing
                dimension.dim_param = ("batch", "length")[number]
    onnx.save(graph, path)


def load(path: Path) -> Call:
    """Read what `write` wrote, with onnxruntime alone."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]

    def call(batch):
        return dict(zip(names, session.run(names, batch), strict=True))

    return call


def quantize(_model: keras.Model, plain: Path, path: Path) -> None:
    """Weights of eight bits, a scale per column; what they multiply is rounded, a scale per batch.

    So a text's answer depends a little on what else is in its batch, padding included.
    """
    with _quiet():
        # Within seven of the bits: processors without VNNI add products of bytes two by two in
        # sixteen bits, where those of eight may overflow.
        quantize_dynamic(
            plain, path, per_channel=True, reduce_range=True, weight_type=QuantType.QInt8
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what the converters say to their developers."""
    loggers = [logging.getLogger(name) for name in ("tf2onnx", "tf2onnx.tf_loader", "root")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
