"""A config and a dataset to a model and numbers, ready to be trained."""

import dataclasses
import hashlib

import keras
import numpy as np
from rich.console import Console
from transformers import PretrainedConfig

from kerasbert.checking.quick import quick_lines
from kerasbert.config import FitConfig, ModelConfig
from kerasbert.data.dataset import Dataset
from kerasbert.data.labels import Labels
from kerasbert.data.tokens import Tokenizer, Tokens
from kerasbert.deciding.choosing import check_decision
from kerasbert.errors import InputError
from kerasbert.models.base import read_encoder_config
from kerasbert.models.classifier import build_classifier, freezing_table
from kerasbert.models.optimization import default_learning_rate
from kerasbert.models.pretrained_head import pretrained_label_order
from kerasbert.models.resolving import resolve_model_config
from kerasbert.models.running import running_precision, training_precision
from kerasbert.training.console import say
from kerasbert.training.shared import Shared


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """What is learned from, and what is watched.

    Attributes:
        labels: what the targets mean.
        tokens: n texts.
        targets: theirs, from `labels.encode`.
        validation_tokens: texts that are not learned from.
        validation_targets: theirs.
    """

    labels: Labels
    tokens: Tokens
    targets: np.ndarray
    validation_tokens: Tokens
    validation_targets: np.ndarray

    def digest(self) -> str:
        """What decides a training of the data, in hexadecimal."""
        digest = hashlib.sha256()
        for tokens in (self.tokens, self.validation_tokens):
            for array in (tokens.input_ids, tokens.token_type_ids, tokens.offsets):
                digest.update(array)
        for targets in (self.targets, self.validation_targets):
            digest.update(np.ascontiguousarray(targets))
        return digest.hexdigest()


@dataclasses.dataclass(frozen=True)
class Prepared:
    """All that a training begins with.

    Attributes:
        config: as it was asked for, with nothing left to derive.
        model: frozen as the config says, not compiled.
        tokenizer: the base's.
        data: to learn from.
    """

    config: FitConfig
    model: keras.Model
    tokenizer: Tokenizer
    data: TrainingData

    def digests(self) -> dict[str, str]:
        """Of what decides the training beside the config, by name."""
        weights = hashlib.sha256()
        for weight in self.model.get_layer("encoder").weights:
            weights.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)))
        return {"data": self.data.digest(), "base": weights.hexdigest()}


def prepare(config: FitConfig, dataset: Dataset, console: Console, shared: Shared) -> Prepared:
    """Build the model and cut the texts into word pieces; sets the seeds of the run.

    Args:
        config: as the user gave it.
        dataset: the examples.
        console: where to show what is frozen, and what the texts are like.
        shared: what other trainings in this process may have done already.

    Raises:
        FileNotFoundError, InputError: a setting or the base cannot be used.
    """
    keras.utils.set_random_seed(config.train.seed)
    directory = shared.bases.find(config.model.base)
    encoder_config = read_encoder_config(directory)
    labels = dataset.labels
    if config.model.head == "pretrained":
        labels = _in_pretrained_order(labels, encoder_config)
    targets = labels.encode(dataset.train)
    validation_targets = labels.encode(dataset.validation)
    check_decision(labels, validation_targets, config.decision)
    model_config = resolve_model_config(
        _with_labels(config.model, labels, targets), encoder_config, directory
    )
    tokenized = shared.tokenized(dataset, directory, model_config)
    tokens, validation_tokens = tokenized.train, tokenized.validation
    _check_vocabulary(tokenized.tokenizer, encoder_config.vocab_size, config.model.base)
    policy = training_precision(config.train.precision)
    model = build_classifier(model_config, dtype=policy, bases=shared.bases)

    console.print(freezing_table(model))
    if left_out := model.get_layer("encoder").left_out:
        say(console, f"left out of the base: {', '.join(left_out)}")
    if not console.quiet:  # as for the trials of a sweep
        say(console, "\n".join(quick_lines(dataset)))
    say(console, _describe(labels, dataset, tokens, model_config))
    precision = running_precision(config.train.precision, model_config.encoder)
    say(console, f"{model_config.encoder} encoder, training in {policy}, running in {precision}")
    rate = config.train.learning_rate or default_learning_rate(model)
    return Prepared(
        dataclasses.replace(
            config,
            data=dataset.config,
            model=model_config,
            train=dataclasses.replace(config.train, learning_rate=rate),
        ),
        model,
        tokenized.tokenizer,
        TrainingData(labels, tokens, targets, validation_tokens, validation_targets),
    )


def _in_pretrained_order(labels: Labels, encoder_config: PretrainedConfig) -> Labels:
    """The labels in the order of the outputs of the head that the base brings along."""
    names = pretrained_label_order(labels.names, encoder_config)
    columns = names if labels.task == "multilabel" else labels.columns
    return dataclasses.replace(labels, names=names, columns=columns)


def _with_labels(config: ModelConfig, labels: Labels, targets: np.ndarray) -> ModelConfig:
    """The config with what the training labels decide: task, number of outputs, scale of scores."""
    config = dataclasses.replace(config, task=labels.task, num_labels=len(labels.names))
    # A pretrained head has learned scores as they are.
    if labels.task == "regression" and config.head != "pretrained":
        config = dataclasses.replace(
            config,
            target_mean=float(targets.mean(dtype=np.float64)),
            target_scale=float(targets.std(dtype=np.float64)),
        )
    return config


def _check_vocabulary(tokenizer: Tokenizer, size: int, base: str) -> None:
    if tokenizer.max_id >= size:
        raise InputError(
            f"The tokenizer of the base {base!r} knows the piece number {tokenizer.max_id}, and "
            f"its encoder has {size:,} of them. Expected a tokenizer and weights that belong "
            "together."
        )


def _describe(labels: Labels, dataset: Dataset, tokens: Tokens, config: ModelConfig) -> str:
    shown = ", ".join(labels.names[:10])
    return (
        f"{labels.task}: {shown}{', ...' if len(labels.names) > 10 else ''}\n"
        f"{len(dataset.train):,} examples to train on, {len(dataset.validation):,} to validate on\n"
        f"word pieces per text: median {np.median(tokens.lengths):.0f}, "
        f"longest {tokens.lengths.max()}; "
        f"{tokens.num_truncated / len(tokens):.1%} cut at {config.max_length}"
    )
