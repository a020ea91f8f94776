"""Label names and columns of numbers: which is which, and whether the cells make sense."""

import collections
import dataclasses
import math
import warnings
from typing import Any

import numpy as np

from kerasbert.data.calibration import Calibration
from kerasbert.data.chosen import Chosen
from kerasbert.data.examples import Examples
from kerasbert.errors import InputError, InputWarning, did_you_mean
from kerasbert.tasks import TASKS, UNKNOWN, UNSURE

# A column of 0 and 1 with so few other cells, or so small a share of them, is meant as one of 0 and
# 1 alone.
_FEW, _FEW_SHARE = 2, 0.1


@dataclasses.dataclass(frozen=True)
class Labels:
    """What the model's output columns mean.

    Attributes:
        task: a key of `kerasbert.tasks.TASKS`.
        columns: the files' label columns.
        names: one name per output column.
        thresholds: one per output column, 0 to 1, for binary (where the second one decides) and
            multilabel: what has that probability is decided for, and at 1 nothing is. For
            multiclass the class wins whose probability is the largest multiple of its threshold;
            None where it is the largest probability. None for regression.
        unsure_below: for multiclass, the probability below which the answer is "don't know".
        calibration: what corrects the model's probabilities, if anything does.
        chosen: how thresholds and calibration were chosen, for people.
    """

    task: str
    columns: tuple[str, ...]
    names: tuple[str, ...]
    thresholds: tuple[float, ...] | None = None
    unsure_below: float | None = None
    calibration: Calibration | None = None
    chosen: Chosen | None = None

    def __post_init__(self):
        if self.task not in TASKS:
            raise InputError(
                f"`task` must be one of {', '.join(map(repr, TASKS))}. Received: {self.task!r}."
            )
        if len(set(self.names)) < len(self.names) or not self.names:
            raise InputError(f"`names` must be different names. Received: names={self.names!r}.")
        self._check_decision()

    def encode(self, examples: Examples) -> np.ndarray:
        """Label cells to numbers.

        Returns:
            Class numbers, int32 of shape (n,), for binary and multiclass; 0, 1 or `UNKNOWN`,
            float32 of shape (n, labels), for multilabel; scores, float32 of shape (n,), for
            regression.

        Raises:
            InputError: a cell that does not fit, or a label that was not there in training.
        """
        if self.task == "multilabel":
            columns = [_encode_zero_one(examples, column) for column in self.columns]
            return np.array(columns, dtype=np.float32).T
        if self.task == "regression":
            return _encode_scores(examples, self.columns[0])
        return self._encode_classes(examples)

    def calibrated(self, outputs: np.ndarray) -> np.ndarray:
        """A model's own outputs of shape (n, labels) to probabilities, or scores, to go by."""
        if self.calibration is None:
            return outputs
        return self.calibration(outputs, is_softmax=self.task != "multilabel")

    def decide(self, outputs: np.ndarray) -> np.ndarray:
        """Calibrated outputs of shape (n, labels) to decisions.

        Returns:
            Class numbers, int32 of shape (n,), `UNSURE` where the answer is "don't know"; 0 or 1
            per label, int32 of shape (n, labels), for multilabel; scores (n,) for regression.
        """
        decisions = TASKS[self.task].decide(outputs, self.thresholds)
        if self.unsure_below is not None:
            of_answer = np.take_along_axis(outputs, decisions[:, None], axis=1)[:, 0]
            decisions[of_answer < self.unsure_below] = UNSURE
        return decisions

    def decode(self, outputs: np.ndarray) -> list[Any]:
        """Calibrated outputs of shape (n, labels) to one decision each.

        Returns:
            Label names, None for "don't know"; lists of label names for multilabel; floats for
            regression.
        """
        decisions = self.decide(outputs)
        if self.task == "regression":
            return decisions.tolist()
        if self.task == "multilabel":
            return [
                [name for name, is_on in zip(self.names, row, strict=True) if is_on]
                for row in decisions
            ]
        return [None if number == UNSURE else self.names[number] for number in decisions]

    def _check_decision(self) -> None:
        needs = {"binary": True, "multilabel": True, "multiclass": None, "regression": False}
        if needs[self.task] not in (None, self.thresholds is not None):
            raise InputError(
                "`thresholds` must be given for binary and multilabel, and null for regression. "
                f"Received: thresholds={self.thresholds!r} for {self.task}."
            )
        # A class of multiclass wins by multiples of its threshold, so 0 would always win.
        lowest = math.ulp(0) if self.task == "multiclass" else 0
        if self.thresholds is not None and not (
            len(self.thresholds) == len(self.names)
            and all(lowest <= t <= 1 for t in self.thresholds)
        ):
            raise InputError(
                f"`thresholds` must be {len(self.names)} numbers from 0 to 1, one per name. "
                f"Received: thresholds={self.thresholds!r}."
            )
        if self.unsure_below is not None and not (
            self.task == "multiclass" and 0 <= self.unsure_below <= 1
        ):
            raise InputError(
                "`unsure_below` must be a number from 0 to 1, for multiclass alone. "
                f"Received: unsure_below={self.unsure_below!r} for {self.task}."
            )
        if self.calibration is not None:
            parts = len(self.names) if self.task == "multilabel" else 1
            if self.calibration.method == "isotonic" and self.task == "multiclass":
                parts = len(self.names)
            if self.task == "regression" or self.calibration.num_parts != parts:
                raise InputError(
                    f"`calibration` must have {parts} {self.calibration.method} parts, and be null "
                    f"for regression. Received: {self.calibration.num_parts} for {self.task}."
                )

    def _encode_classes(self, examples: Examples) -> np.ndarray:
        column = self.columns[0]
        numbers = {name: number for number, name in enumerate(self.names)}
        encoded = np.empty(len(examples), dtype=np.int32)
        for index, cell in enumerate(examples.labels[column]):
            if cell not in numbers:
                problem = f"the label {cell!r} was not there in training" if cell else "no label"
                raise InputError(
                    f"{examples.where(index)}, column {column!r}: {problem}."
                    f"{did_you_mean(cell, self.names)} Expected one of "
                    f"{', '.join(map(repr, self.names[:20]))}."
                )
            encoded[index] = numbers[cell]
        return encoded


