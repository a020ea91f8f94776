"""The threshold of each label that is best by a rule, without fitting it to noise.

Of a label with six examples the best threshold on the rows as they are is where those six happen to
lie. So the thresholds are chosen on what is to be expected: a logistic curve, which is two numbers,
is fitted from the model's probability to the truth (Platt, 1999), and each row counts as a positive
to a share between its truth and the curve. The truth has the weight n / (n + `CURVE_WEIGHT`) for n
examples of the label: of six it is 0.06, of a thousand 0.91.

A bound, such as a recall of 0.9, is to hold on new rows and not on these alone. Where a label has
`MIN_FOR_BOUND` examples, the rows as they are have to reach it with a certainty of about 90 %; with
fewer nothing is certain, and what is expected has to.
"""

import dataclasses
import functools

import numpy as np

from kerasbert.data.chosen import ChosenLabel
from kerasbert.data.labels import Labels
from kerasbert.deciding.rules import Counts, Rule
from kerasbert.tasks import UNKNOWN

CURVE_WEIGHT = 100
# A label with fewer examples, or fewer others, is left as it is: not even a curve can be drawn.
MIN_EXAMPLES = 3
MIN_FOR_BOUND = 20
# Passes over the classes of multiclass, each setting one threshold after the other.
_MAX_PASSES = 20
_EPSILON = 1e-7


def choose_thresholds(
    labels: Labels, targets: np.ndarray, outputs: np.ndarray, rule: Rule
) -> tuple[tuple[float, ...], tuple[ChosenLabel, ...]]:
    """Choose the threshold of each label.

    Args:
        labels: of binary, multiclass or multilabel; its thresholds stay where there are too few
            examples.
        targets: from `labels.encode`, of n rows.
        outputs: probabilities, calibrated if they will be; shape (n, labels).
        rule: what is best; for multiclass F-beta, whose mean over the classes is made best.

    Returns:
        Thresholds, as `Labels` has them, and how each was chosen.
    """
    if labels.task == "multiclass":
        return _choose_together(labels, targets, outputs, rule)
    if labels.task == "binary":
        threshold, chosen = _choose_one(
            labels.names[1], targets == 1, outputs[:, 1], labels.thresholds[1], rule
        )
        return (1 - threshold, threshold), (chosen,)
    found = []
    for column, name in enumerate(labels.names):
        known = targets[:, column] != UNKNOWN
        truth, scores = targets[known, column] == 1, outputs[known, column]
        found.append(_choose_one(name, truth, scores, labels.thresholds[column], rule))
    thresholds, chosen = zip(*found, strict=True)
    return thresholds, chosen


def _choose_one(
    name: str, truth: np.ndarray, scores: np.ndarray, default: float, rule: Rule
) -> tuple[float, ChosenLabel]:
    """The threshold of one label: bool of shape (n,), probabilities of shape (n,)."""
    num_positives = int(truth.sum())
    if min(num_positives, len(truth) - num_positives) < MIN_EXAMPLES:
        return default, ChosenLabel(name, num_positives, "default")
    is_sure = rule.is_bound and num_positives >= MIN_FOR_BOUND
    basis = "rows" if is_sure else "curve and rows"
    shares = truth.astype(float) if is_sure else _expected_truth(truth, scores)
    order = np.argsort(-scores, kind="stable")
    scores, shares = scores[order].astype(float), shares[order]
    # Between two equal scores there is no threshold.
    ends = np.flatnonzero(np.append(scores[1:] < scores[:-1], True))
    counts = Counts(np.cumsum(shares)[ends], ends + 1.0, shares.sum())
    if rule.measure == "cost":  # which may be least where nothing is decided
        ends = np.append(-1, ends)
        counts = Counts(np.append(0, counts.found), np.append(0, counts.decided), counts.positives)
    values = rule.values(counts, is_sure=is_sure)
    best = int(values.argmax())
    # Half way to the next lower score, so that rounding changes no decision.
    upper = scores[ends[best]] if ends[best] >= 0 else 1.0
    lower = scores[ends[best] + 1] if ends[best] + 1 < len(scores) else 0.0
    is_reached = not rule.is_bound or (is_sure and bool(values[best] >= 0))
    chosen = ChosenLabel(name, num_positives, basis, is_reached)
    if rule.measure == "precision" and values[best] < 0:
        return 1.0, chosen  # rather nothing than what is less sure than was asked for
    return float(upper + lower) / 2, chosen


