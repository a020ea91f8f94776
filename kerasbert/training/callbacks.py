"""What watches each step: its numbers, and a proof that frozen means frozen."""

import math
import time
import zlib
from collections.abc import Callable
from typing import NamedTuple

import keras
from rich.console import Console

from kerasbert.errors import TrainingError
from kerasbert.training.console import say


class StepNumbers(NamedTuple):
    """What a step gave.

    Attributes:
        loss: of the step alone, the mean over its examples.
        accuracy: likewise; None for regression.
        gradient_norm: length of its gradient before it was clipped.
        seconds: that it took: of a call that took several steps, an equal share.
    """

    loss: float
    accuracy: float | None
    gradient_norm: float
    seconds: float


class Steps(keras.callbacks.Callback):
    """Tells the numbers of each step of a `Stepwise` model, from the batches that make it.

    Args:
        on_steps: called with the steps of each call of Keras's, of which it may take several. Where
            it returns True the training stops.
        accumulation: batches that make one step.

    One object serves all epochs of a compiled model.
    """

    def __init__(self, on_steps: Callable[[list[StepNumbers]], bool], accumulation: int = 1):
        super().__init__()
        self._on_steps, self._accumulation = on_steps, accumulation

    def on_epoch_begin(self, epoch, logs=None):
        self._batches: list[list[float]] = []
        self._started = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self._batches += self.model.last_batches().tolist()
        size = self._accumulation
        num_steps = len(self._batches) // size
        if not num_steps:
            return
        now = time.perf_counter()
        seconds = (now - self._started) / num_steps
        self._started = now
        whole = [self._batches[size * step : size * (step + 1)] for step in range(num_steps)]
        self._batches = self._batches[size * num_steps :]
        if self._on_steps([_step(batches, seconds) for batches in whole]):
            self.model.stop_training = True


def _step(batches: list[list[float]], seconds: float) -> StepNumbers:
    # The weights of accumulated batches are in their losses already.
    loss, accuracy = (sum(batch[place] for batch in batches) / len(batches) for place in (0, 1))
    return StepNumbers(loss, None if math.isnan(accuracy) else accuracy, batches[-1][2], seconds)


class FreezingProof(keras.callbacks.Callback):
    """Compare every weight before and after the first step that is taken, bit for bit.

    Where Keras takes several steps in one call, after those of the first one.

    A frozen weight that moved is a `TrainingError`; so are live weights none of which moved.

    Args:
        console: where the result is written.
        classifier: the whole model, of which perhaps only a part is being trained.
        accumulation: batches that make one step.
    """

    def __init__(self, console: Console, classifier: keras.Model, accumulation: int = 1):
        super().__init__()
        self._console = console
        self._classifier = classifier
        self._accumulation = accumulation
        self._is_proven = False

    def on_train_begin(self, logs=None):
        if not self._is_proven:  # an epoch is a `fit` of its own
            self._before = self._fingerprints()

    def on_train_batch_end(self, batch, logs=None):
        if self._is_proven or (batch + 1) % self._accumulation:
            return
        after, before = self._fingerprints(), self._before
        first = self._first_steps(batch + 1)
        live = {variable.path for variable in self._classifier.trainable_weights}
        frozen = {variable.path for variable in self._frozen_weights()}
        moved = {path for path in after if after[path] != before[path]}
        if moved & frozen:
            raise TrainingError(
                f"The frozen weight {sorted(moved & frozen)[0]!r} moved in the {first}. "
                "Compile the model after freezing: what can be trained is read off then."
            )
        if not moved & live:
            # Scaled float16 gradients overflow at first, and such a step is skipped by design.
            if isinstance(self.model.optimizer, keras.optimizers.LossScaleOptimizer):
                return
            raise TrainingError(
                f"No weight moved in the {first}. Compile the model after freezing: what can be "
                "trained is read off then."
            )
        self._is_proven, self._before = True, None
        still = sorted(live - moved)
        say(
            self._console,
            f"after the {first}: {len(frozen)} frozen weights unchanged bit for bit, "
            f"{len(moved & live)} of {len(live)} others changed"
            + (f", not {', '.join(still[:3])}" if still else ""),
        )

    def _first_steps(self, num_batches: int) -> str:
        # Keras counts the batches that a call may take, of which an epoch may have fewer.
        num_batches = min(num_batches, self.params["steps"])
        num_steps = num_batches // self._accumulation
        return "first step" if num_steps == 1 else f"first {num_steps} steps"

    def _frozen_weights(self) -> list[keras.Variable]:
        # The statistics of batch normalisation are not trained, yet they move.
        return [
            variable
            for variable in self._classifier.non_trainable_weights
            if not variable.path.endswith(("moving_mean", "moving_variance"))
        ]

    def _fingerprints(self) -> dict[str, int]:
        weights = [*self._classifier.trainable_weights, *self._frozen_weights()]
        return {variable.path: zlib.crc32(variable.numpy().data) for variable in weights}
