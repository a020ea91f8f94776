"""The words half of a run: files to examples, split, with labels found and checked.

Imports no TensorFlow, so that a wrong column name is answered at once.
"""

import dataclasses
import warnings
from pathlib import Path

import numpy as np

from kerasbert.config import DataConfig
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


def read_dataset(config: DataConfig, seed: int = 0) -> Dataset:
    """Read, check and split what `config` names; the packaged sample where it names no file.

    Raises:
        FileNotFoundError: a file that is not there.
        InputError: a file, row or cell that cannot be used; the message names it.
    """
    train = _read(config.train or SAMPLE, config)
    labels = find_labels(train, config.task)
    if config.limit is not None and config.limit < len(train):
        chosen = np.random.default_rng(seed).permutation(len(train))[: config.limit]
        train = train.take(np.sort(chosen))
    targets = labels.encode(train)
    if config.validation is not None:
        validation = _read(config.validation, config)
        labels.encode(validation)
    else:
        kept, held_out = split(train, targets, config.validation_fraction, seed)
        if len(held_out) == 0 or len(kept) == 0:
            raise InputError(
                f"{train.source}: {len(train)} rows are too few, or too alike, to hold out "
                f"{config.validation_fraction:.0%} for validation. Name a file with --validation."
            )
        train, validation = train.take(kept), train.take(held_out)
    test = None
    if config.test is not None:
        test = _read(config.test, config)
        labels.encode(test)
    _check_left_to_learn(train, labels)
    return Dataset(train, validation, test, labels, config)


def _check_left_to_learn(train: Examples, labels: Labels) -> None:
    """Of what the whole file had, --limit or the hold-out may have left too little."""
    targets = labels.encode(train)
    if labels.task == "regression":
        if np.ptp(targets) == 0:
            raise InputError(
                f"{train.source}: all {len(train)} scores that are left to train on are the same. "
                "Add rows, raise --limit, or name a file with --validation."
            )
        return
    if labels.task == "multilabel":
        is_there = (targets == 1).any(axis=0)
    else:
        is_there = np.isin(np.arange(len(labels.names)), targets)
    lost = [name for name, there in zip(labels.names, is_there, strict=True) if not there]
    if lost:
        warnings.warn(
            f"{train.source}: no example of {', '.join(map(repr, lost))} is among the "
            f"{len(train):,} to train on, so it cannot be learned.",
            InputWarning,
            stacklevel=2,
        )


def _read(path: str | Path, config: DataConfig) -> Examples:
    return read_examples(
        path,
        text_column=config.text_column,
        pair_column=config.pair_column,
        label_columns=config.label_columns,
        encoding=config.encoding,
    )
