"""Files of rows, one at a time: CSV, Parquet and JSON lines behind one face.

Nothing here holds a whole file in memory, and every complaint names the file and the row.
"""

import codecs
import csv
import dataclasses
import json
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
        rows: yields `(number, values)`; `number` is what a spreadsheet shows: the header of a CSV
            file is row 1, the first line of a JSON lines file is row 1; `values` is in the order
            of `columns`.
    """

    path: Path
    columns: tuple[str, ...]
    rows: Callable[[], Iterator[tuple[int, list[Any]]]]


def open_table(path: str | Path, encoding: str = "utf-8", errors: str = "strict") -> Table:
    """Open a file by its ending: .csv, .parquet, .jsonl or .ndjson.

    Args:
        path: the file.
        encoding: of CSV and JSON lines files. A byte order mark is passed over.
        errors: what becomes of bytes that are not in `encoding`: "strict" refuses the file, and
            "replace" reads each as U+FFFD.

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
    table = _READERS[path.suffix.lower()](path, encoding, errors)
    # A spreadsheet's empty columns have no name, and do no harm.
    named = [column for column in table.columns if column]
    if twice := [column for column in named if named.count(column) > 1]:
        raise InputError(f"{path}: the column {twice[0]!r} is there twice. Rename one of them.")
    if next(table.rows(), None) is None:
        header = "a header and " if table.columns else ""
        raise InputError(f"{path} has {header}no rows. Expected at least one.")
    return table


def decoding_problem(path: str | Path, encoding: str = "utf-8") -> str | None:
    """Where a file is not in `encoding` first, and what to do; None where it is, or is Parquet."""
    path = Path(path)
    if path.suffix.lower() == ".parquet":
        return None
    try:
        with _open_text(path, encoding) as file:
            while file.read(2**20):
                pass
    except UnicodeError:
        return str(_undecodable(path, encoding))
    return None


def _open_csv(path: Path, encoding: str, errors: str) -> Table:
    def records() -> Iterator[tuple[int, list[str]]]:
        # The csv module refuses fields of over 128 kB unless told, and only for all readers; the
        # largest number it takes is a C long.
        csv.field_size_limit(2**31 - 1)
        number = 0
        with _open_text(path, encoding, errors) as file:
            reader = csv.reader(file, strict=True)
            try:
                for number, record in enumerate(reader, start=1):
                    yield number, record
            except csv.Error as error:
                raise InputError(
                    f"{path}, row {number + 1}: the quoting is broken ({error}). Expected a cell "
                    'that holds quotes or commas to stand in "...", with each quote in it doubled.'
                ) from None
            except UnicodeError:
                raise _undecodable(path, encoding) from None

    header = next((record for _, record in records() if record), [])

    def rows() -> Iterator[tuple[int, list[str]]]:
        seen_header = False
        for number, record in records():
            if not record:
                continue  # a blank line
            if not seen_header:
                seen_header = True
                continue
            if len(record) < len(header) and not any(cell.strip() for cell in record):
                continue  # white space alone
            if len(record) != len(header):
                raise InputError(
                    f"{path}, row {number}: {len(record)} cells where the header has "
                    f"{len(header)}. A text that holds a comma must stand in quotes."
                )
            yield number, record

    return Table(path, tuple(header), rows)


