"""Parts of the rows, and the comparison with another run, on the screen."""

from collections.abc import Sequence
from typing import Any

import rich.table
from rich.text import Text

from kerasbert.reporting.pictures import Table, printable
from kerasbert.reporting.sections import slice_table
from kerasbert.reporting.versus import comparison_tables


def slices_table(column: str, slices: Sequence[dict[str, Any]]) -> rich.table.Table:
    """Numbers of the parts of the rows, for `rich` to print."""
    return _printed(slice_table(column, slices), f"by {column}")


def comparison_table(comparison: dict[str, Any]) -> rich.table.Table:
    """The numbers of two runs and their differences, for `rich` to print."""
    said = comparison_tables(comparison)
    return _printed(said["table"], f"against {said['run']}")


def _printed(table: Table, title: str) -> rich.table.Table:
    printed = rich.table.Table(title=Text(printable(title)))
    for number, name in enumerate(table.header):
        printed.add_column(Text(name), justify="right" if number else "left", overflow="fold")
    for row in table.rows:
        # Where there is no room for a number and its interval, the interval goes below it.
        printed.add_row(*(Text(printable(cell)) for cell in row))
    return printed
