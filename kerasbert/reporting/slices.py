"""Numbers of parts of the rows: by the values of a column, or by the length of the text."""

import collections
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasbert.judged import Judged
from kerasbert.reporting.resampling import Numbers, interval, resampled

# More different numbers than this are cut into ranges, each with about as many rows.
_MOST_VALUES = 10
_NUM_RANGES = 5
# The largest of many values have a row each.
_MOST_CATEGORIES = 12
# Numbers of fewer rows say little.
FEW_ROWS = 30

Groups = list[tuple[str, np.ndarray]]


def slice_by(judged: Judged, cells: Sequence[str]) -> list[dict[str, Any]]:
    """Numbers of the rows that have a value, for each value of a column.

    Args:
        judged: n rows.
        cells: the column's n cells. Many different numbers are cut into ranges; of many other
            values the rarest are put together.

    Returns:
        As `slice_groups` gives them.
    """
    numbers = np.array([_number(cell) for cell in cells])
    filled = np.array([cell != "" for cell in cells])
    if np.isfinite(numbers[filled]).all() and len(np.unique(numbers[filled])) > _MOST_VALUES:
        groups = range_groups(numbers, _NUM_RANGES)
        if not filled.all():
            groups.append(("(empty)", np.flatnonzero(~filled)))
    else:
        groups = _category_groups(cells)
    return slice_groups(judged, groups)


def slice_groups(judged: Judged, groups: Groups) -> list[dict[str, Any]]:
    """Numbers with intervals of groups of rows.

    Args:
        judged: all rows.
        groups: a name and indices of rows for each.

    Returns:
        Ready for JSON, for each group: `value`, its name; `rows`; `is_small`, where they are so
        few that the numbers say little; and `numbers`, each with `value` and `interval` (95 %
        bootstrap): `accuracy` and `macro_f1`, the latter over the labels that are there or are
        decided for; for binary also `false_positive_rate` and `false_negative_rate` of the second
        label; for regression `pearson` and `mse`.
    """
    return [
        {
            "value": name,
            "rows": len(rows),
            "is_small": len(rows) < FEW_ROWS,
            "numbers": {
                key: {
                    "value": float(values[0]) if np.isfinite(values[0]) else None,
                    "interval": interval(values),
                }
                for key, values in _numbers(_part(judged, rows)).items()
            },
        }
        for name, rows in groups
    ]


def range_groups(numbers: np.ndarray, count: int) -> Groups:
    """Rows by ranges of a number, each with about as many rows; what is not finite is left out."""
    rows = np.flatnonzero(np.isfinite(numbers))
    known = numbers[rows]
    # Upper ends that are values themselves, so that equal numbers stay together.
    ends = np.unique(np.quantile(known, np.arange(1, count + 1) / count, method="inverted_cdf"))
    which = np.searchsorted(ends, known)
    parts = [rows[which == number] for number in range(len(ends))]
    return [(_range_name(numbers[part]), part) for part in parts]


def _category_groups(cells: Sequence[str]) -> Groups:
    counts = collections.Counter(cells)
    names = [name for name, _ in counts.most_common(_MOST_CATEGORIES)]
    if len(counts) == _MOST_CATEGORIES + 1:  # a row for the one that is left names it, too
        names = [name for name, _ in counts.most_common()]
    numbers = {name: number for number, name in enumerate(names)}
    which = np.array([numbers.get(cell, len(names)) for cell in cells])
    groups = [(name or "(empty)", np.flatnonzero(which == n)) for name, n in numbers.items()]
    if len(counts) > len(names):
        rest = f"{len(counts) - len(names):,} other values"
        groups.append((rest, np.flatnonzero(which == len(names))))
    return groups


def _part(judged: Judged, rows: np.ndarray) -> Judged:
    return Judged(judged.labels, judged.examples.take(rows), judged.raw[rows])


def _numbers(judged: Judged) -> Numbers:
    (numbers,) = resampled(judged, by_rank=False)
    if judged.labels.task == "regression":
        return {name: numbers[name] for name in ("pearson", "mse")}
    is_there = (numbers["support"][0] > 0) | (numbers["predicted"][0] > 0)
    f1 = numbers["f1"][:, is_there]
    macro_f1 = f1.mean(axis=1) if f1.size else np.full(len(f1), math.nan)
    wanted = {"accuracy": numbers["accuracy"], "macro_f1": macro_f1}
    if judged.labels.task == "binary":
        missed = np.where(numbers["support"] > 0, 1 - numbers["recall"], math.nan)
        wanted |= {"false_positive_rate": missed[:, 0], "false_negative_rate": missed[:, 1]}
    return wanted


def _range_name(numbers: np.ndarray) -> str:
    lowest, highest = (f"{value:,.6g}" for value in (numbers.min(), numbers.max()))
    return lowest if lowest == highest else f"{lowest} to {highest}"


def _number(cell: str) -> float:
    try:
        return float(cell)
    except ValueError:
        return math.nan
