"""Rows of files made of lists, as if they had been read."""

import numpy as np

from kerasbert.checking.finding import Rows
from tests.data.making import make_examples


def make_rows(*files, pairs=None, **columns):
    """Rows of `train.csv`, `test.csv` and so on, each a list of texts; the first is in row 2."""
    texts = [text for file in files for text in file]
    columns = columns or {"label": ["0"] * len(texts)}
    examples = make_examples(texts, pairs, **columns)
    examples.rows[:] = type(examples.rows)("q", [i + 2 for file in files for i in range(len(file))])
    return Rows(
        paths=("train.csv", "test.csv", "more.csv")[: len(files)],
        examples=examples,
        ends=tuple(np.cumsum([len(file) for file in files]).tolist()),
        is_filled=np.array([bool(text.strip()) for text in texts]),
    )


def by_name(problems):
    """Problem name to (row indices, details), of those that were found."""
    return {
        problem.name: (None if problem.rows is None else problem.rows.tolist(), problem.details)
        for problem in problems
        if problem.is_found
    }


def serious(problems):
    return {problem.name for problem in problems if problem.is_found and problem.is_serious}
