"""What a threshold is to be best at, read from words such as `f1` and `recall>=0.9`."""

import dataclasses
import re

import numpy as np

from kerasbert.errors import InputError

EXAMPLES = "f1, f2, recall>=0.9, precision>=0.95, cost=FP:1,FN:5"
# So many standard deviations: a certainty of 95 % for a threshold that has nothing to do with the
# rows, and of about 90 % for one that is chosen on them.
_DEVIATIONS = 1.645
# A precision of fewer decisions than this is chance.
_MIN_DECIDED = 10
# Below 0, by which it is told that a bound is not reached; and below all of these.
_NOT_REACHED, _UNUSABLE = -2.0, -3.0

_NUMBER = r"(\d+\.?\d*|\.\d+)"
_F = re.compile(rf"f{_NUMBER}")
_LEAST = re.compile(rf"(recall|precision)>={_NUMBER}")
_COST = re.compile(rf"cost=fp:{_NUMBER},fn:{_NUMBER}")


@dataclasses.dataclass(frozen=True)
class Counts:
    """What comes of each of several thresholds, in examples, which may be shares of examples.

    Attributes:
        found: positives that are decided as such; shape (thresholds,).
        decided: examples that are decided as positives; shape (thresholds,).
        positives: how many there are to be found.
    """

    found: np.ndarray
    decided: np.ndarray
    positives: float

    @property
    def precision(self) -> np.ndarray:
        """Of what is decided the share that is right; 1 where nothing is."""
        return np.where(self.decided > 0, self.found / np.maximum(self.decided, 1), 1.0)

    @property
    def recall(self) -> np.ndarray:
        """Of the positives the share that is found."""
        return self.found / self.positives

    @property
    def sure_precision(self) -> np.ndarray:
        """The precision that is exceeded on other rows, with a certainty of 95 %."""
        return _surely(self.found, self.decided)

    @property
    def sure_recall(self) -> np.ndarray:
        """The recall that is exceeded on other rows, with a certainty of 95 %."""
        return _surely(self.found, np.full_like(self.found, self.positives))


def _surely(found: np.ndarray, of: np.ndarray) -> np.ndarray:
    """The lower end of Wilson's interval (1927) of `found` out of `of`."""
    of = np.maximum(of, 1e-9)
    share, square = found / of, _DEVIATIONS**2
    middle = share + square / (2 * of)
    half = _DEVIATIONS * np.sqrt(share * (1 - share) / of + square / (4 * of**2))
    return (middle - half) / (1 + square / of)


@dataclasses.dataclass(frozen=True)
class Rule:
    """One measure of a threshold.

    Attributes:
        measure: `"f"`, `"recall"`, `"precision"` or `"cost"`.
        beta: of F-beta: recall counts for so many times as much as precision.
        least: of recall or precision, 0 to 1: of the thresholds that reach it, the one with the
            most of the other is the best.
        costs: of a false positive and of a false negative.
    """

    measure: str
    beta: float = 1.0
    least: float = 0.0
    costs: tuple[float, float] = (1.0, 1.0)

    @property
    def is_bound(self) -> bool:
        """Whether there is something to be reached."""
        return self.measure in ("recall", "precision")

    def values(self, counts: Counts, *, is_sure: bool = False) -> np.ndarray:
        """How good each threshold is: the more, the better.

        Args:
            counts: what comes of it.
            is_sure: demand of a bound that it is reached on other rows as well, by all
                likelihood, and not on these alone.

        Returns:
            F-beta; the cost with its sign turned; or, for a bound, the other one of recall and
            precision, from 0 up where the bound is reached, and below 0 where it is not.
        """
        if self.measure == "f":
            weight = self.beta**2
            return (1 + weight) * counts.found / (weight * counts.positives + counts.decided)
        if self.measure == "cost":
            wrong, missed = counts.decided - counts.found, counts.positives - counts.found
            return -(self.costs[0] * wrong + self.costs[1] * missed)
        if self.measure == "recall":
            bounded, other = counts.sure_recall if is_sure else counts.recall, counts.precision
        else:
            bounded, other = counts.sure_precision if is_sure else counts.precision, counts.recall
        values = np.where(bounded >= self.least - 1e-9, other, bounded + _NOT_REACHED)
        if self.measure == "precision":
            return np.where(counts.decided < _MIN_DECIDED, _UNUSABLE, values)
        return values


def parse_rule(text: str) -> Rule:
    """Read a rule; an `InputError` says how one is written.

    Example:
        >>> parse_rule("recall>=0.9").least
        0.9
    """
    words = "".join(text.lower().split())
    if match := _F.fullmatch(words):
        if (beta := float(match[1])) > 0:
            return Rule("f", beta=beta)
    elif match := _LEAST.fullmatch(words):
        if 0 < (least := float(match[2])) <= 1:
            return Rule(match[1], least=least)
    elif match := _COST.fullmatch(words):
        costs = float(match[1]), float(match[2])
        if min(costs) > 0:
            return Rule("cost", costs=costs)
    raise InputError(
        f"`decide` must be written like one of {EXAMPLES}, with a beta and costs above 0, and "
        f"recall and precision above 0 and at most 1. Received: decide={text!r}."
    )
