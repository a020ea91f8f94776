"""What stands in a file of predictions: names of columns, and cells as words."""

import numpy as np

from kerasbert.data.labels import Labels


def prediction_columns(labels: Labels) -> list[str]:
    """`prediction`, and a `probability_LABEL` per label where the task has any."""
    if labels.task == "regression":
        return ["prediction"]
    return ["prediction", *(f"probability_{name}" for name in labels.names)]


def prediction_cells(labels: Labels, outputs: np.ndarray) -> list[list[str]]:
    """One row of cells per text, in the order of `prediction_columns`.

    Args:
        labels: what the outputs mean, with the thresholds that decide.
        outputs: probabilities, or scores, of shape (texts, labels).

    Returns:
        The decision (for multilabel the names, with | between them; empty for "don't know"; for
        regression the score) and
        the probabilities, with six places.
    """
    decisions = labels.decode(outputs)
    if labels.task == "regression":
        return [[repr(score)] for score in decisions]
    if labels.task == "multilabel":
        decisions = ["|".join(names) for names in decisions]
    decisions = ["" if decision is None else decision for decision in decisions]
    return [
        [decision, *(f"{value:.6f}" for value in row)]
        for decision, row in zip(decisions, outputs, strict=True)
    ]