def default_thresholds(task: str, num_labels: int) -> tuple[float, ...] | None:
    """What decides as long as nothing else was chosen."""
    return (0.5,) * num_labels if task in ("binary", "multilabel") else None


def find_labels(examples: Examples, task: str = "auto") -> Labels:
    """Read the task, where it is `"auto"`, and the label names off the training examples.

    Raises:
        InputError: one class only, a class that is there once only, or cells that do not fit.
    """
    columns = tuple(examples.labels)
    task = _guess_task(examples) if task == "auto" else task
    if task == "multilabel":
        _check_multilabel(examples)
        return Labels(task, columns, columns, default_thresholds(task, len(columns)))
    if len(columns) > 1:
        raise InputError(
            f"--task {task} needs one label column. Received: {', '.join(map(repr, columns))}. "
            "Several 0/1 columns are --task multilabel."
        )
    if task == "regression":
        if np.ptp(_encode_scores(examples, columns[0])) == 0:
            raise InputError(f"{examples.source}: all scores in {columns[0]!r} are the same.")
        return Labels(task, columns, columns)
    names = _class_names(examples, columns[0])
    if task == "binary" and len(names) != 2:
        first = examples.labels[columns[0]].index(names[-1])
        raise InputError(
            f"{examples.source}: --task binary needs two different values in column "
            f"{columns[0]!r}, found {len(names)}: {', '.join(map(repr, names[:10]))} "
            f"(the last one first in row {examples.rows[first]})."
        )
    return Labels(task, columns, names, default_thresholds(task, len(names)))


