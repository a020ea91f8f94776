"""A decision and what it changes, as a table and sentences."""

from collections.abc import Iterator
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from kerasbert.data.chosen import Chosen
from kerasbert.data.labels import Labels
from kerasbert.metrics import show_number


def decision_table(labels: Labels) -> Table:
    """Thresholds, and what is found without and with them, cross-fitted; a row per label.

    Args:
        labels: with `chosen`.
    """
    chosen = labels.chosen
    title = f"{Path(chosen.source).name}, {chosen.rows:,} rows: at 0.5 -> now, cross-fitted"
    # Narrow enough for 80 characters.
    table = Table(title=Text(title), box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    table.add_column("label", overflow="fold")
    for column in ("support", "threshold", "precision", "recall", "F1"):
        table.add_column(column, justify="right")
    for number, label in enumerate(chosen.labels):
        table.add_row(
            Text(label.name),
            show_number(label.positives),
            show_number(_threshold(labels, number)),
            *(_change(*pair) for pair in (label.precision, label.recall, label.f1)),
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
    for number, label in enumerate(chosen.labels):
        if label.basis == "default":
            yield (
                f"{label.name!r}: {label.positives} rows have it, too few of one kind to choose "
                "by: its threshold is as it was"
            )
        elif not label.is_reached and labels.thresholds[number] == 1:
            yield (
                f"{label.name!r}: {chosen.decide} cannot be reached with any certainty on these "
                "rows, so nothing is decided: its threshold is 1"
            )
        elif not label.is_reached:
            yield (
                f"{label.name!r}: {label.positives} rows have it, too few to be sure that "
                f"{chosen.decide} is reached on others"
            )


def what_was_chosen(labels: Labels) -> str:
    """Such as `"f1, temperature, on 136 rows of comments.csv"`."""
    chosen = labels.chosen
    what = [chosen.decide] if chosen.decide else []
    what += [chosen.calibrate] if chosen.calibrate != "none" else []
    what += [f"don't know below {labels.unsure_below:g}"] if labels.unsure_below else []
    return f"{', '.join(what)}, on {chosen.rows:,} rows of {chosen.source}"


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
