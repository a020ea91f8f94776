"""Everything a run is told, as frozen dataclasses; each field is also a flag of `kerasbert.fit`.

The comment above a field is its help text. A config checks itself and never rewrites what it was
given: what is derived (pooling, widths, learning rate) is derived where it is used, into a new
config.
"""

import dataclasses
import math
from collections.abc import Iterable
from typing import Annotated, Any

import tyro

from kerasbert.errors import InputError, did_you_mean
from kerasbert.tasks import TASKS

HEADS = ("linear", "classification", "mlp", "pretrained")
ENCODERS = ("auto", "native", "transformers")
POOLINGS = ("cls", "mean", "max", "pooler", "last")
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
# Of a model that is only run.
RUNNING_PRECISIONS = ("auto", "float32", "bfloat16")


def one_of(*choices: str) -> Any:
    """Show a flag's choices in its help; the config checks them, and names the nearest."""
    return tyro.conf.arg(metavar="{" + ",".join(choices) + "}")


_INTEGERS = tyro.conf.arg(metavar="INT [INT ...]")
_STRINGS = tyro.conf.arg(metavar="STR [STR ...]")
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
    label_columns: Annotated[tuple[str, ...], _STRINGS] = ("label",)

    # What to predict. auto: several label columns are multilabel, numbers with fractions are
    # regression, two values are binary, more are multiclass.
    task: Annotated[str, one_of("auto", *TASKS)] = "auto"

    # Share of the training rows held out, above 0 and below 1, stratified by label; the same text
    # never lands on both sides.
    validation_fraction: float = 0.2

    # Use at most this many rows of the training file, drawn with --seed; for a quick try.
    limit: int | None = None

    # Character encoding of CSV and JSON lines files, by its Python name, such as cp1252.
    encoding: str = "utf-8"

    def __post_init__(self):
        is_list = not isinstance(self.label_columns, str) and len(self.label_columns) > 0
        _check(self, "label_columns", is_list, "be a list of at least one column")
        _check(
            self,
            "label_columns",
            len(set(self.label_columns)) == len(self.label_columns),
            "name each column once",
        )
        _check(
            self, "validation_fraction", 0 < self.validation_fraction < 1, "be above 0 and below 1"
        )
        _check(self, "limit", self.limit is None or self.limit > 0, "be above 0")
        _check_choice(self, "task", ("auto", *TASKS))


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
    hidden_units: Annotated[tuple[int, ...] | None, _INTEGERS] = None

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

    task: Annotated[str, _FROM_DATA] = "binary"
    num_labels: Annotated[int, _FROM_DATA] = 2
    target_mean: Annotated[float, _FROM_DATA] = 0.0
    target_scale: Annotated[float, _FROM_DATA] = 1.0

    def __post_init__(self):
        _check(self, "freeze_layers", self.freeze_layers >= 0, "be 0 or above")
        _check_choice(self, "encoder", ENCODERS)
        _check_choice(self, "head", HEADS)
        if self.pooling is not None:
            _check_choice(self, "pooling", POOLINGS)
        _check(self, "dropout", 0 <= self.dropout < 1, "be at least 0 and below 1")
        _check(self, "l2", 0 <= self.l2 < math.inf, "be 0 or above, and finite")
        _check(self, "max_length", self.max_length >= 4, "be at least 4")
        _check_choice(self, "task", TASKS)
        task = TASKS[self.task]
        _check(
            self,
            "num_labels",
            task.min_labels <= self.num_labels <= task.max_labels,
            f"be from {task.min_labels} to {task.max_labels} for {self.task}",
        )
        _check(self, "target_mean", math.isfinite(self.target_mean), "be finite")
        _check(self, "target_scale", 0 < self.target_scale < math.inf, "be above 0, and finite")
        if self.hidden_units is not None:
            _check(self, "hidden_units", min(self.hidden_units, default=1) > 0, "be above 0")
            num_hidden = len(self.hidden_units)
            allowed = {
                "linear": (num_hidden == 0, "be left out with --head linear"),
                "classification": (num_hidden == 1, "be one width with --head classification"),
                "mlp": (num_hidden >= 1, "be at least one width with --head mlp"),
                "pretrained": (num_hidden <= 1, "be left out with --head pretrained"),
            }
            _check(self, "hidden_units", *allowed[self.head])


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """How the weights are found; nothing here is needed to use them."""

    # Passes over the training rows; 0 takes a pretrained head as it is.
    epochs: int = 3

    # Texts per step. More needs more memory and, in general, a higher learning rate.
    batch_size: int = 16

    # Highest step size of Adam; rises over the first tenth of the steps, then falls to 0.
    # Default: 1e-2 when the base is frozen, else 5e-5, since larger steps undo the pretraining.
    learning_rate: float | None = None

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
        _check(self, "epochs", self.epochs >= 0, "be 0 or above")
        _check(self, "batch_size", self.batch_size > 0, "be above 0")
        _check(
            self,
            "learning_rate",
            self.learning_rate is None or 0 < self.learning_rate < math.inf,
            "be above 0, and finite",
        )
        _check_choice(self, "precision", PRECISIONS)
        _check(self, "cache_limit", 0 <= self.cache_limit < math.inf, "be 0 or above, and finite")
        _check(self, "seed", 0 <= self.seed < 2**32, "be at least 0 and below 2^32")


@dataclasses.dataclass(frozen=True)
class FitConfig:
    """From a file of texts and labels to a classifier under saved_weights/.

    --config FILE.json is read first, if given; flags override it.
    """

    data: DataConfig = dataclasses.field(default_factory=DataConfig)
    model: ModelConfig = dataclasses.field(default_factory=ModelConfig)
    train: TrainConfig = dataclasses.field(default_factory=TrainConfig)

    # Directory to write the run to. Default: saved_weights/DATA-BASE, numbered if taken.
    output: str | None = None

    # Replace the run that --output holds, once the new one is complete.
    overwrite: bool = False

    def __post_init__(self):
        _check(
            self.train,
            "epochs",
            self.train.epochs > 0 or self.model.head == "pretrained",
            "be above 0, but with --head pretrained",
        )


def _check(config: Any, name: str, holds: bool, requirement: str) -> None:
    if not holds:
        raise InputError(
            f"`{name}` must {requirement}. Received: {name}={getattr(config, name)!r}."
        )


def _check_choice(config: Any, name: str, choices: Iterable[str]) -> None:
    choices, value = tuple(choices), getattr(config, name)
    if value not in choices:
        raise InputError(
            f"`{name}` must be one of {', '.join(map(repr, choices))}. "
            f"Received: {name}={value!r}.{did_you_mean(str(value), choices)}"
        )