def _guess_task(examples: Examples) -> str:
    if len(examples.labels) > 1:
        return "multilabel"
    ((column, cells),) = examples.labels.items()
    counts = collections.Counter(cells)
    odd = [cell for cell in counts if cell and not _is_integer(cell)]
    num_odd = sum(counts[cell] for cell in odd)
    is_zero_one = counts["0"] and counts["1"] and set(counts) <= {"0", "1", "", *odd}
    if odd and is_zero_one and num_odd <= max(_FEW, _FEW_SHARE * len(cells)):
        raise InputError(
            f"{examples.where(cells.index(odd[0]))}, column {column!r}: {odd[0]!r} in a 0/1 "
            "column. Mend the cell, or name the task with --task."
        )
    if odd and all(math.isfinite(_number(cell)) for cell in counts):
        return "regression"
    return "binary" if len(counts) == 2 else "multiclass"


def _class_names(examples: Examples, column: str) -> tuple[str, ...]:
    cells = examples.labels[column]
    counts = collections.Counter(cells)
    if "" in counts:
        raise InputError(
            f"{examples.where(cells.index(''))}, column {column!r}: no label. Fill it in or remove "
            f"the row ({counts['']:,} of {len(cells):,} rows have none)."
        )
    if len(counts) == 1:
        raise InputError(
            f"{examples.source}, column {column!r}: the only class is {cells[0]!r}. "
            "Expected at least two; add rows of another, or name the right --label-columns."
        )
    once = [name for name, count in counts.items() if count == 1]
    if once:
        hint = " If the column holds scores, pass --task regression." if len(once) > 10 else ""
        raise InputError(
            f"{examples.where(cells.index(once[0]))}, column {column!r}: the label {once[0]!r} is "
            f"there once only, so it cannot be both learned and validated. Expected at least two "
            f"rows; correct, merge or remove it.{hint}"
        )
    return tuple(sorted(counts, key=lambda name: (_number(name), name)))


def _check_multilabel(examples: Examples) -> None:
    constant = []
    for column in examples.labels:
        known = {value for value in _encode_zero_one(examples, column) if value != UNKNOWN}
        if len(known) < 2:
            constant.append(column)
    if len(constant) == len(examples.labels):
        raise InputError(
            f"{examples.source}: no label column holds both 0 and 1. Expected at least one that "
            f"does. Received: {', '.join(map(repr, constant))}."
        )
    if constant:
        warnings.warn(
            f"{examples.source}: nothing to learn in {', '.join(map(repr, constant))}: all of its "
            "known cells are the same.",
            InputWarning,
            stacklevel=2,
        )


def zero_or_one(cell: str) -> float | None:
    """What a cell of a 0/1 column says: 0.0, 1.0, or `UNKNOWN` where it is empty; else None."""
    value = UNKNOWN if cell == "" else _number(cell)
    return None if value not in (0.0, 1.0, UNKNOWN) or cell.startswith("-") else value


def _encode_zero_one(examples: Examples, column: str) -> list[float]:
    encoded = []
    for index, cell in enumerate(examples.labels[column]):
        value = zero_or_one(cell)
        if value is None:
            raise InputError(
                f"{examples.where(index)}, column {column!r}: expected 0, 1 or nothing (unknown). "
                f"Received: {cell!r}."
            )
        encoded.append(value)
    return encoded


def _encode_scores(examples: Examples, column: str) -> np.ndarray:
    scores = np.array([_number(cell) for cell in examples.labels[column]], dtype=np.float32)
    if not np.isfinite(scores).all():
        index = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise InputError(
            f"{examples.where(index)}, column {column!r}: expected a number. "
            f"Received: {examples.labels[column][index]!r}."
        )
    return scores


def _number(cell: str) -> float:
    """The cell as a number; infinity, which sorts last, where it is none."""
    cell = {"true": "1", "false": "0"}.get(cell.lower(), cell)
    try:
        value = float(cell)
    except ValueError:
        return math.inf
    return math.inf if math.isnan(value) else value


def _is_integer(cell: str) -> bool:
    value = _number(cell)
    return math.isfinite(value) and value == int(value)
