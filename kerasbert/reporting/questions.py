"""What a classifier decides, as questions that are answered with yes or no."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from kerasbert.judged import Judged
from kerasbert.tasks import UNKNOWN


@dataclasses.dataclass(frozen=True, eq=False)
class Question:
    """Whether a label is there, for the n examples of which that is known.

    Attributes:
        name: of the label.
        truth: bool of shape (n,).
        scores: probabilities of shape (n,).
        answers: what was decided, bool of shape (n,).
        threshold: of the probability that decides; None where it is compared with those of the
            other classes.
    """

    name: str
    truth: np.ndarray
    scores: np.ndarray
    answers: np.ndarray
    threshold: float | None

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """True and false positives, false and true negatives."""
        pairs = ((True, True), (False, True), (True, False), (False, False))
        return tuple(int(((self.truth == t) & (self.answers == a)).sum()) for t, a in pairs)

    @property
    def is_open(self) -> bool:
        """Whether there are examples of both kinds."""
        return bool(self.truth.any() and not self.truth.all())


def questions_of(judged: Judged) -> list[Question]:
    """One question for binary, about the second label; else one per label; none for regression."""
    labels, targets, outputs = judged.labels, judged.targets, judged.outputs
    if labels.task == "regression":
        return []
    if labels.task != "multilabel":
        columns = [1] if labels.task == "binary" else range(len(labels.names))
        return [
            Question(
                labels.names[column],
                targets == column,
                outputs[:, column],
                judged.decisions == column,
                labels.thresholds[column] if labels.task == "binary" else None,
            )
            for column in columns
        ]
    known = targets != UNKNOWN
    return [
        Question(
            name,
            targets[known[:, column], column] == 1,
            outputs[known[:, column], column],
            judged.decisions[known[:, column], column] == 1,
            labels.thresholds[column],
        )
        for column, name in enumerate(labels.names)
    ]


def hardest(questions: Sequence[Question], most: int) -> list[Question]:
    """Of those with examples of both kinds the ones with the lowest F1, in the given order."""
    still_open = [question for question in questions if question.is_open]
    kept = sorted(still_open, key=_f1)[:most]
    return [question for question in still_open if question in kept]


def _f1(question: Question) -> float:
    hits, false_alarms, missed, _ = question.counts
    return 2 * hits / (2 * hits + false_alarms + missed)
