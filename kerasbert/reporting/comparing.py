"""Two models on the same rows: is one of them better, or was it chance?"""

from typing import Any

import numpy as np
import scipy.stats

from kerasbert.data.labels import Labels
from kerasbert.errors import InputError
from kerasbert.judged import Judged
from kerasbert.reporting.resampling import interval, resampled
from kerasbert.tasks import UNKNOWN

_COMPARED = ("accuracy", "macro_f1", "roc_auc", "pearson", "spearman", "mse")


def check_comparable(first: Labels, second: Labels) -> None:
    """Refuse models that answer different questions.

    Raises:
        InputError: their tasks, label columns or label names differ.
    """
    for what in ("task", "columns", "names"):
        one, other = getattr(first, what), getattr(second, what)
        if one != other:
            raise InputError(
                f"The two runs cannot be compared: they differ in {what}. Expected the same labels "
                f"in the same order. Received: {one!r:.80} and {other!r:.80}. Compare runs that "
                "were trained on the same label columns."
            )


def compare(first: Judged, second: Judged, seed: int = 0) -> dict[str, Any]:
    """Compare what two models say of the same rows.

    Args:
        first: of one model.
        second: of the other; the differences are the second's less the first's.
        seed: of the bootstrap's draws.

    Returns:
        Ready for JSON: `rows`; `resamples`; `numbers`, which for each number and for the F1 of
        each label has `first`, `second`, `difference` and `interval`, its 95 % interval by
        resampling the rows for both at once; and `mcnemar`, None for regression: `only_first`
        and `only_second`, the rows that one model alone has right, and `p_value`, the probability
        that they would be shared out as unevenly by chance (McNemar, 1947; the exact binomial
        test).

    Raises:
        InputError: the models answer different questions.
    """
    check_comparable(first.labels, second.labels)
    both = resampled(first, second, seed=seed)
    pairs = {name: [own[name] for own in both] for name in _COMPARED if name in both[0]}
    if "f1" in both[0]:
        for column, name in enumerate(first.labels.names):
            pairs[f"F1 of {name}"] = [own["f1"][:, column] for own in both]
    return {
        "rows": len(first),
        "resamples": len(next(iter(pairs.values()))[0]) - 1,
        "numbers": {name: _difference(*pair) for name, pair in pairs.items()},
        "mcnemar": None if first.labels.task == "regression" else _mcnemar(first, second),
    }


def right_rows(judged: Judged) -> np.ndarray:
    """Which rows are right, for multilabel in all labels that are known; bool of shape (n,)."""
    if judged.labels.task == "multilabel":
        is_right = (judged.decisions == judged.targets) | (judged.targets == UNKNOWN)
        return is_right.all(axis=1)
    return judged.decisions == judged.targets


def _mcnemar(first: Judged, second: Judged) -> dict[str, Any]:
    one, other = right_rows(first), right_rows(second)
    only_first, only_second = int((one & ~other).sum()), int((other & ~one).sum())
    p_value = 1.0
    if only_first + only_second:
        p_value = float(scipy.stats.binomtest(only_first, only_first + only_second).pvalue)
    return {"only_first": only_first, "only_second": only_second, "p_value": p_value}


def _difference(first: np.ndarray, second: np.ndarray) -> dict[str, Any]:
    differences = second - first
    value = {"first": first[0], "second": second[0], "difference": differences[0]}
    numbers = {name: float(n) if np.isfinite(n) else None for name, n in value.items()}
    return numbers | {"interval": interval(differences)}
