"""A trained classifier with all that is known of it."""

import dataclasses
import functools
import json
from typing import Any

import keras

from kerasbert.config import FitConfig, ModelConfig
from kerasbert.config_json import to_json
from kerasbert.data.labels import Labels
from kerasbert.data.tokens import Tokenizer
from kerasbert.judged import Judged
from kerasbert.models.running import Forward, build_forward


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained classifier, and what is known of it.

    Attributes:
        model: the Keras model.
        config: what built it, with nothing left to derive.
        labels: what its output columns mean.
        tokenizer: the base's, with the config's maximum length and truncation.
        precision: the policy it was trained under.
        running_precision: the policy that its report was made under, and that a loaded run has.
        fit: the settings of the run, as JSON of `FitConfig`.
        report: the numbers by data set, as `kerasbert.metrics.build_report` gives them.
        training: what became of the training: `epochs`, `steps`, `num_trained` (weights),
            `best_epoch`, `monitor`, `findings` (what looked wrong) and `interrupted` (None, or
            where).
        data: what it was trained, validated and tested on, as `kerasbert.data.facts` has it; empty
            where an earlier version saved the run.
        history: a row per step and per epoch, as `kerasbert.history` has them; empty for
            a run that was loaded.
        judged: the validation and test examples with the model's outputs; empty for a run that was
            loaded.
    """

    model: keras.Model
    config: ModelConfig
    labels: Labels
    tokenizer: Tokenizer
    precision: str = "float32"
    running_precision: str = "float32"
    fit: dict[str, Any] = dataclasses.field(
        default_factory=lambda: json.loads(to_json(FitConfig()))
    )
    report: dict[str, Any] = dataclasses.field(default_factory=dict)
    training: dict[str, Any] = dataclasses.field(default_factory=dict)
    data: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    judged: dict[str, Judged] = dataclasses.field(default_factory=dict)

    @functools.cached_property
    def forward(self) -> Forward:
        """The model as a function, traced once for all that asks it."""
        return build_forward(self.model)

    @property
    def input_names(self) -> list[str]:
        """Names of the tensors the model reads."""
        return [tensor.name for tensor in self.model.inputs]

    @property
    def text_column(self) -> str:
        """Column of the texts that the model was trained on."""
        return self.fit["data"]["text_column"]

    @property
    def pair_column(self) -> str | None:
        """Column of the second texts that the model was trained on; None for single texts."""
        return self.fit["data"]["pair_column"]
