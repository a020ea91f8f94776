"""What a training is told, as frozen dataclasses; nothing here is needed to use its weights."""

import dataclasses
import json
import math
from typing import Annotated

from kerasbert.config_checks import check, check_choice, one_of
from kerasbert.errors import InputError

PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
SCHEDULES = ("linear", "cosine", "constant")
LOSSES = ("crossentropy", "focal")
# Highest step size where none is named: with a frozen base; with LoRA, whose matrices have nothing
# to forget; else the highest that BERT's authors advise.
FROZEN_RATE, LORA_RATE, OPEN_RATE = 1e-2, 1e-3, 5e-5
# What can be watched after an epoch. Value: whether more is better.
MONITORS = {
    "val_loss": False,
    "val_accuracy": True,
    "val_macro_f1": True,
    "val_roc_auc": True,
    "val_pearson": True,
}


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How the weights are found."""

    # Passes over the training rows; 0 takes a pretrained head as it is.
    epochs: int = 3

    # Train for this many steps, whatever --epochs says.
    max_steps: int | None = None

    # Texts per batch. More needs more memory and, in general, a higher learning rate.
    batch_size: int = 16

    # Batches whose gradients are added up to one step: the step of a batch as many times as large,
    # in the memory of one.
    gradient_accumulation: int = 1

    # Highest step size of Adam; rises over the first steps, then falls to 0.
    # Default: 1e-2 when the base is frozen, 1e-3 with LoRA, else 5e-5, since larger steps undo the
    # pretraining.
    learning_rate: float | None = None

    # Train the head alone until this epoch begins, then what else is not frozen; epochs count
    # from 1. A new head's first gradients are noise, which the base is spared.
    unfreeze_from: int | None = None

    # With --unfreeze-from: open the base one block an epoch, from the top down.
    gradual: bool = False

    # With --unfreeze-from: highest step size while the head is trained alone.
    head_learning_rate: float = 1e-2

    # Stop when so many epochs in a row were no better than the best, by --monitor, and keep the
    # best one's weights. Default: train to the end, and keep the last.
    patience: int | None = None

    # Which number says that an epoch is better. Probabilities, and val_loss with them, are often at
    # their best before the decisions, and val_macro_f1, are.
    monitor: Annotated[str, one_of(*MONITORS)] = "val_loss"

    # Number format of the products. auto: trains in float32, and runs what is not trained (a frozen
    # base, the trained model) in bfloat16 where the processor has it. float32: all of it.
    # mixed_bfloat16 and mixed_float16 train so as well; weights and losses stay float32.
    precision: Annotated[str, one_of(*PRECISIONS)] = "auto"

    # Put texts of like length into one batch, in random order: little to pad, and as accurate.
    bucket: bool = True

    # Keep what a frozen base makes of the texts, so that another run on them encodes nothing.
    cache: bool = True

    # Where to keep it. Default: the user's cache directory, such as ~/.cache/kerasbert/features.
    cache_dir: str | None = None

    # What the cache may hold, in GB; what was not used for longest goes first.
    cache_limit: float = 10.0

    # Fixes the split, the order of the rows, new weights and dropout.
    seed: int = 0

    def __post_init__(self):
        check(self, "epochs", self.epochs >= 0, "be 0 or above")
        check(self, "max_steps", self.max_steps is None or self.max_steps > 0, "be above 0")
        check(self, "batch_size", self.batch_size > 0, "be above 0")
        check(self, "gradient_accumulation", self.gradient_accumulation > 0, "be above 0")
        check(
            self,
            "learning_rate",
            self.learning_rate is None or 0 < self.learning_rate < math.inf,
            "be above 0, and finite",
        )
        check(
            self,
            "unfreeze_from",
            self.unfreeze_from is None or self.unfreeze_from >= 2,
            "be 2 or above, since epochs count from 1",
        )
        check(
            self,
            "gradual",
            not self.gradual or self.unfreeze_from is not None,
            "come with --unfreeze-from, which says when to begin",
        )
        check(
            self,
            "head_learning_rate",
            0 < self.head_learning_rate < math.inf,
            "be above 0, and finite",
        )
        check(self, "patience", self.patience is None or self.patience > 0, "be above 0")
        check_choice(self, "monitor", MONITORS)
        check_choice(self, "precision", PRECISIONS)
        check(
            self,
            "gradient_accumulation",
            self.gradient_accumulation == 1 or self.precision != "mixed_float16",
            "be 1 with mixed_float16, which leaves out batches that overflow; mixed_bfloat16 "
            "leaves out none",
        )
        check(self, "cache_limit", 0 <= self.cache_limit < math.inf, "be 0 or above, and finite")
        check(self, "seed", 0 <= self.seed < 2**32, "be at least 0 and below 2^32")


@dataclasses.dataclass(frozen=True)
class OptimizerConfig:
    """AdamW: how far each step goes."""

    # How the step size falls after it has risen: in a straight line to 0, along a cosine to 0, or
    # not at all.
    schedule: Annotated[str, one_of(*SCHEDULES)] = "linear"

    # Share of the steps over which the step size rises, 0 to below 1.
    warmup: float = 0.1

    # Share by which weights shrink per unit of step size, decoupled from the gradient (Loshchilov
    # and Hutter, 2019); biases and normalisation do not.
    weight_decay: float = 0.01

    # Longest gradient, as the norm over all weights; a longer one is scaled down. 0 leaves all.
    clip_norm: float = 1.0

    # Factor of the step size from each block to the one below it, above 0 and up to 1: what is
    # close to the text is general, and needs to change least.
    layer_decay: float = 1.0

    # Keep a moving average of the weights, in which a new value counts 1 minus this, and use that;
    # 0.999 averages over about the last 1,000 steps.
    ema: float | None = None

    def __post_init__(self):
        check_choice(self, "schedule", SCHEDULES)
        check(self, "warmup", 0 <= self.warmup < 1, "be at least 0 and below 1")
        check(self, "weight_decay", 0 <= self.weight_decay < math.inf, "be 0 or above, and finite")
        check(self, "clip_norm", 0 <= self.clip_norm < math.inf, "be 0 or above, and finite")
        check(self, "layer_decay", 0 < self.layer_decay <= 1, "be above 0 and at most 1")
        check(self, "ema", self.ema is None or 0 < self.ema < 1, "be above 0 and below 1")


@dataclasses.dataclass(frozen=True)
class ObjectiveConfig:
    """What training minimises. The numbers of a report are those of plain cross-entropy."""

    # crossentropy, or focal: examples that are right already count less (Lin et al., 2017).
    # Regression has neither: its loss is the mean squared error.
    loss: Annotated[str, one_of(*LOSSES)] = "crossentropy"

    # How much less with --loss focal; 0 is crossentropy.
    focal_gamma: float = 2.0

    # Share of each target's certainty that is spread over the labels, 0 to below 1.
    label_smoothing: float = 0.0

    # How much an example of each class counts. balanced: as much more as it is rarer. A JSON object
    # gives weights by class, such as '{"rude": 3}', 1 where it is silent; for multilabel, those of
    # a label's positives.
    class_weight: Annotated[str, one_of("none", "balanced", "JSON")] = "none"

    def __post_init__(self):
        check_choice(self, "loss", LOSSES)
        check(self, "focal_gamma", 0 <= self.focal_gamma < math.inf, "be 0 or above, and finite")
        check(self, "label_smoothing", 0 <= self.label_smoothing < 1, "be at least 0 and below 1")
        if self.class_weight not in ("none", "balanced"):
            self.weights_by_name()

    def weights_by_name(self) -> dict[str, float]:
        """The weights that `class_weight` gives as JSON."""
        try:
            weights = json.loads(self.class_weight)
            is_weights = isinstance(weights, dict) and all(
                type(weight) in (int, float) and 0 <= weight < 1e300 for weight in weights.values()
            )
        except (ValueError, RecursionError):
            is_weights = False
        if not is_weights:
            raise InputError(
                "`class_weight` must be 'none', 'balanced' or a JSON object of weights, 0 or "
                f"above, by class, such as '{{\"rude\": 3}}'. Received: {self.class_weight!r}."
            )
        return {name: float(weight) for name, weight in weights.items()}


@dataclasses.dataclass(frozen=True)
class RecordConfig:
    """What is written down while it trains."""

    # Write a line with the mean loss and accuracy since the last one after so many steps.
    # Default: 50 where there are no bars, none where there are.
    eval_every: int | None = None

    # Minutes between two checkpoints, by which --resume goes on.
    checkpoint_minutes: float = 10.0

    # Steps between two checkpoints, instead of minutes.
    checkpoint_steps: int | None = None

    # Write TensorBoard's logs into the run's directory; needs the extra of that name.
    tensorboard: bool = False

    # Write to MLflow, where MLFLOW_TRACKING_URI says; needs the extra of that name.
    mlflow: bool = False

    def __post_init__(self):
        check(self, "eval_every", self.eval_every is None or self.eval_every > 0, "be above 0")
        check(
            self,
            "checkpoint_minutes",
            0 <= self.checkpoint_minutes < math.inf,
            "be 0 or above, and finite",
        )
        check(
            self,
            "checkpoint_steps",
            self.checkpoint_steps is None or self.checkpoint_steps > 0,
            "be above 0",
        )
