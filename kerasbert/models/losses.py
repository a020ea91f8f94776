"""What training minimises, per task."""

import keras
import numpy as np
from keras import ops

from kerasbert.config_train import ObjectiveConfig
from kerasbert.errors import InputError
from kerasbert.tasks import TASKS, UNKNOWN


@keras.saving.register_keras_serializable("kerasbert")
class ClassLoss(keras.losses.Loss):
    """Cross-entropy of class numbers (batch,) and probabilities (batch, classes).

    Args:
        class_weights: how much an example of each class counts, shape (classes,); None for 1.
        gamma: an example counts less by the factor (1 - probability of its class) to this power
            (Lin et al., "Focal Loss for Dense Object Detection", 2017); 0 for none.
        label_smoothing: share of a target's certainty that is spread over the classes, 0 to 1.
    """

    def __init__(self, class_weights=None, gamma=0.0, label_smoothing=0.0, **kwargs):
        super().__init__(**kwargs)
        self.class_weights, self.gamma = class_weights, gamma
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        classes = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        truth = ops.one_hot(classes, y_pred.shape[-1], dtype=y_pred.dtype)  # (batch, classes)
        if self.gamma:
            losses = keras.losses.categorical_focal_crossentropy(
                truth, y_pred, alpha=1.0, gamma=self.gamma, label_smoothing=self.label_smoothing
            )
        else:
            losses = keras.losses.categorical_crossentropy(
                truth, y_pred, label_smoothing=self.label_smoothing
            )
        if self.class_weights is None:
            return losses  # (batch,)
        return losses * ops.take(ops.convert_to_tensor(self.class_weights, y_pred.dtype), classes)

    def get_config(self):
        return {
            **super().get_config(),
            "class_weights": None if self.class_weights is None else list(self.class_weights),
            "gamma": self.gamma,
            "label_smoothing": self.label_smoothing,
        }


@keras.saving.register_keras_serializable("kerasbert")
class LabelLoss(keras.losses.Loss):
    """Mean binary cross-entropy over the known cells of (batch, labels).

    A cell of `y_true` that is `UNKNOWN` adds nothing, neither to the sum nor to the count.

    Args:
        label_weights: how much a 0 and a 1 of each label count, shape (labels, 2); None for 1.
        gamma: as in `ClassLoss`.
        label_smoothing: share of a target's certainty that is spread over 0 and 1, 0 to 1.
    """

    def __init__(self, label_weights=None, gamma=0.0, label_smoothing=0.0, **kwargs):
        super().__init__(**kwargs)
        self.label_weights, self.gamma = label_weights, gamma
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        known = ops.cast(ops.not_equal(y_true, UNKNOWN), y_pred.dtype)
        truth = y_true * known
        # Keras averages over the last axis; with one cell in it, nothing is averaged yet.
        cells = truth[..., None], y_pred[..., None]
        if self.gamma:
            losses = keras.losses.binary_focal_crossentropy(
                *cells, gamma=self.gamma, label_smoothing=self.label_smoothing
            )
        else:
            losses = keras.losses.binary_crossentropy(*cells, label_smoothing=self.label_smoothing)
        if self.label_weights is not None:
            weights = ops.convert_to_tensor(self.label_weights, y_pred.dtype)  # (labels, 2)
            losses = losses * (truth * weights[:, 1] + (1 - truth) * weights[:, 0])
        # Keras averages over the examples; the division makes that the mean over the known cells.
        losses = ops.mean(losses * known, axis=-1)  # (batch,), as weights of examples are
        return losses / ops.maximum(ops.mean(known), keras.config.epsilon())

    def get_config(self):
        weights = self.label_weights
        return {
            **super().get_config(),
            "label_weights": None if weights is None else np.asarray(weights).tolist(),
            "gamma": self.gamma,
            "label_smoothing": self.label_smoothing,
        }


def build_loss(
    task: str, objective: ObjectiveConfig | None = None, weights: np.ndarray | None = None
) -> keras.losses.Loss:
    """The loss of a task, on the model's outputs (probabilities or scores).

    Args:
        task: a key of `kerasbert.tasks.TASKS`.
        objective: focal loss and label smoothing.
        weights: how much each class counts, shape (classes,); for multilabel how much a 0 and a 1
            of each label do, shape (labels, 2).

    Raises:
        InputError: regression with what only classes have.
    """
    objective = objective or ObjectiveConfig()
    gamma = objective.focal_gamma if objective.loss == "focal" else 0.0
    if task == "regression":
        if gamma or objective.label_smoothing or weights is not None:
            raise InputError(
                "Regression has no classes, so it takes neither --loss focal nor "
                "--label-smoothing nor --class-weight. Leave them out."
            )
        return keras.losses.MeanSquaredError()
    kind = LabelLoss if TASKS[task].loss == "binary_crossentropy" else ClassLoss
    return kind(weights, gamma, objective.label_smoothing)


def accuracy_metric(task: str) -> keras.metrics.Metric:
    """Share of examples that are right; for multilabel, of known cells, at a cut-off of 0.5."""
    if task == "multilabel":
        return _CellAccuracy(name="accuracy")
    return keras.metrics.SparseCategoricalAccuracy(name="accuracy")


class _CellAccuracy(keras.metrics.Mean):
    def update_state(self, y_true, y_pred, sample_weight=None):
        known = ops.cast(ops.not_equal(y_true, UNKNOWN), y_pred.dtype)  # (batch, labels)
        right = ops.equal(y_true, ops.cast(y_pred >= 0.5, y_true.dtype))
        super().update_state(ops.cast(right, y_pred.dtype), sample_weight=known)
