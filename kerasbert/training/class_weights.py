"""How much an example of each class counts."""

import numpy as np
from sklearn.utils.class_weight import compute_class_weight

from kerasbert.config_train import ObjectiveConfig
from kerasbert.data.labels import Labels
from kerasbert.errors import InputError, did_you_mean
from kerasbert.tasks import UNKNOWN


def class_weights(
    objective: ObjectiveConfig, labels: Labels, targets: np.ndarray
) -> np.ndarray | None:
    """The weights that `objective.class_weight` asks for; None where all count alike.

    `"balanced"` weighs a class by the inverse of its share, so that each class counts as much as
    any other, and the mean weight of an example is 1 (King and Zeng, 2001, as in scikit-learn).

    Args:
        objective: none, balanced, or weights by name.
        labels: of the training data.
        targets: of the training examples, from `labels.encode`.

    Returns:
        Shape (classes,), or, for multilabel, (labels, 2): of a 0 and of a 1 of each label.

    Raises:
        InputError: a name that is no class, or weights for regression.
    """
    if objective.class_weight == "none":
        return None
    if labels.task == "regression":
        raise InputError("Regression has no classes to weigh. Leave --class-weight out.")
    if objective.class_weight == "balanced":
        if labels.task != "multilabel":
            return _balanced(targets, len(labels.names))
        return np.array([_balanced(c[c != UNKNOWN].astype(int), 2) for c in targets.T])
    given = objective.weights_by_name()
    if unknown := [name for name in given if name not in labels.names]:
        raise InputError(
            f"--class-weight names {unknown[0]!r}, which is no label."
            f"{did_you_mean(unknown[0], labels.names)} Expected some of "
            f"{', '.join(map(repr, labels.names[:20]))}."
        )
    weights = np.array([given.get(name, 1.0) for name in labels.names])
    if not weights.any():
        raise InputError("--class-weight gives every class the weight 0. Expected one above it.")
    if labels.task == "multilabel":
        return np.stack([np.ones_like(weights), weights], axis=1)
    return weights


def _balanced(classes: np.ndarray, num_classes: int) -> np.ndarray:
    present = np.unique(classes)
    weights = np.ones(num_classes)  # a class that no example has weighs nothing anyway
    if len(present):
        weights[present] = compute_class_weight("balanced", classes=present, y=classes)
    return weights
