"""Whether outputs put the rows in an order that has to do with their labels."""

import math

import numpy as np
from sklearn.metrics import roc_auc_score

from kerasbert.tasks import UNKNOWN

# A standard error above it would hide a ranking that is good for something: 0.6 is 2 of them above
# chance. For 200 rows, half of them of each kind, it is 0.041; the rarer kind needs about 35 rows.
LARGEST_ERROR = 0.05
# Random weights over a pretrained base gave areas of 0.35 to 0.65.
_WELL = 0.7
# So that 2 / sqrt(n), which chance stays within, is at most 0.2.
FEWEST_SCORES = 100


def areas(task: str, outputs: np.ndarray, targets: np.ndarray) -> list[tuple[float, float]]:
    """The ROC AUC of each label that has both kinds of row, and its standard error at chance.

    With m rows of a kind and n of the other, the area is Mann and Whitney's U divided by m n, and
    that of ranks by chance has the variance (m + n + 1) / (12 m n) (Mann and Whitney, 1947).
    """
    found = []
    for column in [1] if task == "binary" else range(outputs.shape[1]):
        truth = targets[:, column] if task == "multilabel" else targets == column
        known = truth != UNKNOWN
        truth = truth[known] == 1
        m, n = int(truth.sum()), int((~truth).sum())
        if m and n:
            area = float(roc_auc_score(truth, outputs[known, column]))
            found.append((area, math.sqrt((m + n + 1) / (12 * m * n))))
    return found


def ranks_nothing(task: str, outputs: np.ndarray, targets: np.ndarray) -> bool:
    """Whether the rows are enough to tell, and no label stands out by 3 standard errors."""
    if task != "regression":
        found = areas(task, outputs, targets)
        is_known = any(error <= LARGEST_ERROR for _, error in found)
        return is_known and not any(area - 0.5 > 3 * error for area, error in found)
    scores = outputs[:, 0]
    if len(scores) < FEWEST_SCORES or not np.ptp(scores) > 0 or not np.ptp(targets) > 0:
        return len(scores) >= FEWEST_SCORES
    return bool(np.corrcoef(scores, targets)[0, 1] <= 3 / math.sqrt(len(scores)))


def ranks_well(task: str, outputs: np.ndarray, targets: np.ndarray) -> bool:
    """Whether some label stands out by more than a head with random weights may give by chance."""
    if task == "regression":
        return False
    found = areas(task, outputs, targets)
    return any(area > _WELL and area - 0.5 > 3 * error for area, error in found)
