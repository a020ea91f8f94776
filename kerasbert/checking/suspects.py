"""Labels that may be wrong: those that a model which had not seen the row believes least."""

import collections
import dataclasses
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from kerasbert.checking.finding import Problem, Rows
from kerasbert.checking.labels import cell_number
from kerasbert.data.examples import cell_text, column_position
from kerasbert.data.splitting import TEXT_DIGEST, text_digest
from kerasbert.data.tables import open_table
from kerasbert.errors import InputError

# How far a label is believed, the position of its row, and what to say of it.
_Doubt = tuple[float, int, str]


@dataclasses.dataclass(frozen=True)
class _Predictions:
    """What the models said of rows that they had not seen.

    Attributes:
        path: the file of it.
        index_of: where each row stands among all rows.
        columns: by name, a cell per row.
    """

    path: Path
    index_of: list[int]
    columns: dict[str, list[str]]

    def numbers(self, column: str) -> list[float]:
        """A column as numbers; an `InputError` where there is none."""
        if column not in self.columns:
            raise InputError(
                f"{self.path} has no column {column!r}. Expected a file that `python -m "
                "kerasbert.fit --folds` wrote for the same task."
            )
        numbers = [cell_number(cell) for cell in self.columns[column]]
        for cell, number in zip(self.columns[column], numbers, strict=True):
            if not math.isfinite(number):
                raise InputError(
                    f"{self.path}: expected numbers in the column {column!r}. Received: {cell!r}."
                )
        return numbers


def find_suspects(rows: Rows, task: str, path: str | Path, count: int) -> Problem:
    """The rows of the training file whose labels an out-of-fold model believes least.

    For classes, that is the probability of the row's own label; for multilabel, of each of its
    known cells; scores are compared with the predicted ones.

    Args:
        rows: of all files, the first of which was trained on in folds.
        task: a key of `kerasbert.tasks.TASKS`.
        path: the file of its rows' predictions, as `kerasbert.fit --folds` writes it.
        count: how many to name.

    Returns:
        A problem whose rows are in the order of suspicion; one may be there for several labels.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: the file is none of predictions, or is of another training file.
    """
    predictions = _read_predictions(rows, path)
    _check_task(predictions, task)
    if task == "regression":
        doubts = _doubts_of_scores(rows, predictions)
    elif task == "multilabel":
        doubts = _doubts_of_cells(rows, predictions)
    else:
        doubts = _doubts_of_classes(rows, predictions)
    doubts = sorted(doubts, key=lambda doubt: doubt[:2])[:count]
    return Problem(
        "suspect_label",
        f"labels that the models of {Path(path).name} believe least",
        np.array([index for _, index, _ in doubts], np.int64),
        [detail for _, _, detail in doubts],
    )


def _doubts_of_classes(rows: Rows, predictions: _Predictions) -> Iterator[_Doubt]:
    ((_, cells),) = rows.examples.labels.items()
    own = [cells[index] for index in predictions.index_of]
    believed = {label: predictions.numbers(f"probability_{label}") for label in dict.fromkeys(own)}
    for place, (index, label) in enumerate(zip(predictions.index_of, own, strict=True)):
        belief, says = believed[label][place], predictions.columns["prediction"][place]
        yield belief, index, f"{label!r} has probability {belief:.3f}, the model says {says!r}"


def _doubts_of_cells(rows: Rows, predictions: _Predictions) -> Iterator[_Doubt]:
    for column, cells in rows.examples.labels.items():
        probabilities = predictions.numbers(f"probability_{column}")
        for index, probability in zip(predictions.index_of, probabilities, strict=True):
            if cells[index]:  # an empty cell is unknown, and cannot be wrong
                belief = probability if cell_number(cells[index]) == 1 else 1 - probability
                yield belief, index, f"{column}={cells[index]} has probability {belief:.3f}"


def _doubts_of_scores(rows: Rows, predictions: _Predictions) -> Iterator[_Doubt]:
    ((_, cells),) = rows.examples.labels.items()
    says = predictions.numbers("prediction")
    for index, score in zip(predictions.index_of, says, strict=True):
        yield (
            -abs(score - cell_number(cells[index])),
            index,
            f"scored {cells[index]}, the model says {score:.3g}",
        )


def _check_task(predictions: _Predictions, task: str) -> None:
    """Refuse predictions of classes for scores, and the other way round."""
    has_classes = any(name.startswith("probability_") for name in predictions.columns)
    if has_classes == (task == "regression"):
        what = "scores, and no probabilities" if task == "regression" else "probabilities"
        raise InputError(
            f"{predictions.path} is of another task. Expected {what}, as `python -m kerasbert.fit "
            f"--folds` writes them for {task}."
        )


def _read_predictions(rows: Rows, path: str | Path) -> _Predictions:
    """Read the file, and hold it to the rows: their numbers, labels and, where it can, texts."""
    table = open_table(path)
    for name in ("row", "prediction", *rows.examples.labels):
        column_position(table, name)
    cells = zip(*(map(cell_text, values) for _, values in table.rows()), strict=True)
    columns = dict(zip(table.columns, map(list, cells), strict=True))
    index_of = _positions(rows, table.path, columns["row"])
    for column, given in rows.examples.labels.items():
        for index, cell in zip(index_of, columns[column], strict=True):
            if cell.strip() != given[index]:
                raise _of_another_file(
                    table.path,
                    f"{rows.where(index)} has {given[index]!r} in {column!r}, not {cell!r}",
                )
    for index, digest in zip(index_of, columns.get(TEXT_DIGEST, ()), strict=False):
        if digest != text_digest(rows.examples, index).hex():
            raise _of_another_file(table.path, f"{rows.where(index)} has another text")
    return _Predictions(table.path, index_of, columns)


def _positions(rows: Rows, path: Path, numbers: list[str]) -> list[int]:
    """Where the rows of the predictions stand in the training file, by their numbers."""
    known = {str(row): index for index, row in enumerate(rows.examples.rows[: rows.num_train])}
    for number in numbers:
        if number not in known or not rows.is_filled[known[number]]:
            raise _of_another_file(path, f"{rows.names[0]} has no text in row {number}")
    if len(set(numbers)) < len(numbers):
        ((number, count),) = collections.Counter(numbers).most_common(1)
        raise InputError(f"{path} has row {number} {count} times. Expected each row once.")
    return [known[number] for number in numbers]


def _of_another_file(path: Path, reason: str) -> InputError:
    return InputError(
        f"{path} is not of this training file: {reason}. Expected the file that `python -m "
        "kerasbert.fit --folds` wrote for the first of the files, as it is now."
    )