def _open_json_lines(path: Path, encoding: str, errors: str) -> Table:
    def objects() -> Iterator[tuple[int, dict]]:
        with _open_text(path, encoding, errors) as file:
            try:
                for number, line in enumerate(file, start=1):
                    if not line.strip():
                        continue
                    try:
                        value = json.loads(line)
                    except (ValueError, RecursionError) as error:
                        reason = getattr(error, "msg", error)
                        raise InputError(f"{path}, row {number}: not JSON: {reason}.") from None
                    if not isinstance(value, dict):
                        raise InputError(
                            f"{path}, row {number}: expected an object with a key per column. "
                            f"Received: {line.strip()[:60]!r}."
                        )
                    if "\\ud" in line.lower() and _has_lone_surrogate(value):
                        raise InputError(
                            f"{path}, row {number}: half of a surrogate pair (\\ud...), which is "
                            "not Unicode. Write the character itself, or remove it."
                        )
                    yield number, value
            except UnicodeError:
                raise _undecodable(path, encoding) from None

    # A key may appear for the first time in the last line, so the columns need a pass of their own.
    columns = tuple(dict.fromkeys(key for _, value in objects() for key in value))

    def rows() -> Iterator[tuple[int, list[Any]]]:
        for number, value in objects():
            yield number, [value.get(column) for column in columns]

    return Table(path, columns, rows)


def _open_parquet(path: Path, encoding: str, errors: str) -> Table:
    import pyarrow
    import pyarrow.parquet

    def open_file() -> pyarrow.parquet.ParquetFile:
        try:
            return pyarrow.parquet.ParquetFile(path)
        except (OSError, pyarrow.ArrowException) as error:
            raise InputError(f"{path} is not a Parquet file: {str(error).rstrip('.')}.") from None

    with open_file() as file:
        columns = tuple(file.schema_arrow.names)

    def rows() -> Iterator[tuple[int, list[Any]]]:
        number = 0
        with open_file() as file:
            batches = file.iter_batches(READ_ROWS)
            while True:
                try:
                    batch = next(batches, None)
                    lists = [column.to_pylist() for column in batch.columns] if batch else []
                # Cells that Python cannot hold: broken UTF-8, a date after the year 9999.
                except (OSError, ValueError, OverflowError, pyarrow.ArrowException) as error:
                    raise InputError(
                        f"{path}, in the {READ_ROWS:,} rows after row {number}: {error}. Mend the "
                        "cell, or leave its column out."
                    ) from None
                if batch is None:
                    return
                for values in zip(*lists, strict=True):
                    number += 1
                    yield number, list(values)

    return Table(path, columns, rows)


_READERS = {
    ".csv": _open_csv,
    ".jsonl": _open_json_lines,
    ".ndjson": _open_json_lines,
    ".parquet": _open_parquet,
}


def _has_lone_surrogate(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def _open_text(path: Path, encoding: str, errors: str = "strict") -> TextIO:
    try:
        is_utf8 = codecs.lookup(encoding).name == "utf-8"
        # utf-8-sig is utf-8, but passes over a byte order mark.
        name = "utf-8-sig" if is_utf8 else encoding
        file = open(path, encoding=name, errors=errors, newline="")
    except (LookupError, ValueError):
        raise InputError(
            f"Unknown `encoding` {encoding!r}. Expected one that Python knows, such as 'utf-8', "
            "'cp1252' or 'utf-16'."
        ) from None
    if is_utf8 and b"\0" in file.buffer.peek(8192)[:8192]:
        file.close()
        raise InputError(
            f"{path} is a binary file. Expected text; if it is UTF-16, pass --encoding utf-16."
        )
    return file


def _undecodable(path: Path, encoding: str) -> InputError:
    """Find the first row that is not in `encoding`, and say so."""
    advice = "Pass --encoding with the right one (often cp1252), or save the file as UTF-8."
    try:
        # Undecodable bytes become lone surrogates, so the rows can be counted as they were.
        with _open_text(path, encoding, errors="surrogateescape") as file:
            lines = csv.reader(file) if path.suffix.lower() == ".csv" else ([line] for line in file)
            for number, record in enumerate(lines, start=1):
                for character in "".join(record):
                    if "\udc80" <= character <= "\udcff":
                        byte = ord(character) - 0xDC00
                        return InputError(
                            f"{path}, row {number}: the byte 0x{byte:02x} is not {encoding}. "
                            f"{advice}"
                        )
    except UnicodeError:
        pass  # encodings of several bytes have no way around a broken one
    return InputError(f"{path} is not {encoding}. {advice}")
