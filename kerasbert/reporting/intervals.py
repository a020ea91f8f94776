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


def interval_table(report: dict[str, Any], intervals: dict[str, Any], title: str) -> Table | Group:
    """The report with its intervals, for `rich` to print."""
    # In a cell the interval is below its number, so that there is room for three in 80 characters.
    texts = report | _as_texts(report, intervals, "\n" if "mse" in report else " ")
    if "labels" in report:
        pairs = zip(report["labels"], intervals["labels"], strict=True)
        texts["labels"] = [own | _as_texts(own, ends, "\n") for own, ends in pairs]
    title = f"{title}, with 95 % intervals of {intervals['resamples']:,} resamples"
    return report_table(
        texts, title, lambda value: value if isinstance(value, str) else show_number(value)
    )


def show_interval(ends: list[float] | None) -> str:
    """`"0.776 to 0.843"`, or a dash."""
    return "-" if ends is None else f"{ends[0]:.3f} to {ends[1]:.3f}"


def show_with_interval(value: float | None, ends: list[float] | None, between: str = " ") -> str:
    """`"0.812 (0.776 to 0.843)"`, or the number alone.

    Args:
        value: the number.
        ends: of the interval, if there is one.
        between: number and interval.
    """
    text = show_number(value)
    return text if ends is None else f"{text}{between}({show_interval(ends)})"


def _as_texts(numbers: dict[str, Any], intervals: dict[str, Any], between: str) -> dict[str, str]:
    return {
        name: show_with_interval(value, intervals[name], between)
        for name, value in numbers.items()
        if name in intervals and name not in ("labels", "name")
    }
