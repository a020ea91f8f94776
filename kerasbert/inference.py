"""The one name a service imports: texts in, labels and probabilities out."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kerasbert import saving
from kerasbert.data.columns import Texts
from kerasbert.errors import InputError
from kerasbert.explaining.explanation import METHODS, STEPS, Explanation
from kerasbert.run import Run
from kerasbert.scoring import score


class Classifier:
    """A trained classifier. Safe to call from several threads.

    A text has the same probabilities alone and in a batch: to 1e-5 in float32; in bfloat16, which
    `run.running_precision` tells, to 0.0005 for 999 in 1,000 texts, and to 0.004 for 2,000 tweets.

    Args:
        run: from `kerasbert.fit_classifier` or `kerasbert.saving.load_run`.

    Attributes:
        labels: names of the output columns.
        task: `"binary"`, `"multiclass"`, `"multilabel"` or `"regression"`.
        thresholds: what decides, as `kerasbert.data.labels.Labels` has it.

    Example:
        >>> classifier = kerasbert.load("saved_weights/sample-minilm")
        >>> classifier.predict(["Thank you, that was kind."])
        ['civil']
    """

    def __init__(self, run: Run):
        self.run = run
        self.labels = list(run.labels.names)
        self.task = run.labels.task
        self.thresholds = run.labels.thresholds
        self._forward = run.forward  # traced here, not in whichever thread comes first

    def predict_proba(
        self, texts: Sequence[str], text_pairs: Sequence[str] | None = None
    ) -> np.ndarray:
        """Probabilities of each label, calibrated if the model was.

        Args:
            texts: strings; a list, an array or a pandas Series.
            text_pairs: the second texts of sentence pairs, as many as `texts`.

        Returns:
            float32 of shape (texts, labels). Rows add up to 1, except for multilabel, where each
            column stands for itself.

        Raises:
            InputError: not a list of strings, lists of unequal length, or a regression model.
        """
        if self.task == "regression":
            raise InputError("A regression model has scores and no probabilities: call predict.")
        return self.outputs(texts, text_pairs)

    def predict(self, texts: Sequence[str], text_pairs: Sequence[str] | None = None) -> list[Any]:
        """Decide with the thresholds kept with the model.

        Args:
            texts: strings; a list, an array or a pandas Series.
            text_pairs: the second texts of sentence pairs, as many as `texts`.

        Returns:
            One entry per text: a label name, or None for "don't know", which a multiclass model
            may be told to say; for multilabel a list of label names, perhaps empty; for regression
            a float.
        """
        return self.run.labels.decode(self.outputs(texts, text_pairs))

    def explain(
        self,
        texts: Sequence[str],
        text_pairs: Sequence[str] | None = None,
        *,
        label: str | None = None,
        method: str = METHODS[0],
        steps: int = STEPS,
    ) -> list[Explanation]:
        """What each word of each text contributes to the probability, or score, of a label.

        Args:
            texts: strings; a list, an array or a pandas Series.
            text_pairs: the second texts of sentence pairs, as many as `texts`.
            label: whose probability. Default: of binary labels the second; of several classes the
                one that `predict` gives; for multilabel the most probable.
            method: `"integrated-gradients"`, always in float32, whose contributions add up to a
                difference of two probabilities; or `"leave-out"`: what `predict_proba` loses by
                each word alone.
            steps: points at which gradients are taken, or more where they are too few.

        Raises:
            InputError: as `predict_proba`; an unknown label or method; or integrated gradients of
                a model that is not the native encoder's, or without TensorFlow.

        Example:
            >>> (explanation,) = classifier.explain(["You are a fool."])
            >>> [word.text for word in explanation.strongest(1)]
            ['fool.']
        """
        outputs = self.outputs(texts, text_pairs)
        pairs = None if text_pairs is None else list(text_pairs)
        return self._explainer.explain(
            list(texts), pairs, outputs, label=label, method=method, steps=steps
        )

    @functools.cached_property
    def _explainer(self):
        # Only here, since most who load a classifier explain nothing.
        from kerasbert.explaining.explainer import Explainer

        return Explainer(self.run)

    def outputs(self, texts: Sequence[str], text_pairs: Sequence[str] | None) -> np.ndarray:
        """Probabilities or, for regression, scores, of shape (texts, labels)."""
        return self.run.labels.calibrated(self.raw_outputs(texts, text_pairs))

    def raw_outputs(
        self, texts: Sequence[str], text_pairs: Sequence[str] | None = None
    ) -> np.ndarray:
        """The model's own outputs, before any calibration; shape (texts, labels)."""
        texts = _strings(texts, "texts")
        if text_pairs is None and self.run.pair_column is not None:
            raise InputError("The model was trained on pairs of texts: give the second ones, too.")
        if text_pairs is not None:
            if self.run.pair_column is None:
                raise InputError(
                    "The model was trained on single texts: leave the second ones out."
                )
            text_pairs = _strings(text_pairs, "text_pairs")
            if len(text_pairs) != len(texts):
                raise InputError(
                    f"Expected as many `text_pairs` as `texts`. Received: {len(text_pairs)} and "
                    f"{len(texts)}."
                )
        if len(texts) == 0:
            return np.empty((0, len(self.labels)), np.float32)
        return score(self._forward, self.run.input_names, self.run.tokenizer(texts, text_pairs))


def load(directory: str | Path, precision: str = "auto") -> Classifier:
    """Load a run that `python -m kerasbert.fit` wrote; needs no network.

    Args:
        directory: such as `"saved_weights/sample-minilm"`.
        precision: `"auto"` runs it as it was when its report was made, which by default is in
            bfloat16, about twice as fast, and in float32 where the processor does not multiply
            bfloat16; or `"float32"` or `"bfloat16"`.

    Raises:
        FileNotFoundError: there is no such directory.
        InputError: it is no run, or its weights are not those that were saved, do not fit the
            config, or do not answer as they did.
    """
    return Classifier(saving.load_run(directory, precision))


def _strings(values: Sequence[str], name: str) -> Sequence[str]:
    if isinstance(values, str):
        raise InputError(f"`{name}` must be a list of strings. Received: one string; put it in [].")
    if isinstance(values, Texts):
        return values  # perhaps larger than memory
    values = list(values)
    for index, value in enumerate(values):
        if not isinstance(value, str):
            raise InputError(
                f"`{name}` must hold strings. Received: {name}[{index}]={value!r} "
                f"({type(value).__name__})."
            )
    return values
