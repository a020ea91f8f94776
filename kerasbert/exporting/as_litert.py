"""LiteRT, once TensorFlow Lite, for phones, small machines and C++."""

import re
from pathlib import Path

import keras
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from kerasbert import _runtime
from kerasbert.exporting.checking import Call
from kerasbert.exporting.graph import input_signature


def write(model: keras.Model, path: Path, **settings) -> None:
    """Write a model's answers, without dropout, as a file; `settings` are of the converter."""
    # Keras lets in operations of TensorFlow's own, too, which the interpreter does not have.
    settings |= {"target_spec": {"supported_ops": [tf.lite.OpsSet.TFLITE_BUILTINS]}}
    signature = input_signature(model)
    try:
        model.export(path, format="litert", verbose=False, input_signature=signature, **settings)
    except Exception as error:  # the converter's own is not public
        missing = sorted(set(re.findall(r"'tf\.(\w+)' op is neither", str(error))))
        if not missing:
            raise
        raise RuntimeError(f"LiteRT has no operation for {', '.join(missing)}") from error


def load(path: Path) -> Call:
    """Read what `write` wrote, with LiteRT's interpreter alone."""
    with _runtime.closed_stderr():  # its C++ greets when it allocates first
        interpreter = Interpreter(str(path), num_threads=_runtime.num_cores())
        interpreter.allocate_tensors()
    answer = interpreter.get_signature_runner()

    def call(batch):
        return answer(**batch)  # sizes of the tensors follow those of the batch

    return call


def quantize(model: keras.Model, _plain: Path, path: Path) -> None:
    """Weights of eight bits, a scale per column; what they multiply is rounded, a scale per row."""
    write(model, path, optimizations=[tf.lite.Optimize.DEFAULT])
