"""The one table of tasks: what the output layer is, what is minimised, how a decision is made.

Whoever needs to know how multilabel differs from multiclass asks `TASKS[name]`.
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import numpy as np

# What the targets of a multilabel example hold where its cell was empty.
UNKNOWN = -1.0
# The decision for a class where no class is probable enough.
UNSURE = -1


@dataclasses.dataclass(frozen=True)
class Task:
    """One row of the table.

    Attributes:
        activation: of the output layer, which is named after it.
        loss: `"crossentropy"` over classes, `"binary_crossentropy"` per label with `UNKNOWN`
            masked out, or `"mean_squared_error"`.
        min_labels: fewest output columns that make sense.
        max_labels: most of them.
        decide: outputs of shape (examples, labels) and thresholds of shape (labels,) to decisions:
            class numbers (examples,), 0 or 1 per label (examples, labels), or scores (examples,).
    """

    name: str
    activation: str
    loss: str
    min_labels: int
    max_labels: float
    decide: Callable[[np.ndarray, Sequence[float] | None], np.ndarray]


def _decide_binary(outputs: np.ndarray, thresholds: Sequence[float] | None) -> np.ndarray:
    # Two softmax columns; the threshold is that of the second label, the positive one.
    return _reaches(outputs[:, 1], _threshold_array(thresholds, 2)[1])


def _decide_multiclass(outputs: np.ndarray, thresholds: Sequence[float] | None) -> np.ndarray:
    # Without thresholds the most probable class wins, with them the largest multiple of its own.
    ratios = outputs if thresholds is None else outputs / np.asarray(thresholds)
    return ratios.argmax(axis=1).astype(np.int32)


def _decide_multilabel(outputs: np.ndarray, thresholds: Sequence[float] | None) -> np.ndarray:
    return _reaches(outputs, _threshold_array(thresholds, outputs.shape[1]))


def _decide_regression(outputs: np.ndarray, thresholds: Sequence[float] | None) -> np.ndarray:
    return outputs[:, 0]


def _reaches(probabilities: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    # A threshold of 1 is never reached, though float32 rounds what is nearly 1 to it.
    return ((probabilities >= thresholds) & (thresholds < 1)).astype(np.int32)


def _threshold_array(thresholds: Sequence[float] | None, num_labels: int) -> np.ndarray:
    return np.full(num_labels, 0.5) if thresholds is None else np.asarray(thresholds)


TASKS = {
    task.name: task
    for task in (
        Task("binary", "softmax", "crossentropy", 2, 2, _decide_binary),
        Task("multiclass", "softmax", "crossentropy", 2, math.inf, _decide_multiclass),
        Task("multilabel", "sigmoid", "binary_crossentropy", 1, math.inf, _decide_multilabel),
        Task("regression", "linear", "mean_squared_error", 1, 1, _decide_regression),
    )
}
