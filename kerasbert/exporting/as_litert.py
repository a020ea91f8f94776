"""LiteRT, once TensorFlow Lite, for phones, small machines and C++."""

import os
import re
from pathlib import Path

import keras
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from kerasbert.exporting.checking import Call
from kerasbert.exporting.graph import input_signature


def write(model: keras.Model, path: Path, **settings) -> None:
    """Write a model's answers, without dropout, as a file; `settings` are of the converter."""
    signature = input_signature(model)
    model.export(path, format="litert", verbose=False, input_signature=signature, **settings)


def load(path: Path) -> Call:
    """Read what `write` wrote, with LiteRT's interpreter alone."""
    interpreter = Interpreter(str(path), num_threads=os.cpu_count())
    try:
        interpreter.allocate_tensors()
    except RuntimeError as error:
        # Keras lets the converter leave operations to TensorFlow, which the interpreter is without.
        if missing := re.search(r"\(Flex(\w+)\)", str(error)):
            raise RuntimeError(f"the interpreter has no operation {missing[1]}") from error
        raise
    answer = interpreter.get_signature_runner()

    def call(batch):
        return answer(**batch)  # sizes of the tensors follow those of the batch

    return call


def quantize(model: keras.Model, plain: Path, path: Path) -> None:
    """Weights of eight bits, a scale per column; what they are multiplied with is rounded anew."""
    write(model, path, optimizations=[tf.lite.Optimize.DEFAULT])
