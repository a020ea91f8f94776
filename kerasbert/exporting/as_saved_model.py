"""TensorFlow's SavedModel, which TensorFlow Serving and each language of TensorFlow's reads."""

from pathlib import Path

import keras
import tensorflow as tf

from kerasbert.exporting.checking import Call

_SIGNATURE = "serving_default"


def write(model: keras.Model, path: Path) -> None:
    """Write a model's answers, without dropout, as a directory."""
    model.export(path, format="tf_saved_model", verbose=False)


def load(path: Path) -> Call:
    """Read what `write` wrote, with TensorFlow alone."""
    model = tf.saved_model.load(str(path))
    answer = model.signatures[_SIGNATURE]

    def call(batch):
        outputs = answer(**{name: tf.constant(values) for name, values in batch.items()})
        return {name: values.numpy() for name, values in outputs.items()}

    call.model = model  # whose variables go when nobody holds it
    return call
