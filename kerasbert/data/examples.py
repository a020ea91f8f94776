"""Texts and label cells, read by column name and kept as words; numbers come later."""

import array
import dataclasses
import itertools
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasbert.data.columns import Texts, TextsBuilder
from kerasbert.data.tables import Table, open_table
from kerasbert.errors import InputError, InputWarning, did_you_mean


@dataclasses.dataclass(frozen=True)
class Examples:
    """Texts with their labels, all as strings.

    Attributes:
        texts: one per example, never empty unless all rows were asked for; any sequence of strings,
            kept as `Texts`.
        pairs: the second texts, likewise, or None where there are none.
        labels: column name to one cell per example; an empty string where the cell was.
        rows: where each example stands in `source`, as a spreadsheet counts; kept as an `array`.
        source: the file, for messages.
    """

    texts: Sequence[str]
    pairs: Sequence[str] | None
    labels: dict[str, list[str]]
    rows: Sequence[int]
    source: str

    def __post_init__(self):
        object.__setattr__(self, "texts", Texts.of(self.texts))
        if self.pairs is not None:
            object.__setattr__(self, "pairs", Texts.of(self.pairs))
        object.__setattr__(self, "rows", array.array("q", self.rows))

    def __len__(self) -> int:
        return len(self.texts)

    def take(self, indices: Sequence[int] | np.ndarray) -> "Examples":
        """The examples at `indices`, in that order."""
        indices = np.asarray(indices, np.int64)
        return dataclasses.replace(
            self,
            texts=self.texts.take(indices),
            pairs=None if self.pairs is None else self.pairs.take(indices),
            labels={
                column: [cells[index] for index in indices] for column, cells in self.labels.items()
            },
            rows=array.array("q", np.asarray(self.rows)[indices].tobytes()),
        )

    def joined(self, others: "Examples") -> "Examples":
        """These examples and then others with the same columns; `rows` are those of each file."""
        pairs = None if self.pairs is None else itertools.chain(self.pairs, others.pairs)
        return dataclasses.replace(
            self,
            texts=itertools.chain(self.texts, others.texts),
            pairs=pairs,
            labels={column: cells + others.labels[column] for column, cells in self.labels.items()},
            rows=self.rows + others.rows,
        )

    def where(self, index: int) -> str:
        """`"comments.csv, row 7"`, for messages about one example."""
        return f"{self.source}, row {self.rows[index]}"


def read_examples(
    path: str | Path,
    *,
    text_column: str = "text",
    pair_column: str | None = None,
    label_columns: Sequence[str] = ("label",),
    encoding: str = "utf-8",
    keeps_all: bool = False,
) -> Examples:
    """Read texts and label cells from a CSV, Parquet or JSON lines file.

    Rows whose text is empty or missing are dropped; an `InputWarning` gives their number. With
    `keeps_all` they stay, and a byte that is not in `encoding` becomes U+FFFD.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the file cannot be read, lacks a column, or has no row with a text.
    """
    table = open_table(path, encoding, "replace" if keeps_all else "strict")
    text_at = column_position(table, text_column)
    pair_at = None if pair_column is None else column_position(table, pair_column)
    labels_at = {column: column_position(table, column) for column in label_columns}

    texts, pairs, rows = TextsBuilder(), TextsBuilder(), array.array("q")
    # One string per different cell, not per row.
    known: dict[str, str] = {}
    labels: dict[str, list[str]] = {column: [] for column in label_columns}
    num_empty = 0
    for number, values in table.rows():
        text = cell_text(values[text_at])
        if not keeps_all and not text.strip():
            num_empty += 1
            continue
        texts.append(text)
        pairs.append("" if pair_at is None else cell_text(values[pair_at]))
        rows.append(number)
        for column, position in labels_at.items():
            cell = _label_text(values[position])
            labels[column].append(known.setdefault(cell, cell) if len(known) < 10_000 else cell)
    if num_empty:
        warnings.warn(
            f"{table.path}: dropped {num_empty:,} of {num_empty + len(rows):,} rows, "
            f"because {text_column!r} is empty there.",
            InputWarning,
            stacklevel=2,
        )
    if not rows:
        raise InputError(
            f"{table.path}: every row has an empty {text_column!r}. Name the column of the texts "
            "with --text-column."
        )
    pair_texts = None if pair_at is None else pairs.finish()
    return Examples(texts.finish(), pair_texts, labels, rows, str(table.path))


def read_texts(
    table: Table, text_column: str, pair_column: str | None
) -> Iterator[tuple[list[Any], str, str | None]]:
    """Yield every row of a table with its text and its second text, empty ones included."""
    text_at = column_position(table, text_column)
    pair_at = None if pair_column is None else column_position(table, pair_column)
    for _, values in table.rows():
        pair = None if pair_at is None else cell_text(values[pair_at])
        yield values, cell_text(values[text_at]), pair


def column_position(table: Table, column: str) -> int:
    """Where `column` stands among the table's columns; an `InputError` names the nearest."""
    if column not in table.columns:
        raise InputError(
            f"{table.path} has no column {column!r}.{did_you_mean(column, table.columns)} "
            f"Its columns: {', '.join(map(repr, table.columns))}."
        )
    return table.columns.index(column)


def cell_text(value: Any) -> str:
    """A cell as a string, empty for a missing one."""
    if value is None or value != value:  # NaN is the one value that differs from itself
        return ""
    if isinstance(value, bytes):  # Parquet knows text without an encoding
        return value.decode("utf-8", errors="replace")
    return str(value)


def _label_text(value: Any) -> str:
    """A label cell, written one way whatever the file's format wrote: 1 and 1.0 are `"1"`."""
    text = cell_text(value).strip()
    whole, _, fraction = text.partition(".")
    return whole if fraction and not fraction.strip("0") and whole.lstrip("+-").isdigit() else text
