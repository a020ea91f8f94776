"""A classifier and texts to what each word contributes."""

import functools
from collections.abc import Sequence

import numpy as np

from kerasbert.data.labels import Labels
from kerasbert.errors import InputError, did_you_mean
from kerasbert.explaining.explanation import MAX_STEPS, METHODS, STEPS, Explanation
from kerasbert.explaining.integrated_gradients import PathIntegrator
from kerasbert.explaining.leaving_out import leave_out
from kerasbert.explaining.words import read_texts
from kerasbert.run import Run
from kerasbert.tasks import UNSURE

# Texts whose variants are in memory together.
_CHUNK = 64


class Explainer:
    """Explains the answers of a classifier; keeps what explaining one text needs for the next.

    Args:
        run: the classifier.
    """

    def __init__(self, run: Run):
        self._run = run

    def explain(
        self,
        texts: Sequence[str],
        pairs: Sequence[str] | None,
        outputs: np.ndarray,
        *,
        label: str | None = None,
        method: str = METHODS[0],
        steps: int = STEPS,
    ) -> list[Explanation]:
        """What each word of each text contributes to the probability of a label.

        Args:
            texts: n strings.
            pairs: the second texts, as many, or None.
            outputs: the classifier's for them: calibrated probabilities, or scores, of shape
                (n, labels).
            label: whose probability; None as `explained_column` has it.
            method: an entry of `METHODS`.
            steps: points that integrated gradients begin with.

        Raises:
            InputError: an unknown label or method, `steps` below 1 or above `MAX_STEPS`, or a
                method that this run does not allow.
        """
        if method not in METHODS:
            raise InputError(
                f"`method` must be one of {', '.join(map(repr, METHODS))}. Received: "
                f"method={method!r}.{did_you_mean(method, METHODS)}"
            )
        if not 1 <= steps <= MAX_STEPS:
            raise InputError(
                f"`steps` must be at least 1 and at most {MAX_STEPS:,}. Received: steps={steps!r}."
            )
        columns = [explained_column(self._run.labels, row, label) for row in outputs]
        found: list[Explanation] = []
        for start in range(0, len(texts), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            some_pairs = None if pairs is None else pairs[chunk]
            readings = read_texts(self._run.tokenizer, texts[chunk], some_pairs)
            if method == "leave-out":
                found += leave_out(self._run, readings, columns[chunk], outputs[chunk])
                continue
            found += [
                self._integrator.explain(reading, column, steps)
                for reading, column in zip(readings, columns[chunk], strict=True)
            ]
        return found

    @functools.cached_property
    def _integrator(self) -> PathIntegrator:
        return PathIntegrator(self._run)


def explained_column(labels: Labels, outputs: np.ndarray, label: str | None = None) -> int:
    """Which output column is explained.

    Args:
        labels: what the columns mean.
        outputs: of one text, calibrated, of shape (labels,).
        label: the column's name. None: of binary labels the second, which is the one that the
            threshold is of; of several classes the one that is decided for, or the most probable
            where the answer is "don't know"; for multilabel the most probable; for regression the
            score.

    Raises:
        InputError: there is no such label.
    """
    if label is None and labels.task == "multiclass":
        number = int(labels.decide(outputs[None])[0])
        return int(np.argmax(outputs)) if number == UNSURE else number
    if label is None:
        return 1 if labels.task == "binary" else int(np.argmax(outputs))
    if label not in labels.names:
        raise InputError(
            f"`label` must be one of {', '.join(map(repr, labels.names))}. Received: "
            f"label={label!r}.{did_you_mean(label, labels.names)}"
        )
    return labels.names.index(label)
