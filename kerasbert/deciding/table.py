"""A decision and what it changes, as a table and sentences."""

from collections.abc import Iterator
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from kerasbert.data.chosen import Chosen
from kerasbert.data.labels import Labels
from kerasbert.judged import Judged
from kerasbert.metrics import show_number


def decision_table(before: Judged, after: Judged) -> Table:
    """The new thresholds, and what was and is found by them; a row per label.

    Args:
        before: held-out rows, decided as they were.
        after: the same, decided anew.
    """
    name = Path(before.examples.source).name
    title = Text(f"{name}, {len(before):,} rows: as decided before -> now")
    # Narrow enough for 80 characters.
    table = Table(title=title, box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("label", overflow="fold")
    for column in ("support", "threshold", "precision", "recall", "F1"):
        table.add_column(column, justify="right")
    rows = zip(before.report["labels"], after.report["labels"], strict=True)
    for number, (was, now) in enumerate(rows):
        table.add_row(
            Text(was["name"]),
            show_number(was["support"]),
            show_number(_threshold(after.labels, number)),
            *(_change(was[key], now[key]) for key in ("precision", "recall", "f1")),
        )
    return table


def decision_lines(labels: Labels) -> Iterator[str]:
    """What there is to say of how the decision was chosen, a sentence a line."""
    chosen = labels.chosen
    if chosen is None:
        yield "nothing was chosen: the decision is as it was when the model was trained"
        return
    yield (
        f"chosen on {chosen.rows:,} rows of {chosen.source}; cross-fitted, each fifth by the other "
        f"four: {_cross_fitted(chosen)}"
    )
    for label in chosen.labels:
        if label.basis == "default":
            yield (
                f"{label.name!r}: {label.positives} rows have it, too few of one kind to choose "
                "by: its threshold is as it was"
            )
        elif not label.is_reached:
            yield (
                f"{label.name!r}: {chosen.decide} is not reached by any threshold that decides 10 "
                "rows or more, so nothing is decided: its threshold is 1"
            )


def _cross_fitted(chosen: Chosen) -> str:
    numbers = {
        "macro F1": chosen.macro_f1,
        "macro recall": chosen.macro_recall,
        "expected calibration error": chosen.calibration_error,
    }
    return ", ".join(
        f"{name} {show_number(before)} -> {show_number(after)}"
        for name, (before, after) in numbers.items()
    )


def _threshold(labels: Labels, number: int) -> float:
    # That the most probable class wins is to say that all have the same.
    return 1 / len(labels.names) if labels.thresholds is None else labels.thresholds[number]


def _change(before: float | None, after: float | None) -> str:
    was, now = show_number(before), show_number(after)
    return now if was == now else f"{was}->{now}"
