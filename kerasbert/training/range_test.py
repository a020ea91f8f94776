"""A learning rate range test: rates that rise step by step, and the losses they give.

Smith, "Cyclical Learning Rates for Training Neural Networks", 2017.
"""

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Sequence

import keras
import numpy as np
from rich.console import Console

from kerasbert.config import FitConfig
from kerasbert.data.dataset import Dataset
from kerasbert.data.pipeline import training_batches
from kerasbert.errors import InputError
from kerasbert.models.optimization import build_optimizer, scale_losses
from kerasbert.models.running import running_precision, training_precision
from kerasbert.training.callbacks import StepNumbers, Steps
from kerasbert.training.memory import out_of_memory_explained
from kerasbert.training.parts import trained_part
from kerasbert.training.plan import plan_training
from kerasbert.training.preparing import prepare
from kerasbert.training.shared import Shared

NUM_STEPS = 100
# From where nothing moves to where everything breaks, with an open and with a frozen base.
_RANGE, _FROZEN_RANGE = (1e-7, 1e-1), (1e-5, 1e1)
# Weight of the past in the smoothed loss.
_MOMENTUM = 0.9
# Steps after which the average is one; before, it is the luck of a few batches.
_SETTLED = 10
# A smoothed loss so many times those of the start is worse than not training.
_BROKEN = 1.5
# A fall by so many standard deviations of a batch's loss is none of chance: the start varies by 0.4
# of them, the smoothed loss by 0.23, and the lowest of 100 of those is 0.5 below their mean.
_FALL = 1.5
# The proposal is so many times smaller than the rate of the lowest loss, where the loss is about to
# rise: in a training all steps near the peak are as large.
_MARGIN = 10


@dataclasses.dataclass(frozen=True)
class RangeTest:
    """What a range test found.

    Args:
        rates: the step size of each step, rising, shape (n,).
        losses: the loss of its batch.

    Raises:
        InputError: the loss never fell.
    """

    rates: np.ndarray
    losses: np.ndarray

    def __post_init__(self):
        if self._lowest_step is None:
            raise InputError(
                "The loss fell at no step size that was tried, so none can be proposed. Look "
                "whether texts and labels belong together, or raise --batch-size."
            )

    @property
    def smoothed(self) -> np.ndarray:
        """The losses, smoothed."""
        return smooth(self.losses)

    @property
    def lowest(self) -> float:
        """The step size at which the smoothed loss was lowest."""
        return float(self.rates[self._lowest_step])

    @property
    def proposal(self) -> float:
        """The step size to train with, a tenth of `lowest`."""
        return float(f"{self.lowest / _MARGIN:.1g}")  # one digit is all that the test can tell

    @property
    def _lowest_step(self) -> int | None:
        if len(self.losses) < 2 * _SETTLED:
            return None
        lowest = _SETTLED + int(self.smoothed[_SETTLED:].argmin())
        # By medians, so that one odd batch does not count.
        start = float(np.median(self.losses[:_SETTLED]))
        jumps = np.abs(np.diff(self.losses[:lowest]))
        spread = 1.48 * float(np.median(jumps)) / math.sqrt(2)  # the standard deviation of a batch
        fell = self.smoothed[lowest] < start - _FALL * spread
        return lowest if fell and self.rates[lowest] >= _MARGIN * self.rates[0] else None


@keras.saving.register_keras_serializable("kerasbert")
class Rising(keras.optimizers.schedules.LearningRateSchedule):
    """From `first` to `last`, each step by the same factor."""

    def __init__(self, first: float, last: float, num_steps: int):
        self.first, self.last, self.num_steps = first, last, num_steps

    def __call__(self, step):
        share = keras.ops.cast(step, "float32") / max(1, self.num_steps - 1)
        return self.first * keras.ops.exp(math.log(self.last / self.first) * share)

    def get_config(self):
        return {"first": self.first, "last": self.last, "num_steps": self.num_steps}


def find_learning_rate(
    config: FitConfig, dataset: Dataset, *, console: Console | None = None
) -> RangeTest:
    """Try learning rates on a classifier that is then thrown away.

    Args:
        config: what would be trained; its schedule is not followed. `config.train.max_steps` is the
            number of steps, 100 where it says nothing.
        dataset: the examples.
        console: where to show what is frozen. Default: nothing is shown.

    Raises:
        FileNotFoundError, InputError: a setting or the base cannot be used; or no rate is better
            than none.
    """
    console = console or Console(quiet=True)
    shared = Shared(keep=False)
    prepared = prepare(config, dataset, console, shared)
    config, data, model = prepared.config, prepared.data, prepared.model
    num_blocks = model.get_layer("encoder").facts.num_blocks
    plan = plan_training(config, data.labels, data.targets, num_blocks=num_blocks)
    train = config.train
    num_steps = train.max_steps or NUM_STEPS
    first, last = _FROZEN_RANGE if config.model.freeze_base else _RANGE
    schedule = Rising(first, last, num_steps)
    adamw = build_optimizer(config.optimizer, schedule, accumulation=train.gradient_accumulation)
    optimizer = scale_losses(adamw, training_precision(train.precision))
    precision = running_precision(train.precision, config.model.encoder)
    losses: list[float] = []

    def on_steps(steps: list[StepNumbers]) -> bool:
        for step in steps:
            losses.append(step.loss)
            smoothed = smooth(losses)
            is_broken = not smoothed[-1] <= _BROKEN * np.mean(losses[:_SETTLED])  # or is no number
            if len(losses) == num_steps or is_broken:
                return True  # and what else the call took is of no interest
        return False

    with contextlib.ExitStack() as stack:
        stack.enter_context(
            out_of_memory_explained(train.batch_size, int(data.tokens.lengths.max()))
        )
        part = stack.enter_context(
            contextlib.closing(
                trained_part(
                    model,
                    config.model,
                    train,
                    precision,
                    data.tokens,
                    console,
                    shared=shared,
                    num_epochs=2,
                )
            )
        )
        source = part.source(data.tokens)
        part.compile(data.labels.task, optimizer, plan.loss, train.gradient_accumulation)
        steps = Steps(on_steps, train.gradient_accumulation)
        for epoch in itertools.count():
            batches = training_batches(
                source,
                data.targets,
                batch_size=train.batch_size,
                seed=train.seed,
                epoch=epoch,
                bucket=train.bucket,
                accumulation=train.gradient_accumulation,
            )
            part.trained.fit(batches, verbose=0, shuffle=False, callbacks=[steps])
            if part.trained.stop_training:
                break
    if not math.isfinite(losses[-1]):
        losses.pop()
    rates = np.asarray(schedule(np.arange(len(losses))), np.float64)
    return RangeTest(rates, np.array(losses))


def smooth(losses: Sequence[float]) -> np.ndarray:
    """A moving average of losses, each of them the mean of those before it, shape (n,).

    The early ones are divided by the weight that they have, so it does not begin at 0.
    """
    average, smoothed = 0.0, []
    for number, loss in enumerate(losses, start=1):
        average = _MOMENTUM * average + (1 - _MOMENTUM) * loss
        smoothed.append(average / (1 - _MOMENTUM**number))
    return np.array(smoothed)
