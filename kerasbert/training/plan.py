"""What a training will do, settled before its first step."""

import dataclasses
import warnings

import keras
import numpy as np

from kerasbert.config import FitConfig
from kerasbert.data.batches import num_batches
from kerasbert.data.labels import Labels
from kerasbert.errors import InputError, InputWarning
from kerasbert.models.losses import build_loss
from kerasbert.training.class_weights import class_weights
from kerasbert.training.phases import Phase, plan_phases, plan_schedule


@dataclasses.dataclass(frozen=True)
class Plan:
    """The steps of a training.

    Attributes:
        phases: which epochs train what.
        steps_per_epoch: of each epoch but the last, which may be cut short.
        num_steps: of all.
        num_examples: to train on.
        schedule: the step size by step.
        loss: what is minimised.
    """

    phases: list[Phase]
    steps_per_epoch: int
    num_steps: int
    num_examples: int
    schedule: keras.optimizers.schedules.LearningRateSchedule
    loss: keras.losses.Loss

    @property
    def num_epochs(self) -> int:
        """How many epochs begin."""
        return self.phases[-1].end

    @property
    def examples_per_step(self) -> float:
        """The mean; steps differ by one example at most."""
        return self.num_examples / self.steps_per_epoch

    def steps_in(self, epoch: int) -> int:
        """Steps of an epoch, from 0."""
        return min(self.steps_per_epoch, self.num_steps - epoch * self.steps_per_epoch)


def plan_training(
    config: FitConfig,
    labels: Labels,
    targets: np.ndarray,
    *,
    num_blocks: int,
) -> Plan:
    """Settle what a training will do.

    Args:
        config: of the run, with nothing left to derive.
        labels: what the targets mean.
        targets: of the examples to train on.
        num_blocks: of the base.

    Raises:
        InputError: settings that the data, or each other, do not allow.
    """
    train = config.train
    if train.gradient_accumulation > 1 and config.model.head == "mlp":
        warnings.warn(
            "The mlp head's BatchNormalization takes mean and variance over each batch of "
            f"{train.batch_size} texts, so {train.gradient_accumulation} batches accumulated are "
            f"not one of {train.batch_size * train.gradient_accumulation}. They are the same with "
            "--head linear or classification.",
            InputWarning,
            stacklevel=2,
        )
    is_for_scores = train.monitor == "val_pearson"
    if train.monitor != "val_loss" and is_for_scores != (labels.task == "regression"):
        raise InputError(
            f"--monitor {train.monitor} has no value for {labels.task}. Expected val_loss or "
            + ("val_pearson." if not is_for_scores else "val_accuracy, val_macro_f1, val_roc_auc.")
        )
    steps_per_epoch = num_batches(len(targets), train.batch_size * train.gradient_accumulation)
    num_epochs, num_steps = train.epochs, train.epochs * steps_per_epoch
    if train.max_steps is not None:
        num_epochs, num_steps = -(-train.max_steps // steps_per_epoch), train.max_steps
    phases = plan_phases(config.model, train, num_epochs=num_epochs, num_blocks=num_blocks)
    return Plan(
        phases=phases,
        steps_per_epoch=steps_per_epoch,
        num_steps=num_steps,
        num_examples=len(targets),
        schedule=plan_schedule(
            phases,
            train,
            config.optimizer,
            num_steps=num_steps,
            steps_per_epoch=steps_per_epoch,
        ),
        loss=build_loss(
            labels.task, config.objective, class_weights(config.objective, labels, targets)
        ),
    )
