"""The numbers of a report with 95 % intervals: for JSON, and for people."""

from typing import Any

from rich.console import Group
from rich.table import Table

from kerasbert.judged import Judged
from kerasbert.metrics import report_table, show_number
from kerasbert.reporting.resampling import Numbers, interval, resampled

_OF_LABELS = ("precision", "recall", "f1")


def find_intervals(judged: Judged, seed: int = 0) -> dict[str, Any]:
    """95 % bootstrap intervals of the numbers of a report.

    Args:
        judged: at least one row.
        seed: of the draws.

    Returns:
        Ready for JSON: `resamples`, how many were drawn; and, in the form of the report, `[lower,
        upper]` or None per number, for `labels` a list of dicts with `name`. There is none of the
        loss.
    """
    (numbers,) = resampled(judged, seed=seed)
    return intervals_of(numbers, judged.labels.names)


def intervals_of(numbers: Numbers, names: tuple[str, ...]) -> dict[str, Any]:
    """The same from what `kerasbert.reporting.resampling.resampled` gave."""
    plain = {name: values for name, values in numbers.items() if values.ndim == 1}
    found: dict[str, Any] = {"resamples": len(next(iter(plain.values()))) - 1}
    found |= {name: interval(values) for name, values in plain.items()}
    if "f1" in numbers:
        found["labels"] = [
            {"name": name} | {key: interval(numbers[key][:, column]) for key in _OF_LABELS}
            for column, name in enumerate(names)
        ]
    return found


def with_intervals(report: dict[str, Any], intervals: dict[str, Any]) -> dict[str, Any]:
    """A report with pairs `(number, interval)`, where there is one, in place of its numbers."""
    joined = {
        name: (value, intervals[name]) if name in intervals else value
        for name, value in report.items()
    }
    if "labels" in report:
        joined["labels"] = [
            with_intervals(label, {key: own[key] for key in _OF_LABELS})
            for label, own in zip(report["labels"], intervals["labels"], strict=True)
        ]
    return joined


def interval_table(report: dict[str, Any], intervals: dict[str, Any], title: str) -> Table | Group:
    """The report with its intervals, for `rich` to print."""
    joined = with_intervals(report, intervals)
    title = f"{title}, with 95 % intervals of {intervals['resamples']:,} resamples"
    return report_table(joined, title, show_with_interval)


def show_with_interval(value: Any) -> str:
    """`"0.812 (0.776..0.843)"`, of a number with its interval; else the number alone."""
    if not isinstance(value, tuple) or value[1] is None:
        return show_number(value[0] if isinstance(value, tuple) else value)
    number, (lower, upper) = value
    # In one word, so that a narrow table breaks the line before it.
    return f"{show_number(number)} ({lower:.3f}..{upper:.3f})"