def _expected_truth(truth: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """To which share each row counts as a positive, shape (n,)."""
    # Slow to import, and not needed to print a help text.
    from sklearn.linear_model import LogisticRegression

    near = scores.astype(float).clip(_EPSILON, 1 - _EPSILON)
    logits = np.log(near / (1 - near))[:, None]  # (n, 1)
    curve = LogisticRegression().fit(logits, truth).predict_proba(logits)[:, 1]
    weight = truth.sum() / (truth.sum() + CURVE_WEIGHT)
    return weight * truth + (1 - weight) * curve


def _choose_together(
    labels: Labels, targets: np.ndarray, outputs: np.ndarray, rule: Rule
) -> tuple[tuple[float, ...], tuple[ChosenLabel, ...]]:
    """Thresholds that add up to 1: of one class after the other, until none can be mended."""
    num_classes = len(labels.names)
    truth = targets[:, None] == np.arange(num_classes)  # (n, classes)
    counts = truth.sum(axis=0)
    is_free = np.minimum(counts, len(truth) - counts) >= MIN_EXAMPLES
    shares = truth.astype(float)
    for column in np.flatnonzero(is_free):
        shares[:, column] = _expected_truth(truth[:, column], outputs[:, column])
    search = _Search(outputs.astype(float).clip(_EPSILON), shares, rule)
    thresholds, value = np.full(num_classes, 1 / num_classes), -np.inf
    for _ in range(_MAX_PASSES):
        before = value
        for column in np.flatnonzero(is_free):
            thresholds[column], value = search.best_of(column, thresholds)
        if value <= before + 1e-6:
            break
    chosen = tuple(
        ChosenLabel(name, int(count), "curve and rows" if free else "default")
        for name, count, free in zip(labels.names, counts, is_free, strict=True)
    )
    return tuple((thresholds / thresholds.sum()).tolist()), chosen


@dataclasses.dataclass(frozen=True)
class _Search:
    """The threshold of one class of several, when those of the others are given.

    Attributes:
        outputs: probabilities, above 0, of shape (n, classes).
        shares: to which share each row counts as an example of each class; shape (n, classes).
        rule: F-beta.
    """

    outputs: np.ndarray
    shares: np.ndarray
    rule: Rule

    def best_of(self, column: int, thresholds: np.ndarray) -> tuple[float, float]:
        """The best threshold of the class, and the mean F-beta of all classes with it."""
        ratios = self.outputs / thresholds  # (n, classes)
        ratios[:, column] = -np.inf
        rival = ratios.argmax(axis=1)  # the class that wins where this one does not; (n,)
        needed = self.outputs[:, column] / ratios.max(axis=1)  # wins up to this threshold; (n,)
        order = np.argsort(-needed, kind="stable")
        needed, rival = needed[order], rival[order]
        own = np.append(0, self.shares[order, column].cumsum())
        scores = self._f_beta(column, own, np.arange(len(order) + 1.0))
        others = self._without(column, rival, self.shares[order, rival])
        means = (scores + others) / self.shares.shape[1]  # (n + 1,)
        means[1:-1][needed[1:] == needed[:-1]] = -np.inf  # between equal ones there is none
        best = int(means.argmax())
        upper = needed[best - 1] if best > 0 else 2 * needed[0]
        lower = needed[best] if best < len(needed) else needed[-1] / 2
        return float(np.sqrt(upper * lower)), float(means[best])

    def _without(self, column: int, rival: np.ndarray, shares: np.ndarray) -> np.ndarray:
        """The sum of the other classes' F-beta as they lose one row after the other, (n + 1,)."""
        # By class, and within a class in the order in which its rows are lost.
        by_class = np.argsort(rival, kind="stable")
        begins = np.searchsorted(rival[by_class], np.arange(self.shares.shape[1] + 1))
        change, total = np.zeros(len(rival)), 0.0
        for other in range(self.shares.shape[1]):
            if other == column:
                continue
            rows = by_class[begins[other] : begins[other + 1]]
            left = np.append(0, shares[rows].cumsum())
            scores = self._f_beta(other, left[-1] - left, len(rows) - np.arange(len(rows) + 1.0))
            total += scores[0]
            change[rows] = np.diff(scores)
        return total + np.append(0, change.cumsum())

    def _f_beta(self, column: int, found: np.ndarray, decided: np.ndarray) -> np.ndarray:
        weight = self.rule.beta**2
        return (
            (1 + weight) * found / np.maximum(weight * self.positives[column] + decided, _EPSILON)
        )

    @functools.cached_property
    def positives(self) -> np.ndarray:
        """Examples of each class, shape (classes,)."""
        return self.shares.sum(axis=0)
