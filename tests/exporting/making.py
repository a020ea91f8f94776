"""Saved toy runs to export."""

import json

import keras
import numpy as np

from kerasbert import saving
from kerasbert.config import DataConfig, FitConfig, ModelConfig
from kerasbert.config_json import to_json
from kerasbert.data.labels import Labels, default_thresholds
from kerasbert.data.tokens import Tokenizer
from kerasbert.models.classifier import build_classifier
from kerasbert.models.resolving import resolve_model_config
from kerasbert.run import Run
from tests.conftest import encoder_config, make_tokenizer


def toy_run(
    task="binary", names=("civil", "rude"), family="bert", pair_column=None, calibration=None,
    **changes,
) -> Run:  # fmt: skip
    """A run with random weights, none of which is 0, whose answers differ from text to text."""
    keras.utils.set_random_seed(7)
    base = encoder_config(family, blocks=1)  # of which a graph is made in less time
    given = {"base": "toy", "max_length": 32, "pooling": "mean"} | changes
    config = resolve_model_config(ModelConfig(task=task, num_labels=len(names), **given), base)
    model = build_classifier(config, encoder_config=base)
    random = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(weight + random.normal(0, 0.3, weight.shape))
    columns = names if task == "multilabel" else ("label",)
    labels = Labels(
        task, columns, names, default_thresholds(task, len(names)), calibration=calibration
    )
    fit = FitConfig(data=DataConfig(label_columns=columns, pair_column=pair_column))
    tokenizer = Tokenizer(make_tokenizer(), config.max_length, config.truncation)
    return Run(model, config, labels, tokenizer, fit=json.loads(to_json(fit)))


def save_toy_run(directory, **changes):
    saving.save(directory, toy_run(**changes))
    return directory
