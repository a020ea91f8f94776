"""Label cells that cannot be learned from, all of them, where training refuses the first."""

import collections
import math
import unicodedata
import warnings
from collections.abc import Sequence

import numpy as np

from kerasbert.checking.finding import Problem, Rows
from kerasbert.data.examples import Examples
from kerasbert.data.labels import find_labels, zero_or_one
from kerasbert.data.splitting import folded
from kerasbert.errors import InputError, InputWarning


def label_problems(rows: Rows, task: str) -> tuple[str, list[Problem]]:
    """What is odd about the labels, and what the task is.

    Args:
        rows: of all files.
        task: a key of `kerasbert.tasks.TASKS`, or `"auto"`.

    Returns:
        The task, as training would read it off the rows that can be used, and the problems.

    Raises:
        InputError: several columns for a task that needs one.
    """
    columns = rows.examples.labels
    if len(columns) > 1 and task not in ("auto", "multilabel"):
        raise InputError(
            f"--task {task} needs one label column. Received: {', '.join(map(repr, columns))}. "
            "Several 0/1 columns are --task multilabel."
        )
    is_missing = np.all([[cell == "" for cell in cells] for cells in columns.values()], axis=0)
    # The task is read off what can be used, which is known by the task: first as if of classes.
    guess = "multilabel" if task == "auto" and len(columns) > 1 else task
    unusable = _unusable(rows, guess)
    task, file_problems = _read_task(rows, is_missing, unusable, task)
    unusable = unusable if task == guess else _unusable(rows, task)
    return task, [
        _problem("missing_label", "no label", np.flatnonzero(is_missing)),
        _problem("unusable_label", "labels that cannot be learned", *_sorted(unusable)),
        *_similar_names(rows, task),
        *file_problems,
    ]


def count_labels(rows: Rows, task: str) -> dict[str, list[int]]:
    """By class, the rows of each file; for multilabel by column, those where it is 1; or nothing.

    Classes are in the order of their number of rows, columns in their own.
    """
    if task == "regression":
        return {}
    file_of = rows.file_of
    counts: dict[str, np.ndarray] = collections.defaultdict(lambda: np.zeros(len(rows.paths), int))
    for column, cells in rows.examples.labels.items():
        for file, cell in zip(file_of.tolist(), cells, strict=True):
            if task == "multilabel":
                counts[column][file] += zero_or_one(cell) == 1
            elif cell:
                counts[cell][file] += 1
    names = list(counts)
    if task != "multilabel":
        names.sort(key=lambda name: -counts[name].sum())
    return {name: counts[name].tolist() for name in names}


def score_ranges(rows: Rows, task: str) -> list[tuple[float, float, float] | None]:
    """Lowest, mean and highest score of each file; nothing for classes."""
    if task != "regression":
        return []
    (cells,) = rows.examples.labels.values()
    scores = np.array([cell_number(cell) for cell in cells])
    parts = np.split(scores, rows.ends[:-1])
    known = [part[np.isfinite(part)] for part in parts]
    return [
        (float(part.min()), float(part.mean()), float(part.max())) if len(part) else None
        for part in known
    ]


def cell_number(cell: str) -> float:
    """The cell as a number, NaN where it is none; true and false are 1 and 0, as in training."""
    try:
        return float({"true": "1", "false": "0"}.get(cell.lower(), cell))
    except ValueError:
        return math.nan


def _read_task(
    rows: Rows, is_missing: np.ndarray, unusable: dict[int, str], task: str
) -> tuple[str, list[Problem]]:
    """The task, and what is wrong with the training file as a whole."""
    is_usable = rows.is_filled & ~is_missing
    is_usable[list(unusable)] = False
    is_usable[rows.num_train :] = False
    examples = rows.examples.take(np.flatnonzero(is_usable))
    problems = []
    if len(examples) == 0:
        message = "no row has both a text and a label that can be learned"
        return _fallback(task, examples), [
            _problem("nothing_to_learn", f"{rows.names[0]}: {message}", None)
        ]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InputWarning)
        try:
            task = find_labels(examples, task).task
        except InputError as error:
            task = _fallback(task, examples)
            problems.append(_problem("nothing_to_learn", str(error).rstrip("."), None))
    problems += [
        Problem("constant_label", str(warning.message).rstrip("."), None) for warning in caught
    ]
    return task, problems


