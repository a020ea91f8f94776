"""Files of rows, one at a time: CSV, Parquet and JSON lines behind one face.

Nothing here holds a whole file in memory, and every complaint names the file and the row.
"""

import codecs
import csv
import dataclasses
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

from kerasbert.errors import InputError

READ_ROWS = 1000


@dataclasses.dataclass(frozen=True)
class Table:
    """The columns of a file, and its rows, read anew by each call of `rows`.

    Attributes:
        path: the file.
        columns: names of the columns, in the file's order.
        rows: yields `(number, values)`; `number` is what an editor shows: the header of a CSV file
            is row 1, the first line of a JSON lines file is row 1; `values` is in column order.
    """

    path: Path
    columns: tuple[str, ...]
    rows: Callable[[], Iterator[tuple[int, list[Any]]]]


def open_table(path: str | Path, encoding: str = "utf-8") -> Table:
    """Open a file by its ending: .csv, .parquet, .jsonl or .ndjson.

    Args:
        path: the file.
        encoding: of CSV and JSON lines files. A byte order mark is passed over.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the file is empty, not of its ending's format, or has no rows. Errors further
            down in the file are raised when `rows` gets there.
    """
    path = Path(path)
    if not path.is_file():
        what = "is a directory, not a file" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"The file {str(path)!r} {what}.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty. Expected a header and at least one row.")
    if path.suffix.lower() not in _READERS:
        raise InputError(
            f"{path}: expected a file ending in .csv, .parquet, .jsonl or .ndjson. "
            f"Received: {path.suffix or 'no ending'!r}."
        )
    table = _READERS[path.suffix.lower()](path, encoding)
    if next(table.rows(), None) is None:
        raise InputError(f"{path} has a header and no rows. Expected at least one row below it.")
    return table


def _open_csv(path: Path, encoding: str) -> Table:
    def records() -> Iterator[tuple[int, list[str]]]:
        # The csv module refuses fields of over 128 kB unless told, and only for all readers.
        csv.field_size_limit(sys.maxsize)
        number = 0
        with _open_text(path, encoding) as file:
            reader = csv.reader(file, strict=True)
            try:
                for number, record in enumerate(reader, start=1):
                    yield number, record
            except csv.Error as error:
                raise InputError(
                    f"{path}, row {number + 1}: the quoting is broken ({error}). Expected a cell "
                    'that holds quotes or commas to stand in "...", with each quote in it doubled.'
                ) from None
            except UnicodeDecodeError:
                raise _undecodable(path, encoding) from None

    header = next((record for _, record in records() if record), [])
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise InputError(f"{path}, row 1: the column {twice!r} is there twice. Rename one of them.")

    def rows() -> Iterator[tuple[int, list[str]]]:
        seen_header = False
        for number, record in records():
            if not record:
                continue  # a blank line
            if not seen_header:
                seen_header = True
                continue
            if len(record) > len(header):
                raise InputError(
                    f"{path}, row {number}: {len(record)} cells where the header has "
                    f"{len(header)}. A text that holds a comma must stand in quotes."
                )
            yield number, record + [""] * (len(header) - len(record))

    return Table(path, tuple(header), rows)


def _open_json_lines(path: Path, encoding: str) -> Table:
    def objects() -> Iterator[tuple[int, dict]]:
        with _open_text(path, encoding) as file:
            try:
                for number, line in enumerate(file, start=1):
                    if not line.strip():
                        continue
                    try:
                        value = json.loads(line)
                    except ValueError as error:
                        raise InputError(f"{path}, row {number}: not JSON: {error}.") from None
                    if not isinstance(value, dict):
                        raise InputError(
                            f"{path}, row {number}: expected an object with a key per column. "
                            f"Received: {line.strip()[:60]!r}."
                        )
                    yield number, value
            except UnicodeDecodeError:
                raise _undecodable(path, encoding) from None

    # A key may appear for the first time in the last line, so the columns need a pass of their own.
    columns = tuple(dict.fromkeys(key for _, value in objects() for key in value))

    def rows() -> Iterator[tuple[int, list[Any]]]:
        for number, value in objects():
            yield number, [value.get(column) for column in columns]

    return Table(path, columns, rows)


def _open_parquet(path: Path, encoding: str) -> Table:
    import pyarrow
    import pyarrow.parquet

    def open_file() -> pyarrow.parquet.ParquetFile:
        try:
            return pyarrow.parquet.ParquetFile(path)
        except pyarrow.ArrowException as error:
            raise InputError(f"{path} is not a Parquet file: {error}.") from None

    with open_file() as file:
        columns = tuple(file.schema_arrow.names)

    def rows() -> Iterator[tuple[int, list[Any]]]:
        number = 0
        with open_file() as file:
            for batch in file.iter_batches(READ_ROWS):
                for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                    number += 1
                    yield number, list(values)

    return Table(path, columns, rows)


_READERS = {
    ".csv": _open_csv,
    ".jsonl": _open_json_lines,
    ".ndjson": _open_json_lines,
    ".parquet": _open_parquet,
}


def _open_text(path: Path, encoding: str, errors: str = "strict") -> TextIO:
    try:
        name = codecs.lookup(encoding).name
    except LookupError:
        raise InputError(
            f"Unknown `encoding` {encoding!r}. Expected one that Python knows, such as 'utf-8', "
            "'cp1252' or 'utf-16'."
        ) from None
    if name == "utf-8":
        name = "utf-8-sig"  # the same, but for passing over a byte order mark
        with open(path, "rb") as binary:
            if b"\0" in binary.read(8192):
                raise InputError(
                    f"{path} is a binary file. Expected text; if it is UTF-16, pass "
                    "--encoding utf-16."
                )
    return open(path, encoding=name, errors=errors, newline="")


def _undecodable(path: Path, encoding: str) -> InputError:
    """Find the first row that is not in `encoding`, and say so."""
    advice = "Pass --encoding with the right one (often cp1252), or save the file as UTF-8."
    # Undecodable bytes become lone surrogates, so the rows can be counted as they were.
    with _open_text(path, encoding, errors="surrogateescape") as file:
        lines = csv.reader(file) if path.suffix.lower() == ".csv" else ([line] for line in file)
        for number, record in enumerate(lines, start=1):
            for character in "".join(record):
                if "\udc80" <= character <= "\udcff":
                    byte = ord(character) - 0xDC00
                    return InputError(
                        f"{path}, row {number}: the byte 0x{byte:02x} is not {encoding}. {advice}"
                    )
    return InputError(f"{path} is not {encoding}. {advice}")
