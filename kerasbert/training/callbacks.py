"""What watches each step: its numbers, and a proof that frozen means frozen."""

import time
import zlib
from collections.abc import Callable

import keras
import tensorflow as tf
from rich.console import Console

from kerasbert.errors import TrainingError
from kerasbert.training.console import say


class Steps(keras.callbacks.Callback):
    """Tells the numbers of each step as it is taken, from the batches that make it.

    Args:
        on_step: called after each step with `loss` and `accuracy` (None for regression), those of
            the step alone, and `seconds`. Where it returns True the training stops.
        accumulation: batches that make one step.

    One object serves all epochs of a compiled model.
    """

    def __init__(
        self, on_step: Callable[[float, float | None, float], bool], accumulation: int = 1
    ):
        super().__init__()
        self._on_step, self._accumulation = on_step, accumulation
        self._reset_metrics: Callable | None = None

    def on_epoch_begin(self, epoch, logs=None):
        self._batches: list[dict] = []
        self._started = time.perf_counter()

    def on_train_batch_begin(self, batch, logs=None):
        # Keras gives means since the epoch began; so they are means over one batch. Before the
        # first one Keras resets them itself, and has not built all of them yet.
        if batch == 0:
            return
        if self._reset_metrics is None:
            self._reset_metrics = _one_call_to_reset(self.model.metrics_variables)
        self._reset_metrics()

    def on_train_batch_end(self, batch, logs=None):
        self._batches.append(logs)
        if len(self._batches) < self._accumulation:
            return
        # The weights of accumulated batches are in their losses already.
        loss, accuracy = (
            sum(logs[name] for logs in self._batches) / self._accumulation if name in logs else None
            for name in ("loss", "accuracy")
        )
        self._batches = []
        now = time.perf_counter()
        if self._on_step(loss, accuracy, now - self._started):
            self.model.stop_training = True
        self._started = now


def _one_call_to_reset(variables: list[keras.Variable]) -> Callable:
    """Reset metrics; Keras makes a call for each variable, which a small head's step feels."""

    @tf.function
    def reset():
        for variable in variables:
            variable.assign(keras.ops.zeros_like(variable))

    return reset


class FreezingProof(keras.callbacks.Callback):
    """Compare every weight before and after the first step that is taken, bit for bit.

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
        live = {variable.path for variable in self._classifier.trainable_weights}
        frozen = {variable.path for variable in self._frozen_weights()}
        moved = {path for path in after if after[path] != before[path]}
        if moved & frozen:
            raise TrainingError(
                f"The frozen weight {sorted(moved & frozen)[0]!r} moved in the first step. "
                "Compile the model after freezing: what can be trained is read off then."
            )
        if not moved & live:
            # Scaled float16 gradients overflow at first, and such a step is skipped by design.
            if isinstance(self.model.optimizer, keras.optimizers.LossScaleOptimizer):
                return
            raise TrainingError(
                "No weight moved in the first step. Compile the model after freezing: what can be "
                "trained is read off then."
            )
        self._is_proven, self._before = True, None
        still = sorted(live - moved)
        say(
            self._console,
            f"after the first step: {len(frozen)} frozen weights unchanged bit for bit, "
            f"{len(moved & live)} of {len(live)} others changed"
            + (f", not {', '.join(still[:3])}" if still else ""),
        )

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
