import functools
import json

import keras
import pytest
import tensorflow as tf

import kerasbert
from kerasbert.config import DataConfig, FitConfig, ModelConfig
from kerasbert.config_json import to_json
from kerasbert.data.labels import Labels
from kerasbert.data.tokens import Tokenizer
from kerasbert.models.classifier import build_classifier
from kerasbert.models.resolving import resolve_model_config
from tests.conftest import encoder_config, make_tokenizer

NAMES = {
    "binary": ("civil", "rude"),
    "multiclass": ("good", "bad", "ugly"),
    "multilabel": ("toxic", "threat", "insult"),
    "regression": ("score",),
}


@pytest.fixture
def eager_gradients():
    """Gradients without graphs, of which tracing one takes longer than a few paths of a toy do."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(scope="session")
def make_classifier():
    """A function from task, family and fields of `ModelConfig` to a toy classifier, made once."""

    def make(**changes):
        return cached(tuple(sorted(changes.items())))

    @functools.cache
    def cached(changes):
        return build(**dict(changes))

    def build(task="binary", family="bert", pair_column=None, **changes):
        names = NAMES[task]
        given = {"max_length": 32, "base": "toy"} | changes
        config = ModelConfig(task=task, num_labels=len(names), **given)
        base = encoder_config(family, blocks=1)
        config = resolve_model_config(config, base)
        keras.utils.set_random_seed(7)
        model = build_classifier(config, encoder_config=base)
        for weight in model.get_layer("encoder").weights:
            # Random weights of their usual size leave all texts the same to four digits.
            if "embeddings" in weight.path or "kernel" in weight.path:
                weight.assign(8 * weight)
        columns = names if task == "multilabel" else ("label",)
        thresholds = (0.5,) * len(names) if task in ("binary", "multilabel") else None
        labels = Labels(task, columns, names, thresholds)
        fit = json.loads(to_json(FitConfig(data=DataConfig(pair_column=pair_column), model=config)))
        pad = "<pad>" if family == "roberta" else "[PAD]"
        tokenizer = Tokenizer(make_tokenizer(pad), config.max_length, config.truncation)
        return kerasbert.Classifier(kerasbert.Run(model, config, labels, tokenizer, fit=fit))

    return make
