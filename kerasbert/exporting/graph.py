"""What is exported: the classifier without LoRA's matrices, and with its calibration."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from kerasbert.data.calibration import EPSILON, Calibration
from kerasbert.data.labels import Labels
from kerasbert.models.lora import merge_lora
from kerasbert.run import Run

UNCALIBRATED = "uncalibrated"


def output_names(labels: Labels) -> list[str]:
    """Names of what an exported model answers; what is decided by is the first."""
    names = ["scores" if labels.task == "regression" else "probabilities"]
    return names if labels.calibration is None else [*names, UNCALIBRATED]


def exported_model(run: Run) -> keras.Model:
    """The model that answers as `Classifier.outputs` does.

    Returns:
        A model from the run's inputs to a dict: `probabilities` or, for regression, `scores`, and,
        where a calibration corrects the probabilities, `uncalibrated`, the model's own; float32 of
        shape (batch, labels).
    """
    model, _ = merge_lora(run.model, run.config)
    answers = [model.output]
    if run.labels.calibration is not None:
        corrected = Calibrated(run.labels.calibration, run.labels.task != "multilabel")
        answers.insert(0, corrected(model.output))
    outputs = dict(zip(output_names(run.labels), answers, strict=True))
    return keras.Model(model.input, outputs, name="classifier")


def input_signature(model: keras.Model) -> list[dict[str, keras.InputSpec]]:
    """What the model reads, batch and length free, as Keras's exports take it."""
    specs = {
        tensor.name: keras.InputSpec(tensor.dtype, tensor.shape, name=tensor.name)
        for tensor in model.inputs
    }
    return [specs]


def traced(model: keras.Model) -> tf.types.experimental.PolymorphicFunction:
    """The model's answers, without dropout, as a function of TensorFlow's."""
    # Keras's own exports leave out AutoGraph, without which DeBERTa's class cannot be traced.
    return tf.function(lambda inputs: model(inputs, training=False))


class Calibrated(keras.layers.Layer):
    """`kerasbert.data.calibration.Calibration` as a part of the graph.

    Args:
        calibration: what corrects the probabilities.
        is_softmax: whether they come of a softmax.
    """

    def __init__(self, calibration: Calibration, is_softmax: bool):
        super().__init__(dtype="float32", name="calibrated")
        self._calibration = calibration
        self._is_softmax = is_softmax

    def call(self, outputs):
        if self._calibration.method == "temperature":
            return self._divided_by_temperatures(outputs)
        if self._is_softmax and self._calibration.num_parts == 1:  # binary
            second = _on_curves(outputs[:, 1:], self._calibration.curves)
            return ops.concatenate([1 - second, second], axis=1)
        corrected = _on_curves(outputs, self._calibration.curves)
        return _shares(corrected) if self._is_softmax else corrected

    def _divided_by_temperatures(self, outputs):
        # Not powers, which are too small for float32 where many labels share what there is.
        temperatures = np.array(self._calibration.temperatures, np.float32)
        logarithms = ops.log(ops.maximum(outputs, EPSILON))
        if self._is_softmax:
            return ops.softmax(logarithms / temperatures, axis=1)
        others = ops.log(ops.maximum(1 - outputs, EPSILON))
        return ops.sigmoid((logarithms - others) / temperatures)

    def compute_output_shape(self, shape):
        return shape


def _shares(values):
    return values / ops.maximum(ops.sum(values, axis=1, keepdims=True), EPSILON)


def _on_curves(outputs, curves):
    """`np.interp` of each column: where its curve begins, and the share of each rise passed."""
    most = max(len(before) for before, _ in curves)
    # Curves of fewer bends end in rises of 0.
    before, after = (
        np.stack(
            [np.pad(curve[part], (0, most - len(curve[part])), mode="edge") for curve in curves]
        )
        for part in (0, 1)
    )
    starts, rises = before[:, :-1].astype(np.float32), np.diff(after).astype(np.float32)
    widths = np.maximum(np.diff(before), np.finfo(np.float32).tiny).astype(np.float32)
    # outputs (batch, labels, 1) against (labels, bends - 1)
    passed = ops.clip((ops.expand_dims(outputs, 2) - starts) / widths, 0.0, 1.0)
    return after[:, 0].astype(np.float32) + ops.sum(passed * rises, axis=2)
