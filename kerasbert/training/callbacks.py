"""What watches a training: bars for people, a stop at NaN, a proof that frozen means frozen."""

import contextlib
import math
import time
import zlib
from collections.abc import Callable, Iterator

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text

from kerasbert.errors import TrainingError


def say(console: Console, text: str) -> None:
    """Write a line as it is: neither broken at the terminal's width nor read as markup."""
    console.print(Text(text), soft_wrap=True)


@contextlib.contextmanager
def encoding_bar(console: Console) -> Iterator[Callable[[int, int], None]]:
    """A bar for the texts that a frozen base encodes; gives the function that moves it."""
    with Progress(
        TextColumn("encoding"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}/{task.total:,} texts"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    ) as progress:
        bar = progress.add_task("encoding", total=0)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


class ProgressBars(keras.callbacks.Callback):
    """A bar with examples per second while an epoch runs, and a line of numbers after it.

    A context manager, so that the terminal is whole again however the training ends.

    Args:
        console: where to draw; on anything but a terminal only the lines are written.
        num_examples: training examples per epoch.
    """

    def __init__(self, console: Console, num_examples: int):
        super().__init__()
        self._console = console
        self._num_examples = num_examples

        self._progress = None

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self._progress is not None:
            self._progress.stop()

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = f"epoch {epoch + 1}/{self.params['epochs']}"
        self._started = time.perf_counter()
        self._training_seconds = None
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f}/{task.total:,} examples"),
            TextColumn("{task.fields[numbers]}"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._bar = self._progress.add_task(self._epoch, total=self._num_examples, numbers="")
        self._progress.start()

    def on_train_batch_end(self, batch, logs=None):
        # The dataset's batches differ by one example at most, so their share is exact enough.
        done = self._num_examples * (batch + 1) / self.params["steps"]
        speed = done / (time.perf_counter() - self._started)
        numbers = f"{speed:,.0f} examples/s  loss {logs['loss']:.4f}"
        self._progress.update(self._bar, completed=done, numbers=numbers)

    def on_test_begin(self, logs=None):
        self._training_seconds = time.perf_counter() - self._started
        self._progress.update(self._bar, description=f"{self._epoch}, validating")

    def on_epoch_end(self, epoch, logs=None):
        self._progress.stop()
        seconds = self._training_seconds or time.perf_counter() - self._started
        numbers = "  ".join(f"{name} {value:.4f}" for name, value in (logs or {}).items())
        speed = f"{self._num_examples / seconds:,.0f} examples/s"
        say(self._console, f"{self._epoch}  {numbers}  {speed}")


class StopAtNaN(keras.callbacks.Callback):
    """Raise a `TrainingError` as soon as the loss is no longer a number."""

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch + 1

    def on_train_batch_end(self, batch, logs=None):
        self._check(logs["loss"], f"at step {batch + 1} of epoch {self._epoch}")

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs.get("val_loss", 0.0), f"on the validation data after epoch {epoch + 1}")

    def _check(self, loss: float, where: str) -> None:
        if not math.isfinite(loss):
            raise TrainingError(
                f"The loss became {loss} {where}, so training was stopped and nothing was saved. "
                "Try a smaller --learning-rate, or --precision float32."
            )


class FreezingProof(keras.callbacks.Callback):
    """Compare every weight before and after the first step that is taken, bit for bit.

    A frozen weight that moved is a `TrainingError`; so are live weights none of which moved.

    Args:
        console: where the result is written.
        classifier: the whole model, of which perhaps only a part is being trained.
    """

    def __init__(self, console: Console, classifier: keras.Model):
        super().__init__()
        self._console = console
        self._classifier = classifier

    def on_train_begin(self, logs=None):
        self._before = self._fingerprints()

    def on_train_batch_end(self, batch, logs=None):
        if self._before is None:
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
        self._before = None
        still = sorted(live - moved)
        say(
            self._console,
            f"after step {batch + 1}: {len(frozen)} frozen weights unchanged bit for bit, "
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
