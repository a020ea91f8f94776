"""What a sweep is told: how to search, and between which values."""

import dataclasses
import math
from typing import Annotated, Any

import tyro

from kerasbert.config import HEADS, FitConfig, ModelConfig
from kerasbert.config_checks import check, check_choice, one_of
from kerasbert.config_train import FROZEN_RATE, LORA_RATE, MONITORS, OPEN_RATE, TrainConfig
from kerasbert.errors import InputError

TUNERS = ("random", "bayesian", "hyperband", "grid")

_NUMBERS = tyro.conf.arg(metavar="FROM TO | VALUE ...")
_CHOICES = tyro.conf.arg(metavar="VALUE ...")
_WIDTHS = tyro.conf.arg(metavar="N[,N...] ...")
# A range of learning rates where none is named: from so much below the usual one to so much above.
_BELOW, _ABOVE = 50, 10


@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """How to search."""

    # How the next trial is chosen. random: blindly. bayesian: where a model of the trials so far
    # expects the most. hyperband: many short ones, of which the best are trained again for longer.
    # grid: each combination, with ten values of a range.
    tuner: Annotated[str, one_of(*TUNERS)] = "random"

    # How many trials at most.
    trials: int = 20

    # Number on the validation data that says which trial is best.
    # Default: val_macro_f1, for scores val_pearson.
    objective: Annotated[str | None, one_of(*MONITORS)] = None

    # End the search after so many minutes, with what is known by then; a trial that is running is
    # given up. What is done for the winner, --refit among it, comes on top.
    max_minutes: float | None = None

    # Train the winner once more on all rows, those of the validation included, and keep that.
    refit: bool = False

    def __post_init__(self):
        check_choice(self, "tuner", TUNERS)
        check(self, "trials", self.trials > 0, "be above 0")
        if self.objective is not None:
            check_choice(self, "objective", MONITORS)
        is_limit = self.max_minutes is None or 0 < self.max_minutes < math.inf
        check(self, "max_minutes", is_limit, "be above 0, and finite")

    def objective_for(self, task: str) -> str:
        """The objective, or the default one of a task.

        Raises:
            InputError: the task has no such number.
        """
        if self.objective is None:
            return "val_pearson" if task == "regression" else "val_macro_f1"
        is_for_scores = self.objective == "val_pearson"
        if self.objective != "val_loss" and is_for_scores != (task == "regression"):
            raise InputError(
                f"--objective {self.objective} has no value for {task}. Expected val_loss or "
                + ("val_pearson." if task == "regression" else "val_macro_f1 and the like.")
            )
        return self.objective


@dataclasses.dataclass(frozen=True)
class Ranges:
    """Where to search. One value holds for all trials; several are searched.

    Of a learning rate, dropout and l2 two values are a range, more are choices; of all else each
    is a choice. Any other flag of kerasbert.fit holds for all trials.
    """

    # Learning rates, on a logarithmic scale. Default: from a fiftieth to ten times the one that fit
    # would take.
    learning_rate: Annotated[tuple[float, ...], _NUMBERS] = ()

    # Heads: linear, classification, mlp.
    head: Annotated[tuple[str, ...], _CHOICES] = ()

    # Widths of the head's hidden layers, each choice with commas inside: 128 384 384,384.
    hidden_units: Annotated[tuple[str, ...], _WIDTHS] = ()

    # Dropout of the head.
    dropout: Annotated[tuple[float, ...], _NUMBERS] = ()

    # L2 penalty of the mlp head, on a logarithmic scale where it does not begin at 0.
    l2: Annotated[tuple[float, ...], _NUMBERS] = ()

    # Poolings: cls, mean, max, pooler, last.
    pooling: Annotated[tuple[str, ...], _CHOICES] = ()

    # How many blocks to freeze.
    freeze_layers: Annotated[tuple[int, ...], _CHOICES] = ()

    # Texts per batch.
    batch_size: Annotated[tuple[int, ...], _CHOICES] = ()

    # Passes over the training rows; with hyperband the most that a trial gets.
    epochs: Annotated[tuple[int, ...], _CHOICES] = ()

    # Word pieces kept of each text.
    max_length: Annotated[tuple[int, ...], _CHOICES] = ()

    # Pretrained bases.
    base: Annotated[tuple[str, ...], _CHOICES] = ()

    def __post_init__(self):
        for field in dataclasses.fields(self):
            values = getattr(self, field.name)
            check(self, field.name, len(set(values)) == len(values), "be different values")
        for name in ("learning_rate", "dropout", "l2"):
            values = getattr(self, name)
            is_range = len(values) == 2
            check(self, name, not is_range or values[0] < values[1], "be a range from low to high")
        for name in (field.name for field in dataclasses.fields(self)):
            part = ModelConfig if name in ModelConfig.__dataclass_fields__ else TrainConfig
            if name != "hidden_units":  # which go together with the head
                for value in getattr(self, name):
                    part(**{name: value})
        have_none = self.head and not {"mlp", "classification"} & set(self.head)
        is_needed = len(self.hidden_units) < 2 or not have_none
        check(self, "hidden_units", is_needed, "be left out where no head has hidden layers")
        have_two = any(len(parse_widths(widths)) > 1 for widths in self.hidden_units)
        check(
            self,
            "hidden_units",
            not (have_two and "classification" in self.head),
            "be one width each where --head classification is among the heads",
        )

    def fixed(self) -> dict[str, Any]:
        """What has one value, by name."""
        values = {
            field.name: getattr(self, field.name)[0]
            for field in dataclasses.fields(self)
            if len(getattr(self, field.name)) == 1
        }
        if "hidden_units" in values:
            values["hidden_units"] = parse_widths(values["hidden_units"])
        return values

    def suggest(self, hyperparameters, config: FitConfig) -> FitConfig:
        """The settings of a trial: the whole search space.

        Args:
            hyperparameters: Keras Tuner's `HyperParameters`, which are asked for values.
            config: what holds for all trials.
        """
        chosen: dict[str, Any] = {}
        rates = self.learning_rate or usual_rates(config)
        if len(rates) > 1:
            chosen["learning_rate"] = _number(hyperparameters, "learning_rate", rates)
        for name in ("base", "head", "pooling", "freeze_layers", "batch_size", "epochs"):
            if len(values := getattr(self, name)) > 1:
                chosen[name] = hyperparameters.Choice(name, list(values))
        for name in ("dropout", "l2"):
            if len(values := getattr(self, name)) > 1:
                chosen[name] = _number(hyperparameters, name, values)
        if len(self.max_length) > 1:
            chosen["max_length"] = hyperparameters.Choice("max_length", list(self.max_length))
        if len(self.hidden_units) > 1:
            widths = self._widths(hyperparameters)
            chosen["hidden_units"] = None if widths is None else parse_widths(widths)
        elif chosen.get("head") == "linear":
            chosen["hidden_units"] = None  # what the config names is for the others
        return with_values(config, {**self.fixed(), **chosen})

    def _widths(self, hyperparameters) -> str | None:
        """Of the heads that have hidden layers only."""
        if len(self.head) < 2:
            return hyperparameters.Choice("hidden_units", list(self.hidden_units))
        having = [head for head in self.head if head in ("mlp", "classification")]
        with hyperparameters.conditional_scope("head", having):
            return hyperparameters.Choice("hidden_units", list(self.hidden_units))


