"""The words half of a run: files to examples, split, with labels found and checked.

Imports no TensorFlow, so that a wrong column name is answered at once.
"""

import dataclasses
import warnings
from pathlib import Path

import numpy as np

from kerasbert.config import DataConfig
from kerasbert.data.duplicates import drop_duplicates, together
from kerasbert.data.examples import Examples, read_examples
from kerasbert.data.labels import Labels, find_labels
from kerasbert.data.splitting import split
from kerasbert.errors import InputError, InputWarning

SAMPLE = Path(__file__).parent / "sample.csv"


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Examples to train on, to validate on and, perhaps, to test on, and what the labels mean.

    `config` says by which columns they were read; it is kept with the model that learns from them.
    """

    train: Examples
    validation: Examples
    test: Examples | None
    labels: Labels
    config: DataConfig


def sample_notice(dataset: Dataset) -> str:
    """What to say where nobody named a file, and the packaged sample was used."""
    return (
        f"This is the packaged sample, {len(dataset.train):,} + {len(dataset.validation):,} "
        "comments for trying things out.\nFor numbers that mean something, name your own data "
        "with --train."
    )


def read_dataset(config: DataConfig, seed: int = 0) -> Dataset:
    """Read, check and split what `config` names; the packaged sample where it names no file.

    Raises:
        FileNotFoundError: a file that is not there.
        InputError: a file, row or cell that cannot be used; the message names it.
    """
    train, labels = read_training_file(config, seed)
    validation = None
    if config.validation is not None:
        validation = _read_labelled(config.validation, config, labels)
    test = read_test_file(config, labels)
    train = drop_duplicates(train, [validation, test], config)
    if validation is None:
        targets, fraction = labels.encode(train), config.validation_fraction
        kept, held_out = split(train, targets, fraction, seed, together(train, config))
        if len(held_out) == 0 or len(kept) == 0:
            raise InputError(
                f"{train.source}: {len(train)} rows are too few, or too alike, to hold out "
                f"{fraction:.0%} for validation. Name a file with --validation."
            )
        train, validation = train.take(kept), train.take(held_out)
    # Of what the whole file had, --limit or the hold-out may have left too little.
    check_scores_differ(train, labels, "Add rows, raise --limit, or name a file with --validation.")
    if lost := missing_labels(train, labels):
        warnings.warn(
            f"{train.source}: no example of {', '.join(map(repr, lost))} is among the "
            f"{len(train):,} to train on, so it cannot be learned.",
            InputWarning,
            stacklevel=2,
        )
    return Dataset(train, validation, test, labels, config)


def read_training_file(config: DataConfig, seed: int) -> tuple[Examples, Labels]:
    """The rows to train on and to hold out a part of, and the labels of the whole file.

    With `config.limit`, so many rows, drawn with `seed`, in the file's order.
    """
    examples = _read(config.train or SAMPLE, config)
    labels = find_labels(examples, config.task)
    if config.limit is not None and config.limit < len(examples):
        chosen = np.random.default_rng(seed).permutation(len(examples))[: config.limit]
        examples = examples.take(np.sort(chosen))
    return examples, labels


def read_test_file(config: DataConfig, labels: Labels) -> Examples | None:
    """The rows of the test file, whose labels are checked; None where none is named."""
    return None if config.test is None else _read_labelled(config.test, config, labels)


def missing_labels(examples: Examples, labels: Labels) -> list[str]:
    """Names of the labels that no example has; for scores, an empty list."""
    if labels.task == "regression":
        return []
    targets = labels.encode(examples)
    if labels.task == "multilabel":
        is_there = (targets == 1).any(axis=0)
    else:
        is_there = np.isin(np.arange(len(labels.names)), targets)
    return [name for name, there in zip(labels.names, is_there, strict=True) if not there]


def check_scores_differ(train: Examples, labels: Labels, advice: str) -> None:
    """Raise an `InputError` if there are scores to train on, and all are the same."""
    if labels.task == "regression" and np.ptp(labels.encode(train)) == 0:
        raise InputError(
            f"{train.source}: all {len(train)} scores that are left to train on are the same. "
            f"{advice}"
        )


def _read_labelled(path: str, config: DataConfig, labels: Labels) -> Examples:
    examples = _read(path, config)
    labels.encode(examples)
    return examples


def _read(path: str | Path, config: DataConfig) -> Examples:
    return read_examples(
        path,
        text_column=config.text_column,
        pair_column=config.pair_column,
        label_columns=config.label_columns,
        encoding=config.encoding,
    )
