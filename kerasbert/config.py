"""Everything a run is told, as frozen dataclasses; each field is also a flag of `kerasbert.fit`.

The comment above a field is its help text. A config checks itself and never rewrites what it was
given: what is derived (pooling, widths, learning rate) is derived where it is used, into a new
config.
"""

import dataclasses
import math
from typing import Annotated

import tyro

from kerasbert.config_checks import INTEGERS, STRINGS, check, check_choice, one_of
from kerasbert.config_decide import DecisionConfig
from kerasbert.config_train import ObjectiveConfig, OptimizerConfig, RecordConfig, TrainConfig
from kerasbert.tasks import TASKS

HEADS = ("linear", "classification", "mlp", "pretrained")
ENCODERS = ("auto", "native", "transformers")
DROPPED_DUPLICATES = ("none", "exact", "near")
TRUNCATIONS = ("longest_first", "proportional")
POOLINGS = ("cls", "mean", "max", "pooler", "last")
# Of a model that is only run.
RUNNING_PRECISIONS = ("auto", "float32", "bfloat16")


# Read off the labels, so part of the config and of its JSON, but not a flag.
_FROM_DATA = tyro.conf.Suppress


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which files to learn from, and what their columns mean."""

    # File to train on (.csv, .parquet, .jsonl). Without it, the packaged sample, so that the
    # command always runs.
    train: str | None = None

    # File to validate on. Without it, --validation-fraction of the training file is held out.
    validation: str | None = None

    # File that is scored once, after training.
    test: str | None = None

    # Column with the text.
    text_column: str = "text"

    # Column with a second text, for sentence pairs; both go into one sequence, since attention
    # between the two is what a pair task needs.
    pair_column: str | None = None

    # One column of classes or scores, or several 0/1 columns (multilabel; an empty cell there
    # means unknown and counts neither in the loss nor in the metrics).
    label_columns: Annotated[tuple[str, ...], STRINGS] = ("label",)

    # What to predict. auto: several label columns are multilabel, numbers with fractions are
    # regression, two values are binary, more are multiclass.
    task: Annotated[str, one_of("auto", *TASKS)] = "auto"

    # Share of the training rows held out, above 0 and below 1, stratified by label; the same text
    # never lands on both sides.
    validation_fraction: float = 0.2

    # Leave out training rows that repeat another one, or one of the validation or test file. exact:
    # the same text, case and white space aside. near: almost the same as well, as kerasbert.check
    # finds it. Of texts with several labels the most frequent one stays.
    drop_duplicates: Annotated[str, one_of(*DROPPED_DUPLICATES)] = "none"

    # Hold out texts that are almost the same together, or keep them together, as the same text
    # always is; so validation does not ask what training all but told.
    group_near_duplicates: bool = False

    # Use at most this many rows of the training file, drawn with --seed; for a quick try.
    limit: int | None = None

    # Character encoding of CSV and JSON lines files, by its Python name, such as cp1252.
    encoding: str = "utf-8"

    def __post_init__(self):
        is_list = not isinstance(self.label_columns, str) and len(self.label_columns) > 0
        check(self, "label_columns", is_list, "be a list of at least one column")
        check(
            self,
            "label_columns",
            len(set(self.label_columns)) == len(self.label_columns),
            "name each column once",
        )
        check(
            self, "validation_fraction", 0 < self.validation_fraction < 1, "be above 0 and below 1"
        )
        check(self, "limit", self.limit is None or self.limit > 0, "be above 0")
        check_choice(self, "task", ("auto", *TASKS))
        check_choice(self, "drop_duplicates", DROPPED_DUPLICATES)


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """What the model is. Saved beside the weights: it alone can rebuild the graph they fit."""

    # Pretrained base: minilm, a directory, or a name on the Hugging Face hub.
    base: str = "minilm"

    # Which code computes the base. native: this package's own, for BERT, DistilBERT, RoBERTa,
    # XLM-RoBERTa and CamemBERT. transformers: the TensorFlow classes of transformers 4, an extra,
    # for the other families. auto: native where it can.
    encoder: Annotated[str, one_of(*ENCODERS)] = "auto"

    # Train the head alone. Far faster, and hard to overfit; a few points less accurate.
    freeze_base: bool = False

    # Freeze the embeddings and this many blocks above them, counted from the bottom, where the
    # features are the most general.
    freeze_layers: int = 0

    # Freeze the embeddings: they hold a large part of the weights, and rare words keep their
    # pretrained vectors.
    freeze_embeddings: bool = False

    # linear: the output layer alone. classification: Dense-ReLU-Dropout before it. mlp: Dropout,
    # then Dense-BatchNormalization-ReLU for each of --hidden-units; made for a frozen base.
    # pretrained: the one that a BERT or DistilBERT text classifier brings along.
    head: Annotated[str, one_of(*HEADS)] = "mlp"

    # Widths of the head's hidden layers, in units. Default: the base's width, twice for mlp and
    # once for classification.
    hidden_units: Annotated[tuple[int, ...] | None, INTEGERS] = None

    # Share of the head's features set to zero in training, 0 to below 1, against overfitting.
    dropout: float = 0.15

    # Factor of the L2 penalty on the output layer's kernel of the mlp head; 0 is none.
    l2: float = 0.01

    # How the vectors of the pieces become one: the first, their mean, their maximum, the base's
    # own pooler, or the last. Default: what the base declares, else cls (last for GPT-2).
    pooling: Annotated[str | None, one_of(*POOLINGS)] = None

    # Word pieces kept of each text, special ones included. Time grows with the texts' own
    # lengths, not with this: batches are only as long as their longest text.
    max_length: int = 256

    # What goes where a pair is longer. longest_first: the end of the longer text, until both are
    # equally long. proportional: of each as much as it is longer.
    truncation: Annotated[str, one_of(*TRUNCATIONS)] = "longest_first"

    # Freeze the blocks' kernels and train a correction to each, a product of two matrices with this
    # many columns between them (LoRA; Hu et al., 2021), typically 8; 0 is none. Native encoder.
    lora_rank: int = 0

    task: Annotated[str, _FROM_DATA] = "binary"
    num_labels: Annotated[int, _FROM_DATA] = 2
    target_mean: Annotated[float, _FROM_DATA] = 0.0
    target_scale: Annotated[float, _FROM_DATA] = 1.0

    def __post_init__(self):
        check(self, "freeze_layers", self.freeze_layers >= 0, "be 0 or above")
        check_choice(self, "encoder", ENCODERS)
        check_choice(self, "head", HEADS)
        if self.pooling is not None:
            check_choice(self, "pooling", POOLINGS)
        check(self, "dropout", 0 <= self.dropout < 1, "be at least 0 and below 1")
        check(self, "l2", 0 <= self.l2 < math.inf, "be 0 or above, and finite")
        check(self, "max_length", self.max_length >= 4, "be at least 4")
        check_choice(self, "truncation", TRUNCATIONS)
        check(self, "lora_rank", self.lora_rank >= 0, "be 0 or above")
        check(
            self,
            "lora_rank",
            not (self.lora_rank and self.freeze_base),
            "be left out with --freeze-base, which trains no block",
        )
        check_choice(self, "task", TASKS)
        task = TASKS[self.task]
        check(
            self,
            "num_labels",
            task.min_labels <= self.num_labels <= task.max_labels,
            f"be from {task.min_labels} to {task.max_labels} for {self.task}",
        )
        check(self, "target_mean", math.isfinite(self.target_mean), "be finite")
        check(self, "target_scale", 0 < self.target_scale < math.inf, "be above 0, and finite")
        if self.hidden_units is not None:
            check(self, "hidden_units", min(self.hidden_units, default=1) > 0, "be above 0")
            num_hidden = len(self.hidden_units)
            allowed = {
                "linear": (num_hidden == 0, "be left out with --head linear"),
                "classification": (num_hidden == 1, "be one width with --head classification"),
                "mlp": (num_hidden >= 1, "be at least one width with --head mlp"),
                "pretrained": (num_hidden <= 1, "be left out with --head pretrained"),
            }
            check(self, "hidden_units", *allowed[self.head])


@dataclasses.dataclass(frozen=True)
class FitConfig:
    """From a file of texts and labels to a classifier under saved_weights/.

    --config FILE.json is read first, if given; flags override it.
    """

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)
    optimizer: OptimizerConfig = dataclasses.field(default_factory=OptimizerConfig)
    objective: ObjectiveConfig = dataclasses.field(default_factory=ObjectiveConfig)
    decision: DecisionConfig = dataclasses.field(default_factory=DecisionConfig)
    record: RecordConfig = dataclasses.field(default_factory=RecordConfig)

    # Directory to write the run to. Default: saved_weights/DATA-BASE, numbered if taken.
    output: str | None = None

    # Replace the run that --output holds, once the new one is complete.
    overwrite: bool = False

    # Go on from the last checkpoint of the same command, if it was killed or interrupted.
    resume: bool = False

    # Save LoRA's matrices beside the weights they correct, instead of adding them up.
    keep_lora: bool = False

    # Train once with each of these seeds, and report mean and spread.
    seeds: Annotated[tuple[int, ...] | None, INTEGERS] = None

    # Train so many times, each time with another part of the training file held out, stratified;
    # report mean and spread, and keep the probabilities of the rows while they were held out.
    folds: int | None = None

    # Do not train: try step sizes from very small to too large, draw the losses, propose one.
    find_learning_rate: bool = False

    def __post_init__(self):
        check(
            self.train,
            "epochs",
            self.train.epochs > 0 or self.model.head == "pretrained",
            "be above 0, but with --head pretrained",
        )
        is_opened = self.train.unfreeze_from is not None
        check(
            self.train,
            "unfreeze_from",
            not (is_opened and self.model.freeze_base),
            "be left out with --freeze-base, which keeps the base frozen",
        )
        check(
            self.train,
            "unfreeze_from",
            not (is_opened and self.train.max_steps is None)
            or self.train.unfreeze_from <= self.train.epochs,
            f"be at most {self.train.epochs}, the number of epochs",
        )
        check(
            self,
            "keep_lora",
            not self.keep_lora or self.model.lora_rank > 0,
            "come with --lora-rank, which makes what is kept",
        )
        check(
            self,
            "find_learning_rate",
            not (self.find_learning_rate and (self.seeds or self.folds)),
            "be left out with --seeds and --folds: it is one test, before any training",
        )
        if self.seeds is not None:
            check(self, "seeds", len(set(self.seeds)) == len(self.seeds) > 0, "be different seeds")
            check(self, "seeds", all(0 <= s < 2**32 for s in self.seeds), "be from 0 to below 2^32")
            check(self, "seeds", self.folds is None, "be left out with --folds")
        if self.folds is not None:
            check(self, "folds", self.folds >= 2, "be 2 or above")
            check(
                self.data,
                "validation",
                self.data.validation is None,
                "be left out with --folds, which holds out parts of the training file",
            )
            for field in dataclasses.fields(DecisionConfig):
                check(
                    self.decision,
                    field.name,
                    getattr(self.decision, field.name) == field.default,
                    "be left out with --folds, which compares models, and not decisions",
                )
