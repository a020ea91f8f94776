"""What training minimises, per task."""

import keras
from keras import ops

from kerasbert.tasks import TASKS, UNKNOWN


@keras.saving.register_keras_serializable("kerasbert")
class MaskedBinaryCrossentropy(keras.losses.Loss):
    """Mean binary cross-entropy over the known cells of (batch, labels).

    A cell of `y_true` that is `UNKNOWN` adds nothing, neither to the sum nor to the count.
    """

    def call(self, y_true, y_pred):
        known = ops.cast(ops.not_equal(y_true, UNKNOWN), y_pred.dtype)
        losses = ops.binary_crossentropy(y_true * known, y_pred)
        # Keras averages over all cells; the division makes that the mean over the known ones.
        return losses * known / ops.maximum(ops.mean(known), keras.config.epsilon())


def build_loss(task: str) -> keras.losses.Loss:
    """The loss of a task, on the model's outputs (probabilities or scores)."""
    return {
        "crossentropy": keras.losses.SparseCategoricalCrossentropy,
        "binary_crossentropy": MaskedBinaryCrossentropy,
        "mean_squared_error": keras.losses.MeanSquaredError,
    }[TASKS[task].loss]()