def check_sweep(config: FitConfig, search: SearchConfig, ranges: Ranges | None = None) -> None:
    """Refuse what a sweep cannot be told.

    Args:
        config: what holds for all trials.
        search: how to search.
        ranges: where to, if that is known.

    Raises:
        InputError: it is told such a thing.
    """
    refused = {
        "overwrite": "a sweep replaces nothing; name a new directory, or remove the old one",
        "seeds": "a trial is one training",
        "folds": "a trial is one training",
        "find_learning_rate": "a sweep tries learning rates itself",
    }
    for name, reason in refused.items():
        check(config, name, not getattr(config, name), f"be left out: {reason}")
    check(
        config.record,
        "tensorboard",
        not config.record.tensorboard,
        "be left out of a sweep, whose trials have no directory; a run of best.json has",
    )
    if search.tuner == "hyperband":
        reason = "be left out with --tuner hyperband, which says for how long a trial trains"
        check(config.train, "unfreeze_from", config.train.unfreeze_from is None, reason)
        check(config.train, "max_steps", config.train.max_steps is None, reason)
    if ranges is None:
        return
    if search.tuner == "hyperband":
        check(ranges, "epochs", len(ranges.epochs) < 2, "be one number with hyperband, the most")
    is_searched = len(ranges.freeze_layers) > 1
    check(
        ranges,
        "freeze_layers",
        not (is_searched and config.model.freeze_base),
        "be left out with --freeze-base, which freezes all of them",
    )
    heads = set(ranges.head or (config.model.head,))
    for name, having in {"l2": {"mlp"}, "dropout": set(HEADS) - {"linear"}}.items():
        is_of_use = len(getattr(ranges, name)) < 2 or heads & having
        check(ranges, name, is_of_use, f"be left out with --head {', '.join(sorted(heads))}")


def usual_rates(config: FitConfig) -> tuple[float, ...]:
    """The range of learning rates to search for a config: its own one, if it names one."""
    if config.train.learning_rate is not None:
        return (config.train.learning_rate,)
    usual = LORA_RATE if config.model.lora_rank else OPEN_RATE
    usual = FROZEN_RATE if config.model.freeze_base else usual
    return usual / _BELOW, usual * _ABOVE


def with_values(config: FitConfig, values: dict[str, Any]) -> FitConfig:
    """A config with values of `Ranges`' names in the place of its own.

    Raises:
        InputError: they do not go together.
    """
    groups = {}
    for group in ("model", "train"):
        part = getattr(config, group)
        names = {field.name for field in dataclasses.fields(part)}
        ours = {name: value for name, value in values.items() if name in names}
        groups[group] = dataclasses.replace(part, **ours)
    return dataclasses.replace(config, **groups)


def parse_widths(text: str) -> tuple[int, ...]:
    """`"384,128"` to `(384, 128)`.

    Raises:
        InputError: it is no such list.
    """
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            f"`hidden_units` must be widths with commas between the layers', such as 384,128. "
            f"Received: {text!r}."
        ) from None


def _number(hyperparameters, name: str, values: tuple[float, ...]) -> float:
    if len(values) > 2:
        return hyperparameters.Choice(name, list(values))
    low, high = values
    sampling = "log" if name in ("learning_rate", "l2") and low > 0 else "linear"
    return hyperparameters.Float(name, low, high, sampling=sampling)
