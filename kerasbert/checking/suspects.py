"""Labels that may be wrong: those that a model which had not seen the row believes least."""

from pathlib import Path

import numpy as np

from kerasbert.checking.finding import Problem, Rows
from kerasbert.checking.labels import cell_number
from kerasbert.data.examples import cell_text, column_position
from kerasbert.data.tables import Table, open_table
from kerasbert.errors import InputError


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
    table = open_table(path)
    at = {
        name: column_position(table, name) for name in ("row", "prediction", *rows.examples.labels)
    }
    given = [[cell_text(value) for value in values] for _, values in table.rows()]
    index_of = _positions(rows, table, [cells[at["row"]] for cells in given])
    for column, cells in rows.examples.labels.items():
        for index, own in zip(index_of, given, strict=True):
            if own[at[column]].strip() != cells[index]:
                raise _other_file(
                    table, f"{rows.where(index)} has {cells[index]!r} in {column!r}, and there it "
                    f"is {own[at[column]]!r}",
                )  # fmt: skip
    if task == "regression":
        column = next(iter(rows.examples.labels))
        scores = _numbers(table, [cells[at["prediction"]] for cells in given], "prediction")
        own = np.array([cell_number(rows.examples.labels[column][index]) for index in index_of])
        found = [
            (-abs(score - label), index, f"the model says {score:.3g}")
            for score, label, index in zip(scores, own, index_of, strict=True)
        ]
    elif task == "multilabel":
        found = _suspect_cells(rows, table, given, index_of)
    else:
        found = _suspect_classes(rows, table, given, index_of)
    found = sorted((one for one in found if np.isfinite(one[0])), key=lambda one: one[:2])[:count]
    return Problem(
        "suspect_label",
        f"labels that the models of {Path(path).name} believe least",
        np.array([index for _, index, _ in found], np.int64),
        [detail for _, _, detail in found],
    )


def _suspect_classes(
    rows: Rows, table: Table, given: list[list[str]], index_of: np.ndarray
) -> list[tuple[float, int, str]]:
    ((column, cells),) = rows.examples.labels.items()
    position = {
        label: column_position(table, f"probability_{label}")
        for label in sorted({cells[index] for index in index_of})
    }
    says = column_position(table, "prediction")
    own = [row[position[cells[index]]] for index, row in zip(index_of, given, strict=True)]
    beliefs = _numbers(table, own, f"probability of {column}")
    return [
        (belief, index, f"the model says {row[says]!r}, and {cells[index]!r} with {belief:.3f}")
        for belief, index, row in zip(beliefs, index_of, given, strict=True)
    ]


def _suspect_cells(
    rows: Rows, table: Table, given: list[list[str]], index_of: np.ndarray
) -> list[tuple[float, int, str]]:
    found = []
    for column, cells in rows.examples.labels.items():
        name = f"probability_{column}"
        position = column_position(table, name)
        probabilities = _numbers(table, [row[position] for row in given], name)
        for probability, index in zip(probabilities, index_of, strict=True):
            own = cell_number(cells[index])  # NaN, which is believed neither, for an unknown one
            belief = probability if own else 1 - probability
            detail = f"{column} is {cells[index]}, which the model believes with {belief:.3f}"
            found.append((belief if np.isfinite(own) else np.nan, index, detail))
    return found


def _positions(rows: Rows, table: Table, numbers: list[str]) -> np.ndarray:
    """Where the rows of the predictions stand in the training file, by their numbers."""
    known = {number: index for index, number in enumerate(rows.examples.rows[: rows.num_train])}
    try:
        return np.array([known[int(number)] for number in numbers], np.int64)
    except KeyError as error:
        raise _other_file(table, f"{rows.names[0]} has no row {error.args[0]}") from None
    except ValueError:
        raise InputError(
            f"{table.path}: the column 'row' holds other things than row numbers. Expected the "
            "file that `python -m kerasbert.fit --folds` writes."
        ) from None


def _numbers(table: Table, cells: list[str], what: str) -> np.ndarray:
    numbers = np.array([cell_number(cell) for cell in cells])
    if not np.isfinite(numbers).all():
        bad = cells[int(np.flatnonzero(~np.isfinite(numbers))[0])]
        raise InputError(f"{table.path}: expected numbers as {what}. Received: {bad!r}.")
    return numbers


def _other_file(table: Table, reason: str) -> InputError:
    return InputError(
        f"{table.path} is not of this training file: {reason}. Name first the file that `python "
        "-m kerasbert.fit --folds` was given, as it was then."
    )
