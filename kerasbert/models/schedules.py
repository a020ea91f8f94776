"""The step size over the steps of a training."""

import math
from collections.abc import Sequence

import keras
from keras import ops

from kerasbert.config_train import SCHEDULES
from kerasbert.errors import InputError, did_you_mean

_Schedule = keras.optimizers.schedules.LearningRateSchedule


@keras.saving.register_keras_serializable("kerasbert")
class WarmupThenDecay(_Schedule):
    """Rise to `peak` over the first steps, then fall.

    Args:
        peak: the highest step size.
        num_steps: of the whole training.
        kind: `"linear"`, a straight line to 0 (BERT's); `"cosine"`, half a wave to 0; `"constant"`.
        warmup: proportion of the steps over which it rises, 0 to below 1.
    """

    def __init__(self, peak: float, num_steps: int, kind: str = "linear", warmup: float = 0.1):
        if kind not in SCHEDULES:
            raise InputError(
                f"`kind` must be one of {', '.join(map(repr, SCHEDULES))}. "
                f"Received: kind={kind!r}.{did_you_mean(kind, SCHEDULES)}"
            )
        self.peak, self.num_steps, self.kind, self.warmup = peak, num_steps, kind, warmup
        self._num_warmup = math.ceil(warmup * num_steps)

    def __call__(self, step):
        step = ops.cast(step, "float32")
        # The first step counts as 1, since at a rate of 0 it would be lost.
        rising = (step + 1) / max(1, self._num_warmup)
        left = (self.num_steps - step) / max(1, self.num_steps - self._num_warmup)
        left = ops.clip(left, 0.0, 1.0)
        falling = {
            "linear": left,
            "cosine": (1 - ops.cos(math.pi * left)) / 2,
            "constant": ops.ones_like(left),
        }[self.kind]
        return self.peak * ops.minimum(rising, falling)

    def get_config(self):
        return {
            "peak": self.peak,
            "num_steps": self.num_steps,
            "kind": self.kind,
            "warmup": self.warmup,
        }


@keras.saving.register_keras_serializable("kerasbert")
class InTurn(_Schedule):
    """One schedule after the other, each counting its steps from 0.

    Args:
        schedules: at least one.
        starts: the step at which each begins, rising from 0.
    """

    def __init__(self, schedules: Sequence[_Schedule], starts: Sequence[int]):
        self.schedules = [
            keras.saving.deserialize_keras_object(schedule)
            if isinstance(schedule, dict)
            else schedule
            for schedule in schedules
        ]
        self.starts = list(starts)

    def __call__(self, step):
        rate = self.schedules[0](step)
        for schedule, start in zip(self.schedules[1:], self.starts[1:], strict=True):
            rate = ops.where(step >= start, schedule(step - start), rate)
        return rate

    def get_config(self):
        schedules = [keras.saving.serialize_keras_object(each) for each in self.schedules]
        return {"schedules": schedules, "starts": self.starts}
