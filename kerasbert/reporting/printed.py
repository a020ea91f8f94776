"""Parts of the rows, and the comparison with another run, on the screen."""

from collections.abc import Sequence
from typing import Any

import rich.table
from rich.text import Text

from kerasbert.metrics import show_number
from kerasbert.reporting.pictures import printable, shown
from kerasbert.reporting.sections import NAMES
from kerasbert.reporting.versus import comparison_tables


def slices_table(column: str, slices: Sequence[dict[str, Any]]) -> rich.table.Table:
    """Numbers of the parts of the rows, for `rich` to print."""
    keys = list(slices[0]["numbers"])
    rows = [
        [
            shown(part["value"]),
            f"{part['rows']:,}" + (" (few)" if part["is_small"] else ""),
            *(_with_interval(part["numbers"][key]) for key in keys),
        ]
        for part in slices
    ]
    return _printed(f"by {column}", (column, "rows", *(NAMES[key] for key in keys)), rows)


def comparison_table(comparison: dict[str, Any]) -> rich.table.Table:
    """The numbers of two runs and their differences, for `rich` to print."""
    said = comparison_tables(comparison)
    return _printed(f"against {said['run']}", said["table"].header, said["table"].rows)


def _printed(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> rich.table.Table:
    printed = rich.table.Table(title=Text(printable(title)))
    for number, name in enumerate(header):
        printed.add_column(Text(name), justify="right" if number else "left", overflow="fold")
    for row in rows:
        printed.add_row(*(Text(printable(cell)) for cell in row))
    return printed


def _with_interval(number: dict[str, Any]) -> str:
    """A number and, below it, its interval: of four there is room in 80 characters."""
    text, ends = show_number(number["value"]), number["interval"]
    return text if ends is None else f"{text}\n{ends[0]:.2f}..{ends[1]:.2f}"
