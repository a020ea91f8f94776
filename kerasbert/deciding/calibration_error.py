"""How far probabilities are from what happens: the expected calibration error."""

import numpy as np

from kerasbert.data.labels import Labels
from kerasbert.tasks import UNKNOWN


def expected_calibration_error(
    labels: Labels, targets: np.ndarray, outputs: np.ndarray, num_bins: int = 15
) -> float | None:
    """The mean distance of a probability from how often it comes true.

    Probabilities are put into equally wide bins. In each, their mean is compared with the share
    that came true; a bin counts as its number of examples does (Guo et al., 2017,
    https://arxiv.org/abs/1706.04599). For binary these are the probabilities of the second label;
    for multiclass those of the most probable class, thresholds aside; for multilabel each label
    has an error of its own, over its known cells, and their mean is given.

    Args:
        labels: what the columns mean.
        targets: of n examples, from `labels.encode`.
        outputs: probabilities of shape (n, labels).
        num_bins: how many bins there are between 0 and 1.

    Returns:
        From 0, which is best, to 1; None for regression, and where no example is known.
    """
    errors = [
        _binned_error(probabilities, is_true, num_bins)
        for _, probabilities, is_true in predicted_events(labels, targets, outputs)
        if len(probabilities)
    ]
    return float(np.mean(errors)) if errors else None


def predicted_events(
    labels: Labels, targets: np.ndarray, outputs: np.ndarray
) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """What the probabilities are probabilities of, as `expected_calibration_error` has it.

    Args:
        labels: what the columns mean.
        targets: of n examples, from `labels.encode`.
        outputs: probabilities of shape (n, labels).

    Returns:
        Per event its name, the probabilities of its known examples, and whether it came true in
        each. Multilabel has an event per label, binary and multiclass have one, regression none.
    """
    if labels.task == "regression":
        return []
    if labels.task == "binary":
        return [(labels.names[1], outputs[:, 1], targets == 1)]
    if labels.task == "multiclass":
        return [("the most probable class", outputs.max(axis=1), outputs.argmax(axis=1) == targets)]
    known = targets != UNKNOWN  # (n, labels)
    return [
        (name, outputs[known[:, column], column], targets[known[:, column], column] == 1)
        for column, name in enumerate(labels.names)
    ]


def _binned_error(probabilities: np.ndarray, is_true: np.ndarray, num_bins: int) -> float:
    bins = np.minimum((probabilities * num_bins).astype(np.int64), num_bins - 1)
    # Sums of what was said and of what happened; divided by n they are shares of all examples.
    said = np.bincount(bins, probabilities.astype(np.float64), minlength=num_bins)
    happened = np.bincount(bins, is_true, minlength=num_bins)
    return float(np.abs(said - happened).sum() / len(probabilities))
