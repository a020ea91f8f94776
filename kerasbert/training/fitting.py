"""Dataset to trained classifier."""

import contextlib
import dataclasses
import json
from typing import Any

import keras
import numpy as np
from rich.console import Console
from transformers import PretrainedConfig

from kerasbert.config import FitConfig, ModelConfig, TrainConfig
from kerasbert.config_json import to_json
from kerasbert.data.dataset import Dataset, read_dataset
from kerasbert.data.examples import Examples
from kerasbert.data.labels import Labels
from kerasbert.data.pipeline import Source, training_batches, validation_batches
from kerasbert.data.tokens import Tokenizer, Tokens
from kerasbert.errors import InputError
from kerasbert.metrics import build_report
from kerasbert.models.base import find_base, read_encoder_config
from kerasbert.models.classifier import build_classifier, freezing_table
from kerasbert.models.optimization import compile_classifier, default_learning_rate
from kerasbert.models.pretrained_head import pretrained_label_order
from kerasbert.models.resolving import resolve_model_config
from kerasbert.models.running import running_precision, training_precision
from kerasbert.run import Run
from kerasbert.training.callbacks import FreezingProof, ProgressBars, StopAtNaN, say
from kerasbert.training.parts import Part, trained_part


def fit_classifier(
    config: FitConfig, dataset: Dataset | None = None, *, console: Console | None = None
) -> Run:
    """Train a classifier and score it.

    Args:
        config: what to do. `output` and `overwrite` are not looked at; see `kerasbert.save`.
        dataset: examples to use, instead of reading the files that `config.data` names.
        console: where to show what is frozen, bars and numbers. Default: nothing is shown.

    Returns:
        The trained model with its config, labels, tokenizer, and a report on `validation` and, if
        there are test examples, on `test`. Nothing is written to disk.

    Raises:
        FileNotFoundError, InputError: a file, a setting or the base cannot be used.
        TrainingError: the loss is no longer a number, or a frozen weight moved.

    Example:
        >>> run = fit_classifier(FitConfig(model=ModelConfig(freeze_base=True)))
        >>> round(run.report["validation"]["accuracy"], 1)
        0.8
    """
    console = console or Console(quiet=True)
    dataset = dataset or read_dataset(config.data, config.train.seed)
    keras.utils.set_random_seed(config.train.seed)

    directory = find_base(config.model.base)
    encoder_config = read_encoder_config(directory)
    if config.model.head == "pretrained":
        dataset = dataclasses.replace(
            dataset, labels=_in_pretrained_order(dataset.labels, encoder_config)
        )
    targets = dataset.labels.encode(dataset.train)
    model_config = resolve_model_config(
        _with_labels(config.model, dataset, targets), encoder_config, directory
    )
    tokenizer = Tokenizer.from_directory(directory, model_config.max_length)
    _check_vocabulary(tokenizer, encoder_config.vocab_size, config.model.base)
    policy = training_precision(config.train.precision)
    model = build_classifier(model_config, dtype=policy)
    tokens = tokenizer(dataset.train.texts, dataset.train.pairs)
    validation_tokens = tokenizer(dataset.validation.texts, dataset.validation.pairs)

    console.print(freezing_table(model))
    if left_out := model.get_layer("encoder").left_out:
        say(console, f"left out of the base: {', '.join(left_out)}")
    say(console, _describe(dataset, tokens, model_config))
    precision = running_precision(config.train.precision, model_config.encoder)
    part = trained_part(model, model_config, config.train, precision, tokens, console)
    with contextlib.closing(part):
        learning_rate = config.train.learning_rate or default_learning_rate(model)
        train = dataclasses.replace(config.train, learning_rate=learning_rate)
        sources = part.source(tokens), part.source(validation_tokens)
        say(
            console,
            f"{model_config.encoder} encoder, training in {policy}, running in {precision}",
        )
        _train(part, sources, dataset, train, FreezingProof(console, model), console)
        report = {
            "validation": _report(part, dataset.labels, dataset.validation, validation_tokens)
        }
        if dataset.test is not None:
            test_tokens = tokenizer(dataset.test.texts, dataset.test.pairs)
            report["test"] = _report(part, dataset.labels, dataset.test, test_tokens)
    settings = dataclasses.replace(config, data=dataset.config, model=model_config, train=train)
    return Run(
        model,
        model_config,
        dataset.labels,
        tokenizer,
        precision=policy,
        running_precision=precision,
        fit=json.loads(to_json(settings)),
        report=report,
    )


def _train(
    part: Part,
    sources: tuple[Source, Source],
    dataset: Dataset,
    train: TrainConfig,
    proof: FreezingProof,
    console: Console,
) -> None:
    """Compile and fit on the sources of training and validation, with bars and checks."""
    targets, validation_targets = map(dataset.labels.encode, (dataset.train, dataset.validation))
    batches = training_batches(
        sources[0], targets, batch_size=train.batch_size, seed=train.seed, bucket=train.bucket
    )
    num_steps = int(batches.cardinality()) * train.epochs
    compile_classifier(
        part.trained,
        dataset.labels.task,
        learning_rate=train.learning_rate,
        num_steps=num_steps,
        precision=training_precision(train.precision),
    )
    say(
        console,
        f"{num_steps:,} steps of {train.batch_size} in {train.epochs} epochs, "
        f"learning rate up to {train.learning_rate:g}",
    )
    with ProgressBars(console, len(dataset.train)) as bars:
        part.trained.fit(
            batches,
            validation_data=validation_batches(sources[1], validation_targets),
            epochs=train.epochs,
            shuffle=False,  # the batches are shuffled already
            verbose=0,
            callbacks=[proof, StopAtNaN(), bars],
        )


def _report(part: Part, labels: Labels, examples: Examples, tokens: Tokens) -> dict[str, Any]:
    return build_report(labels, labels.encode(examples), part.outputs(tokens))


def _in_pretrained_order(labels: Labels, encoder_config: PretrainedConfig) -> Labels:
    """The labels in the order of the outputs of the head that the base brings along."""
    names = pretrained_label_order(labels.names, encoder_config)
    columns = names if labels.task == "multilabel" else labels.columns
    return dataclasses.replace(labels, names=names, columns=columns)


def _with_labels(config: ModelConfig, dataset: Dataset, targets: np.ndarray) -> ModelConfig:
    """The config with what the training labels decide: task, number of outputs, scale of scores."""
    labels = dataset.labels
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


def _describe(dataset: Dataset, tokens: Tokens, config: ModelConfig) -> str:
    labels, shown = dataset.labels, ", ".join(dataset.labels.names[:10])
    return (
        f"{labels.task}: {shown}{', ...' if len(labels.names) > 10 else ''}\n"
        f"{len(dataset.train):,} examples to train on, {len(dataset.validation):,} to validate on\n"
        f"word pieces per text: median {np.median(tokens.lengths):.0f}, "
        f"longest {tokens.lengths.max()}; "
        f"{tokens.num_truncated / len(tokens):.1%} cut at {config.max_length}"
    )
