"""Dataset to trained classifier."""

import contextlib
import dataclasses
import json
from typing import Any

import keras
import numpy as np
from rich.console import Console
from transformers import PretrainedConfig

from kerasbert.config import FitConfig, ModelConfig
from kerasbert.config_json import to_json
from kerasbert.data.dataset import Dataset, read_dataset
from kerasbert.data.examples import Examples
from kerasbert.data.labels import Labels
from kerasbert.data.pipeline import training_batches, validation_batches
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
from kerasbert.training.parts import trained_part


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
        source, validation_source = part.source(tokens), part.source(validation_tokens)
        learning_rate = config.train.learning_rate or default_learning_rate(model)
        batches = training_batches(
            source,
            targets,
            batch_size=config.train.batch_size,
            seed=config.train.seed,
            bucket=config.train.bucket,
        )
        num_steps = int(batches.cardinality()) * config.train.epochs
        compile_classifier(
            part.trained,
            model_config.task,
            learning_rate=learning_rate,
            num_steps=num_steps,
            precision=policy,
        )
        say(
            console,
            f"{num_steps:,} steps of {config.train.batch_size} in {config.train.epochs} epochs, "
            f"learning rate up to {learning_rate:g}\n{model_config.encoder} encoder, "
            f"training in {policy}, running in {precision}",
        )
        validation_targets = dataset.labels.encode(dataset.validation)
        with ProgressBars(console, len(tokens)) as bars:
            part.trained.fit(
                batches,
                validation_data=validation_batches(validation_source, validation_targets),
                epochs=config.train.epochs,
                shuffle=False,  # the batches are shuffled already
                verbose=0,
                callbacks=[FreezingProof(console, model), StopAtNaN(), bars],
            )

        def report_on(examples: Examples, tokens: Tokens) -> dict[str, Any]:
            return build_report(
                dataset.labels, dataset.labels.encode(examples), part.outputs(tokens)
            )

        report = {"validation": report_on(dataset.validation, validation_tokens)}
        if dataset.test is not None:
            test_tokens = tokenizer(dataset.test.texts, dataset.test.pairs)
            report["test"] = report_on(dataset.test, test_tokens)
    settings = dataclasses.replace(
        config,
        data=dataset.config,
        model=model_config,
        train=dataclasses.replace(config.train, learning_rate=learning_rate),
    )
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
