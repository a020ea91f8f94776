"""TensorFlow's SavedModel, which TensorFlow Serving and each language of TensorFlow's reads."""

from pathlib import Path

import keras
import tensorflow as tf

from kerasbert.exporting.checking import Call
from kerasbert.exporting.graph import input_signature, traced

_SIGNATURE = "serving_default"


def write(model: keras.Model, path: Path) -> None:
    """Write a model's answers, without dropout, as a directory."""
    # Not `model.export`, which keeps each weight twice: as Keras's variable, and as TensorFlow's.
    archive = keras.export.ExportArchive()

    archive.add_endpoint("serve", traced(model), input_signature=input_signature(model))
    archive.write_out(path, verbose=False)


def load(path: Path) -> Call:
    """Read what `write` wrote, with TensorFlow alone."""
    model = tf.saved_model.load(str(path))
    answer = model.signatures[_SIGNATURE]

    def call(batch):
        outputs = answer(**{name: tf.constant(values) for name, values in batch.items()})
        return {name: values.numpy() for name, values in outputs.items()}

    call.model = model  # whose variables go when nobody holds it
    return call
