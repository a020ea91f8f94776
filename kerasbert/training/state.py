"""All that a training changes, to be put away and taken back bit for bit."""

import contextlib
import dataclasses
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kerasbert.config import FitConfig
from kerasbert.config_train import MONITORS
from kerasbert.models.optimization import build_optimizer, layer_rates, scale_losses
from kerasbert.models.running import training_precision
from kerasbert.training.plan import Plan
from kerasbert.training.unfinished import Checkpoint


@dataclasses.dataclass
class Progress:
    """How far a training has come.

    Attributes:
        epoch: epochs that are finished.
        step: steps of the current epoch that are taken.
        num_steps: all steps that are taken.
        losses: sum of the current epoch's step losses, and of its accuracies.
        accuracies: likewise; 0 for regression.
        seconds: that these steps took.
        num_rows: of the history.
        best_epoch: the one with the best of what is watched, from 1; 0 before there is one.
        best_value: what was watched there.
    """

    epoch: int = 0
    step: int = 0
    num_steps: int = 0
    losses: float = 0.0
    accuracies: float = 0.0
    seconds: float = 0.0
    num_rows: int = 0
    best_epoch: int = 0
    best_value: float = 0.0

    def begin_epoch(self) -> None:
        """Set to nothing what is counted by epoch."""
        self.step, self.losses, self.accuracies, self.seconds = 0, 0.0, 0.0, 0.0

    def is_better(self, value: float, monitor: str) -> bool:
        """Whether a value of what is watched is the best so far."""
        if not self.best_epoch:
            return True
        return value > self.best_value if MONITORS[monitor] else value < self.best_value


class State:
    """The optimizer, and all that training moves: weights, averages, random states.

    Args:
        model: from `build_classifier`. It is left frozen as the last phase has it.
        config: of the run.
        plan: of the training.

    Attributes:
        adamw: built on all weights that are ever trained.
        optimizer: the same, or what scales the loss around it.
    """

    def __init__(self, model: keras.Model, config: FitConfig, plan: Plan):
        self.adamw = build_optimizer(
            config.optimizer,
            plan.schedule,
            rates=layer_rates(model, config.optimizer.layer_decay),
            accumulation=config.train.gradient_accumulation,
        )
        self.optimizer = scale_losses(self.adamw, training_precision(config.train.precision))
        plan.phases[-1].freeze(model)  # what is trained then is all that ever is
        self.optimizer.build(model.trainable_variables)
        encoder = model.get_layer("encoder")
        frozen = {id(variable) for variable in encoder.weights if not variable.trainable}
        moving = [variable for variable in model.variables if id(variable) not in frozen]
        # Numbered: Keras names some by how many there were before in the process.
        self._variables = {f"model/{n}": variable for n, variable in enumerate(moving)}
        self._variables |= {
            f"optimizer/{n}": variable for n, variable in enumerate(self.optimizer.variables)
        }
        self._weights = [v for v in model.weights if id(v) not in frozen]
        self._best: list[np.ndarray] = []

    def keep_best(self) -> None:
        """Keep the weights as they are now."""
        self._best = [_numpy(weight) for weight in self._weights]

    def restore_best(self) -> None:
        """Put the weights kept last in the place of the present ones, if any were kept."""
        for weight, value in zip(self._weights, self._best, strict=bool(self._best)):
            weight.assign(value)

    @contextlib.contextmanager
    def averaged(self) -> Iterator[None]:
        """With the moving averages, where they are kept, in the weights' place."""
        pairs = self.adamw.averages()
        present = [_numpy(weight) for weight, _ in pairs]
        for weight, average in pairs:
            weight.assign(average)
        try:
            yield
        finally:
            for (weight, _), value in zip(pairs, present, strict=True):
                weight.assign(value)

    def use_averages(self) -> None:
        """Put the moving averages, where they are kept, in the weights' place for good."""
        for weight, average in self.adamw.averages():
            weight.assign(average)

    def checkpoint(self, progress: Progress, **more: Any) -> Checkpoint:
        """The present moment; `more` are JSON values to be kept beside it."""
        arrays = {name: _numpy(variable) for name, variable in self._variables.items()}
        arrays |= {f"best/{n}": value for n, value in enumerate(self._best)}
        opened_at = list(self.adamw.opened_at)  # a copy, and not the list that Keras keeps
        values = {"progress": dataclasses.asdict(progress), "opened_at": opened_at}
        return Checkpoint(arrays, values | more)

    def restore(self, checkpoint: Checkpoint) -> Progress:
        """Go back to a moment that `checkpoint` gave."""
        for name, variable in self._variables.items():
            variable.assign(checkpoint.arrays[name])
        num_best = sum(name.startswith("best/") for name in checkpoint.arrays)
        self._best = [checkpoint.arrays[f"best/{n}"] for n in range(num_best)]
        self.adamw.opened_at = list(checkpoint.values["opened_at"])
        return Progress(**checkpoint.values["progress"])


def _numpy(variable: keras.Variable) -> np.ndarray:
    return np.array(keras.ops.convert_to_numpy(variable.value))  # a copy, which stays as it is