def _fallback(task: str, examples: Examples) -> str:
    """A task to speak of where training would find none."""
    if task != "auto":
        return task
    return "multilabel" if len(examples.labels) > 1 else "multiclass"


def _unusable(rows: Rows, task: str) -> dict[int, str]:
    """Cells that training refuses: by row, what is wrong with it."""
    found: dict[int, list[str]] = collections.defaultdict(list)
    for column, cells in rows.examples.labels.items():
        if task == "multilabel":
            bad = {cell for cell in set(cells) if zero_or_one(cell) is None}
            reason = f"{column!r} is neither 0 nor 1"
        elif task == "regression":
            bad = {cell for cell in set(cells) if cell and not math.isfinite(cell_number(cell))}
            reason = "is no number"
        else:
            return _unusable_classes(rows, cells)
        for index, cell in enumerate(cells):
            if cell in bad:
                found[index].append(f"{cell!r}: {reason}")
    return {index: "; ".join(reasons) for index, reasons in found.items()}


def _unusable_classes(rows: Rows, cells: Sequence[str]) -> dict[int, str]:
    trained_on = [
        cell
        for cell, is_filled in zip(cells[: rows.num_train], rows.is_filled, strict=False)
        if is_filled and cell
    ]
    counts = collections.Counter(trained_on)
    if len(counts) > len(trained_on) / 2 and all(
        math.isfinite(cell_number(cell)) for cell in counts
    ):
        return {}  # scores, of which each is there about once
    found = {}
    for index, cell in enumerate(cells):
        if cell and counts[cell] < 2:
            is_held_out = index >= rows.num_train
            if is_held_out and not counts[cell]:
                found[index] = f"{cell!r} is not in {rows.names[0]}"
            elif not is_held_out and rows.is_filled[index]:
                found[index] = f"{cell!r} is there once only"
    return found


def _similar_names(rows: Rows, task: str) -> list[Problem]:
    """Labels that read as the same: the rows of the rarer ones."""
    if task == "regression":
        return []
    columns = rows.examples.labels
    if task == "multilabel":
        groups = _by_folded_name(columns)
        return [
            _problem("similar_label_names", f"columns alike: {', '.join(map(repr, names))}", None)
            for names in groups
        ]
    (cells,) = columns.values()
    counts = collections.Counter(cells)
    usual = {}
    for names in _by_folded_name(counts):
        best = max(names, key=lambda name: counts[name])
        usual |= {name: f"{name!r} beside {best!r}" for name in names if name != best}
    found = {index: usual[cell] for index, cell in enumerate(cells) if cell in usual}
    summary = "label names that differ only in case, spaces or what is invisible"
    return [_problem("similar_label_names", summary, *_sorted(found))]


def _by_folded_name(names: Sequence[str]) -> list[list[str]]:
    """Names that are the same but for case, spaces and invisible characters, where several are.

    So are `1` and `true`, as they are in a column of 0 and 1.
    """
    groups = collections.defaultdict(list)
    for name in names:
        groups[_read_as(name)].append(name)
    return [group for group in groups.values() if len(group) > 1]


def _read_as(name: str) -> str:
    """What a reader takes a label for."""
    name = "".join(
        letter
        for letter in unicodedata.normalize("NFKC", name)
        if unicodedata.category(letter) not in ("Cc", "Cf")
    )
    name = folded(name).replace(" ", "")
    return {"true": "1", "false": "0"}.get(name, name)


def _sorted(found: dict[int, str]) -> tuple[np.ndarray, list[str]]:
    indices = sorted(found)
    return np.array(indices, np.int64), [found[index] for index in indices]


def _problem(
    name: str, summary: str, indices: np.ndarray | None, details: Sequence[str] | None = None
) -> Problem:
    return Problem(name, summary, indices, details, is_serious=True)
