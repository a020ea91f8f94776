"""Two lines before a training: what can be told of its data at once, and how to learn more."""

import functools
import shlex
from collections.abc import Iterator

import numpy as np

from kerasbert.checking.repeats import contradicting_groups, first_of_group
from kerasbert.checking.texts import is_broken
from kerasbert.config import DataConfig
from kerasbert.data.dataset import Dataset
from kerasbert.data.examples import Examples
from kerasbert.data.splitting import text_groups


def quick_lines(dataset: Dataset) -> tuple[str, str]:
    """The number of rows and what is odd about them; and the command that shows which rows.

    Looks at equal texts, their labels, and broken letters, in about 0.2 s per 10,000 comments.

    Example:
        >>> print(*quick_lines(read_dataset(DataConfig(train="a.csv", test="b.csv"))), sep="\\n")
        data: 544 + 136 + 90 rows; repeated: 3; held-out texts of an earlier file: 2
        serious, so look: python -m kerasbert.check a.csv b.csv
    """
    parts = [dataset.train, dataset.validation]
    parts += [] if dataset.test is None else [dataset.test]
    everything = functools.reduce(Examples.joined, parts)
    file_of = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    text_of, _ = text_groups(everything)
    first = first_of_group(text_of)

    repeated = int(((file_of[first] == file_of) & (first != np.arange(len(first)))).sum())
    serious = list(_serious(dataset, everything, text_of, file_of != file_of[first]))
    odd = [f"repeated: {repeated:,}"] * (repeated > 0) + serious
    sizes = " + ".join(f"{len(part):,}" for part in parts)
    what = "; ".join([f"data: {sizes} rows", *(odd or ["none repeated"])])
    command = check_command(dataset.config, dataset.train.source)
    return what, f"{'serious, so look' if serious else 'nothing serious; for more'}: {command}"


def check_command(config: DataConfig, train: str) -> str:
    """The command that checks the files of a config.

    Args:
        config: whose files and columns are meant.
        train: the training file, which the config need not name.
    """
    files = [train, *(path for path in (config.validation, config.test) if path is not None)]
    usual = DataConfig()
    flags = []
    for name in ("text_column", "pair_column", "label_columns", "task", "encoding"):
        value = getattr(config, name)
        if value != getattr(usual, name):
            values = value if isinstance(value, tuple) else (value,)
            flags += [f"--{name.replace('_', '-')}", *values]
    return f"python -m kerasbert.check {shlex.join([*files, *flags])}"


def _serious(
    dataset: Dataset, everything: Examples, text_of: np.ndarray, is_leaked: np.ndarray
) -> Iterator[str]:
    """What is serious, with its number."""
    if leaked := int(is_leaked.sum()):
        yield f"held-out texts of an earlier file: {leaked:,}"
    contradicting = len(contradicting_groups(everything.labels, text_of))
    if contradicting and dataset.labels.task != "regression":
        yield f"texts with different labels: {contradicting:,}"
    texts = [everything.texts] if everything.pairs is None else [everything.texts, everything.pairs]
    if broken := sum(is_broken(text) for column in texts for text in column):
        yield f"texts with broken letters: {broken:,}"
