"""What a training was like, step by step: rows for `history.csv`, and for whoever watches."""

import csv
from pathlib import Path
from typing import Any

COLUMNS = (
    *("kind", "epoch", "step", "loss", "accuracy", "learning_rate", "gradient_norm"),
    *("examples_per_second", "memory_mb"),
    *("val_loss", "val_accuracy", "val_macro_f1", "val_roc_auc", "val_pearson"),
)
_WHOLE = ("epoch", "step")

Row = dict[str, Any]


class History:
    """Rows as they come, in memory and, as soon as they are there, in a file.

    A row has a value or None for each of `COLUMNS`: `kind` is `"step"` or `"epoch"`; `loss` and
    `accuracy` are those of the step's batch or the means over the epoch; `gradient_norm` is the
    length before clipping; `memory_mb` what the process holds; `val_...` are of epochs alone.

    Args:
        path: the file; None keeps them in memory alone.
        num_rows: rows of the file that are kept; what follows them is taken again.
    """

    def __init__(self, path: Path | None = None, num_rows: int = 0):
        self.rows = read_history(path)[:num_rows] if path is not None and num_rows else []
        self._file = None
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            # At once, so that the rows are there even if the process ends here.
            beside = path.with_name(f".{path.name}")
            write_history(beside, self.rows)
            beside.replace(path)
            # Line by line, so that it can be watched while it grows.
            self._file = open(path, "a", newline="", encoding="utf-8", buffering=1)
            self._writer = csv.DictWriter(self._file, COLUMNS, lineterminator="\n")

    def add(self, **values: Any) -> Row:
        """Add a row, and give it back with all its columns."""
        row = dict.fromkeys(COLUMNS) | values
        self.rows.append(row)
        if self._file is not None:
            try:
                self._writer.writerow(row)
            except OSError as error:
                raise OSError(
                    f"{self._file.name} could not be written: {error.strerror}. Free some space "
                    "and go on with --resume."
                ) from None
        return row

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def write_history(path: Path, rows: list[Row]) -> None:
    """Write rows as `history.csv`."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_history(path: Path) -> list[Row]:
    """The rows of a `history.csv`, with the very numbers that were written.

    A last line that was cut off is left out.
    """
    with open(path, newline="", encoding="utf-8") as file:
        # A number of which the end is missing would pass for a number.
        lines = [line for line in file if line.endswith("\n")]
    rows = [row for row in csv.reader(lines) if len(row) == len(COLUMNS)]
    return [
        {name: _value(name, cell) for name, cell in zip(COLUMNS, row, strict=True)}
        for row in rows[1:]
    ]


def _value(name: str, cell: str) -> Any:
    if cell == "":
        return None
    if name == "kind":
        return cell
    return int(cell) if name in _WHOLE else float(cell)
