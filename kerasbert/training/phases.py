"""Which epochs train which weights."""

import dataclasses

import keras

from kerasbert.config import ModelConfig
from kerasbert.config_train import OptimizerConfig, TrainConfig
from kerasbert.errors import InputError
from kerasbert.models.schedules import InTurn, WarmupThenDecay


@dataclasses.dataclass(frozen=True)
class Phase:
    """Epochs in which the same weights are trained.

    Attributes:
        start: the first epoch, from 0.
        end: the epoch after the last one.
        config: the model's, with what is frozen in these epochs.
    """

    start: int
    end: int
    config: ModelConfig

    @property
    def num_epochs(self) -> int:
        """How many epochs it has."""
        return self.end - self.start

    def freeze(self, model: keras.Model) -> None:
        """Freeze a classifier as it is in these epochs; to be followed by compiling it."""
        model.get_layer("encoder").freeze(
            base=self.config.freeze_base,
            layers=self.config.freeze_layers,
            embeddings=self.config.freeze_embeddings,
        )


def plan_phases(
    config: ModelConfig, train: TrainConfig, *, num_epochs: int, num_blocks: int
) -> list[Phase]:
    """The phases of a training: one, unless the base is opened on the way.

    With `train.gradual` a block is opened each epoch, from the top down, the embeddings last
    (Howard and Ruder, "Universal Language Model Fine-tuning for Text Classification", 2018);
    several at once where there are fewer epochs than blocks. With 4 epochs, opened from the second
    one, 2 blocks and the embeddings: head, block 2, block 1, embeddings.

    Args:
        config: resolved; what it freezes stays frozen.
        train: says when to open, and how.
        num_epochs: of the whole training.
        num_blocks: of the base.

    Raises:
        InputError: the training ends before the base is opened.
    """
    if train.unfreeze_from is None:
        return [Phase(0, num_epochs, config)]
    opened_at = train.unfreeze_from - 1
    if opened_at >= num_epochs:
        raise InputError(
            f"`unfreeze_from` must be at most {num_epochs}, the number of epochs that the training "
            f"has. Received: unfreeze_from={train.unfreeze_from}."
        )
    # Without LoRA, which a config of a frozen base does not have: nothing of it is trained yet.
    closed = dataclasses.replace(config, freeze_base=True, lora_rank=0)
    phases = [Phase(0, opened_at, closed)]
    if not train.gradual:
        return [*phases, Phase(opened_at, num_epochs, config)]
    closed_embeddings = config.freeze_embeddings or config.freeze_layers > 0
    num_openable = num_blocks - config.freeze_layers
    num_groups = num_openable + (not closed_embeddings)
    # At least one, as a pooler is opened even where no block is.
    num_stages = max(1, min(num_groups, num_epochs - opened_at))
    for stage in range(1, num_stages + 1):
        num_opened = -(-num_groups * stage // num_stages)  # rounded up
        opening = dataclasses.replace(
            config,
            freeze_layers=num_blocks - min(num_opened, num_openable),
            freeze_embeddings=closed_embeddings or num_opened < num_groups,
        )
        start = opened_at + stage - 1
        end = num_epochs if stage == num_stages else start + 1
        phases.append(Phase(start, end, config if stage == num_stages else opening))
    return phases


def plan_schedule(
    phases: list[Phase],
    train: TrainConfig,
    optimizer: OptimizerConfig,
    *,
    num_steps: int,
    steps_per_epoch: int,
) -> WarmupThenDecay | InTurn:
    """The step size over a training; while the head is trained alone it has a schedule of its own.

    Args:
        phases: from `plan_phases`.
        train: with the learning rate filled in.
        optimizer: the schedule's kind and warm-up.
        num_steps: of the whole training.
        steps_per_epoch: whatever the last epoch has.
    """

    def schedule(peak: float, steps: int) -> WarmupThenDecay:
        return WarmupThenDecay(peak, steps, optimizer.schedule, optimizer.warmup)

    if train.unfreeze_from is None:
        return schedule(train.learning_rate, num_steps)
    alone = phases[0].end * steps_per_epoch
    schedules = [
        schedule(train.head_learning_rate, alone),
        schedule(train.learning_rate, num_steps - alone),
    ]
    return InTurn(schedules, [0, alone])
