"""The rows to look at: the most confident mistakes, and the answers that nearly were others."""

import dataclasses

import numpy as np

from kerasbert.judged import Judged
from kerasbert.reporting.comparing import right_rows
from kerasbert.tasks import UNKNOWN

COUNT = 20
_MOST_CHARACTERS = 600


@dataclasses.dataclass(frozen=True)
class Case:
    """One row, for people.

    Attributes:
        where: its number in the file, as a spreadsheet counts.
        text: shortened where it is long.
        pair: the second text, likewise; None where there is none.
        truth: what is true.
        answer: what the model decided.
        why: the number that put it here.
    """

    where: int
    text: str
    pair: str | None
    truth: str
    answer: str
    why: str


def confident_mistakes(judged: Judged, count: int = COUNT) -> list[Case]:
    """The mistakes that the model was surest of, the surest first; for scores, the largest.

    For multilabel a row is as wrong as the worst of its labels.
    """
    labels, targets, outputs = judged.labels, judged.targets, judged.outputs
    if labels.task == "regression":
        errors = np.abs(outputs[:, 0].astype(float) - targets)
        return [_case(judged, row, f"{errors[row]:.3f} off") for row in _largest(errors, count)]
    if labels.task == "multilabel":
        wrong = (judged.decisions != targets) & (targets != UNKNOWN)
        sureness = np.where(wrong, np.abs(outputs - targets), -1)  # (n, labels)
        worst = sureness.argmax(axis=1)
        sureness = sureness.max(axis=1)
        return [
            _case(judged, row, f"{labels.names[worst[row]]} {outputs[row, worst[row]]:.3f}")
            for row in _largest(sureness, count)
            if sureness[row] >= 0
        ]
    # Not deciding is a mistake, but none to be sure of.
    wrong = ~right_rows(judged) & (judged.decisions >= 0)
    own = outputs[np.arange(len(outputs)), judged.decisions]
    sureness = np.where(wrong, own, -1)
    rows = [row for row in _largest(sureness, count) if wrong[row]]
    return [_case(judged, row, f"{own[row]:.3f}") for row in rows]


def least_sure(judged: Judged, count: int = COUNT) -> list[Case]:
    """The answers that the smallest change would turn; none for scores.

    For binary and multilabel these lie next to the threshold; for multiclass the two most probable
    classes are about as probable, each as a multiple of its threshold where there are any.
    """
    labels, outputs = judged.labels, judged.outputs.astype(float)
    if labels.task == "regression":
        return []
    if labels.task == "multiclass":
        ratios = outputs / (1 if labels.thresholds is None else np.array(labels.thresholds))
        order = np.argsort(-ratios, axis=1)[:, :2]
        first, second = (ratios[np.arange(len(ratios)), order[:, k]] for k in (0, 1))
        distance, names = first - second, labels.names
        return [
            _case(
                judged,
                row,
                " / ".join(f"{names[k]} {outputs[row, k]:.3f}" for k in order[row]),
            )
            for row in _largest(-distance, count)
        ]
    distances = np.abs(outputs - np.array(labels.thresholds))  # (n, labels)
    if labels.task == "binary":
        distances[:, 0] = np.inf
    nearest = distances.argmin(axis=1)
    return [
        _case(judged, row, f"{labels.names[nearest[row]]} {outputs[row, nearest[row]]:.3f}")
        for row in _largest(-distances.min(axis=1), count)
    ]


def _largest(values: np.ndarray, count: int) -> list[int]:
    """Rows of the largest values, the largest first, equal ones in the file's order."""
    if count < len(values):
        # Sorted alone are those that can be among them.
        bound = np.partition(values, len(values) - count)[len(values) - count]
        rows = np.flatnonzero(values >= bound)
    else:
        rows = np.arange(len(values))
    return rows[np.argsort(-values[rows], kind="stable")][:count].tolist()


def _case(judged: Judged, row: int, why: str) -> Case:
    examples = judged.examples
    return Case(
        examples.rows[row],
        _short(examples.texts[row]),
        None if examples.pairs is None else _short(examples.pairs[row]),
        _named(judged, judged.targets[row]),
        _named(judged, judged.decisions[row]),
        why,
    )


def _named(judged: Judged, value: np.ndarray) -> str:
    labels = judged.labels
    if labels.task == "regression":
        return f"{float(value):.3f}"
    if labels.task == "multilabel":
        on = [name for name, is_on in zip(labels.names, value == 1, strict=True) if is_on]
        return ", ".join(on) or "none"
    return "don't know" if value < 0 else labels.names[value]


def _short(text: str) -> str:
    if len(text) <= _MOST_CHARACTERS:
        return text
    return f"{text[:_MOST_CHARACTERS]} … ({len(text):,} characters)"
