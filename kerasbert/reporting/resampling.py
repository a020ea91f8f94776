"""Bootstrap: the numbers of a report on rows drawn anew, with replacement.

What depends on truth and decision alone is drawn as counts of the distinct pairs of the two, which
are few; what depends on the order of the outputs as a weight per row, sorted once.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from kerasbert.judged import Judged
from kerasbert.tasks import UNKNOWN

MOST_RESAMPLES = 1000
# Of large data, whose numbers hardly vary, fewer are drawn.
_FEWEST_RESAMPLES = 100
# Weights of one row for one label, all resamples together; a second or two of them.
_MOST_WEIGHTS = 50_000_000
# At a time, which bounds the memory.
_WEIGHTS_AT_ONCE = 2_000_000

Numbers = dict[str, np.ndarray]


def resampled(*models: Judged, by_rank: bool = True, seed: int = 0) -> list[Numbers]:
    """Numbers of one or several models on the rows as they are, and on resamples of them.

    Args:
        *models: what each says of the same rows; they are resampled together.
        by_rank: whether to give those that need the order of the outputs, which take longest.
        seed: of the draws.

    Returns:
        A dict per model, of arrays whose first entry is of the rows as they are. For regression
        `pearson`, `spearman` and `mse`. Else `accuracy`, `macro_f1`, `roc_auc` and, where the
        answer may be "don't know", `unsure` and `decided_accuracy`, all as
        `kerasbert.metrics.build_report` defines them, of shape (1 + resamples,); `precision`,
        `recall`, `f1`, and the counts `support` and `predicted`, of shape (1 + resamples, labels).
        NaN where a number is not defined.
    """
    labels = models[0].labels
    num_ranked = {"binary": 1, "regression": 2}.get(labels.task, len(labels.names))
    work = len(models[0]) * len(models) * (num_ranked if by_rank else 1)
    count = int(np.clip(_MOST_WEIGHTS // max(work, 1), _FEWEST_RESAMPLES, MOST_RESAMPLES))
    if labels.task == "regression":
        ranks = [_Scores(model) for model in models]
        return _by_weights(ranks, len(models[0]), count, seed)
    numbers = _by_counts(models, count, seed)
    if by_rank:
        ranks = [_Areas(model) for model in models]
        for own, areas in zip(
            numbers, _by_weights(ranks, len(models[0]), count, seed), strict=True
        ):
            own |= areas
    return numbers


def interval(values: np.ndarray, level: float = 0.95) -> list[float] | None:
    """The percentile interval of a number.

    Args:
        values: from `resampled`, of shape (1 + resamples,).
        level: share of the resamples that lie within.

    Returns:
        Its lower and its upper end; None where the number, or that of half of the resamples, is
        not defined.
    """
    drawn = values[1:][np.isfinite(values[1:])]
    if not np.isfinite(values[0]) or len(drawn) * 2 <= len(values) - 1:
        return None
    return np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2]).tolist()


def _by_counts(models: Sequence[Judged], count: int, seed: int) -> list[Numbers]:
    rows, counts = _distinct([models[0].targets, *(model.decisions for model in models)])
    cells = [_Cells(model, rows) for model in models]
    random = np.random.default_rng(seed)
    parts: list[list[Numbers]] = [[one(counts[None].astype(float))] for one in cells]
    for size in _chunks(count, len(counts)):
        drawn = random.multinomial(counts.sum(), counts / counts.sum(), size=size).astype(float)
        for part, one in zip(parts, cells, strict=True):
            part.append(one(drawn))
    return [_joined(part) for part in parts]


def _by_weights(ranks: Sequence, num_rows: int, count: int, seed: int) -> list[Numbers]:
    random = np.random.default_rng(seed)
    parts: list[list[Numbers]] = [[one(np.ones((num_rows, 1), np.float32))] for one in ranks]
    for size in _chunks(count, num_rows):
        weights = np.empty((num_rows, size), np.float32)
        for column in range(size):
            drawn = random.integers(num_rows, size=num_rows, dtype=np.int32)
            weights[:, column] = np.bincount(drawn, minlength=num_rows)
        for part, one in zip(parts, ranks, strict=True):
            part.append(one(weights))
    return [_joined(part) for part in parts]


class _Cells:
    """Numbers by counts of the distinct rows."""

    def __init__(self, model: Judged, rows: np.ndarray):
        targets, decisions = model.targets[rows], model.decisions[rows]
        if model.labels.task == "multilabel":
            truth, known, decided = targets == 1, targets != UNKNOWN, decisions == 1
        else:
            classes = np.arange(len(model.labels.names))
            truth, decided = (values[:, None] == classes for values in (targets, decisions))
            known = np.ones_like(truth)
        self._truth, self._known, self._decided = truth & known, known, decided & known
        self._counted = known.any(axis=1)
        self._right = ((truth == decided) | ~known).all(axis=1) & self._counted
        self._unsure = None if model.labels.unsure_below is None else ~decided.any(axis=1)

    def __call__(self, counts: np.ndarray) -> Numbers:
        """Counts of shape (resamples, distinct rows) to numbers."""
        sums = [np.empty((len(counts), self._truth.shape[1])) for _ in range(4)]
        at_once = max(1, _WEIGHTS_AT_ONCE // len(self._truth))
        # float32, which has all whole numbers up to 16 million, multiplies fastest.
        counts32 = counts.astype(np.float32)
        for first in range(0, self._truth.shape[1], at_once):
            part = np.s_[:, first : first + at_once]
            truth, decided, known = self._truth[part], self._decided[part], self._known[part]
            for kind, own in enumerate((truth & decided, decided, truth, known)):
                sums[kind][part] = counts32 @ own.astype(np.float32)
        hits, predicted, support, known = sums
        f1 = np.where(known > 0, _ratio(2 * hits, predicted + support, 0), np.nan)
        numbers = {
            "accuracy": _ratio(counts @ self._right, counts @ self._counted),
            "macro_f1": _mean_of_known(f1),
            "precision": np.where(known > 0, _ratio(hits, predicted, 0), np.nan),
            "recall": np.where(known > 0, _ratio(hits, support, 0), np.nan),
            "f1": f1,
            "support": support,
            "predicted": predicted,
        }
        if self._unsure is not None:
            sure = counts @ ~self._unsure
            numbers["unsure"] = _ratio(counts @ self._unsure, counts.sum(axis=1))
            numbers["decided_accuracy"] = _ratio(counts @ (self._right & ~self._unsure), sure)
        return numbers


class _Areas:
    """The area under the ROC curve by weights of the rows."""

    def __init__(self, model: Judged):
        labels, targets = model.labels, model.targets
        self._columns = []
        for column in range(len(labels.names)) if labels.task != "binary" else [1]:
            if labels.task == "multilabel":
                rows = np.flatnonzero(targets[:, column] != UNKNOWN)
                is_true = targets[rows, column] == 1
            else:
                rows, is_true = np.arange(len(targets)), targets == column
            order = _Order(model.outputs[rows, column])
            self._columns.append((rows, rows[is_true], order, order.groups[is_true]))

    def __call__(self, weights: np.ndarray) -> Numbers:
        """Weights of shape (rows, resamples) to numbers.

        The ranks of the true ones add up to the pairs that are in order, and half the square of
        their own number (Mann and Whitney, 1947).
        """
        areas = []
        for rows, true_rows, order, groups in self._columns:
            own = weights if len(rows) == len(weights) else weights[rows]
            true = weights[true_rows].astype(np.float64)
            total, positives = own.sum(axis=0, dtype=np.float64), true.sum(axis=0)
            pairs = (true * order.ranks(own)[groups]).sum(axis=0) - positives**2 / 2
            areas.append(_ratio(pairs, positives * (total - positives)))
        return {"roc_auc": _mean_of_known(np.stack(areas, axis=1))}


class _Scores:
    """Correlations and squared error of scores by weights of the rows."""

    def __init__(self, model: Judged):
        truth, scores = model.targets.astype(float), model.outputs[:, 0].astype(float)
        self._errors = (truth - scores) ** 2
        self._orders = [_Order(values) for values in (truth, scores)]
        # Of one size, so that what rounding leaves of no spread at all is known for it.
        first, second = (_standardized(values) for values in (truth, scores))
        self._moments = np.stack([first, second, first**2, second**2, first * second])

    def __call__(self, weights: np.ndarray) -> Numbers:
        """Weights of shape (rows, resamples) to numbers."""
        total = weights.sum(axis=0, dtype=np.float64)
        # Weighted ranks have the mean of half the weight.
        first, second = (order.ranks(weights)[order.groups] - total / 2 for order in self._orders)
        moments = [
            (weights * values).sum(axis=0) / total**2
            for values in (first**2 / total, second**2 / total, first * second / total)
        ]
        zero = np.zeros_like(total)
        return {
            "mse": self._errors @ weights / total,
            "pearson": _correlation(*(self._moments @ weights / total)),
            "spearman": _correlation(zero, zero, *moments),
        }


class _Order:
    """The order of n values, for ranks by changing weights.

    Attributes:
        groups: of each row, which of the distinct values it has, counted from the lowest.
    """

    def __init__(self, values: np.ndarray):
        self._order = np.argsort(values, kind="stable")
        ordered = values[self._order]
        is_new = np.concatenate([[True], ordered[1:] != ordered[:-1]])[: len(values)]
        self._starts = np.flatnonzero(is_new)
        self.groups = np.empty(len(values), np.int64)
        self.groups[self._order] = np.cumsum(is_new) - 1

    def ranks(self, weights: np.ndarray) -> np.ndarray:
        """Of each distinct value the weight below it and half of its own, (values, resamples)."""
        sums = weights[self._order]
        if len(self._starts) < len(self._order):
            sums = np.add.reduceat(sums, self._starts, axis=0)
        # Whole and half numbers, which float32 has up to 8 million rows.
        ranks = np.cumsum(sums, axis=0)
        return np.subtract(ranks, sums / 2, out=ranks)


def _standardized(values: np.ndarray) -> np.ndarray:
    values = values - values.mean()
    return values / (np.abs(values).max() or 1)


def _correlation(x: np.ndarray, y: np.ndarray, xx: np.ndarray, yy: np.ndarray, xy: np.ndarray):
    """From the means of two values, their squares and their product."""
    spreads = [np.maximum(squares - mean**2, 0) for mean, squares in ((x, xx), (y, yy))]
    varies = np.minimum(*spreads) > 1e-12
    return np.clip(_ratio(xy - x * y, np.sqrt(spreads[0] * spreads[1]) * varies), -1, 1)


def _distinct(columns: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """A row of each kind, and how many there are of it; whole numbers of shape (n,) or (n, k)."""
    codes, size = np.zeros(len(columns[0]), np.int64), 1
    for column in (part for values in columns for part in np.atleast_2d(values.T)):
        column = column.astype(np.int64)
        column -= column.min()
        width = int(column.max()) + 1
        if size * width > 2**62:
            found, codes = np.unique(codes, return_inverse=True)
            size = len(found)
        codes, size = codes * width + column, size * width
    _, rows, counts = np.unique(codes, return_index=True, return_counts=True)
    return rows, counts


def _chunks(count: int, width: int) -> Iterator[int]:
    at_once = max(8, _WEIGHTS_AT_ONCE // max(width, 1))
    for start in range(0, count, at_once):
        yield min(at_once, count - start)


def _joined(parts: Sequence[Numbers]) -> Numbers:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _ratio(above: np.ndarray, below: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    return np.divide(above, below, out=np.full(np.shape(below), float(otherwise)), where=below > 0)


def _mean_of_known(values: np.ndarray) -> np.ndarray:
    """The mean over the labels, (resamples, labels) to (resamples,), of those that have a value."""
    known = np.isfinite(values)
    return _ratio(np.where(known, values, 0).sum(axis=1), known.sum(axis=1))
