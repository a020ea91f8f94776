"""read_rows(paths), check_rows(rows) -> finding: what is to be known of files before training."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from kerasbert.checking.finding import Finding, Rows
from kerasbert.checking.labels import count_labels, label_problems, score_ranges
from kerasbert.checking.lengths import describe_lengths, token_lengths, truncation_problem
from kerasbert.checking.repeats import repeat_problems
from kerasbert.checking.suspects import find_suspects
from kerasbert.checking.texts import text_problems
from kerasbert.config import DataConfig
from kerasbert.data.examples import Examples, read_examples
from kerasbert.data.near_duplicates import SIMILARITY
from kerasbert.data.tables import decoding_problem


def read_rows(paths: Sequence[str | Path], columns: DataConfig) -> Rows:
    """Read all rows of some files with the same columns, those without a text included.

    Args:
        paths: the file to train on, and then those to validate and test on.
        columns: names of the columns, and the encoding; nothing else of it is looked at.

    Raises:
        FileNotFoundError: a file that is not there.
        InputError: a file that cannot be read, or lacks a column.
    """
    parts = [
        read_examples(
            path,
            text_column=columns.text_column,
            pair_column=columns.pair_column,
            label_columns=columns.label_columns,
            encoding=columns.encoding,
            keeps_all=True,
        )
        for path in paths
    ]
    examples = functools.reduce(Examples.joined, parts)
    return Rows(
        paths=tuple(map(str, paths)),
        examples=examples,
        ends=tuple(np.cumsum([len(part) for part in parts]).tolist()),
        is_filled=np.array([bool(text.strip()) for text in examples.texts], bool),
        misread=tuple(filter(None, (decoding_problem(path, columns.encoding) for path in paths))),
    )


def check_rows(
    rows: Rows,
    task: str = "auto",
    *,
    base: str = "minilm",
    max_length: int = 256,
    similarity: float = SIMILARITY,
    suspects: tuple[str | Path, int] | None = None,
    say: Callable[[str], None] = lambda what: None,
) -> Finding:
    """Look for what would spoil a training, or its measure, without refusing at the first of it.

    Args:
        rows: of all files.
        task: a key of `kerasbert.tasks.TASKS`, or `"auto"`, which reads it off the labels.
        base: whose tokens are counted, as in `ModelConfig`.
        max_length: tokens kept of each text.
        similarity: share of character shingles that near-duplicates have in common, above 0 and
            at most 1.
        suspects: a file of out-of-fold predictions for the first file, as `kerasbert.fit --folds`
            writes it, and how many of the rows that it believes least to name.
        say: is told what is being looked at.

    Raises:
        FileNotFoundError: a base, or file of predictions, that is not there.
        InputError: a base that cannot be used, or predictions that are not of the first file.

    Example:
        >>> rows = read_rows(["train.csv", "test.csv"], DataConfig(label_columns=("rude",)))
        >>> finding = check_rows(rows)
        >>> [(problem.name, len(problem.rows)) for problem in finding.problems]
        [('text_of_another_file', 1), ('duplicate', 3)]
    """
    say("labels")
    task, problems = label_problems(rows, task)
    if suspects is not None:
        problems.append(find_suspects(rows, task, *suspects))
    say("texts")
    problems += text_problems(rows)
    say("duplicates")
    problems += repeat_problems(rows, similarity, task == "regression")
    say("tokens")
    lengths = token_lengths(rows, base)
    problems.append(truncation_problem(rows, lengths, max_length))
    found = [problem for problem in problems if problem.is_found]
    return Finding(
        rows=rows,
        task=task,
        balance=count_labels(rows, task),
        scores=score_ranges(rows, task),
        base=base,
        max_length=max_length,
        lengths=describe_lengths(rows, lengths, max_length),
        problems=tuple(sorted(found, key=lambda problem: not problem.is_serious)),
    )
