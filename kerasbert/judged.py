"""Examples with what is true of them and what a model says of them."""

import dataclasses
import functools
from typing import Any

import numpy as np

from kerasbert.data.examples import Examples
from kerasbert.data.labels import Labels
from kerasbert.metrics import build_report


@dataclasses.dataclass(frozen=True)
class Judged:
    """n labelled examples that a model has looked at.

    Attributes:
        labels: what the outputs mean and how they are decided.
        examples: of length n.
        raw: the model's own outputs, before calibration, float32 of shape (n, labels).
    """

    labels: Labels
    examples: Examples
    raw: np.ndarray

    def __len__(self) -> int:
        return len(self.examples)

    @functools.cached_property
    def targets(self) -> np.ndarray:
        """What is true, as `Labels.encode` has it."""
        return self.labels.encode(self.examples)

    @functools.cached_property
    def outputs(self) -> np.ndarray:
        """Probabilities, calibrated where the labels say so, or scores; shape (n, labels)."""
        return self.labels.calibrated(self.raw)

    @functools.cached_property
    def decisions(self) -> np.ndarray:
        """What is decided, as `Labels.decide` has it."""
        return self.labels.decide(self.outputs)

    @functools.cached_property
    def report(self) -> dict[str, Any]:
        """The numbers, as `kerasbert.metrics.build_report` gives them."""
        return build_report(self.labels, self.targets, self.outputs)

    def decided_by(self, labels: Labels) -> "Judged":
        """The same outputs, decided by other thresholds or another calibration."""
        return dataclasses.replace(self, labels=labels)
