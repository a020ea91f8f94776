"""Examples made of lists, as if they had been read from a file."""

import numpy as np

from kerasbert.data.examples import Examples
from kerasbert.data.tokens import Tokens

NAMES = ("input_ids", "attention_mask", "token_type_ids")
PAD_ID = 99


def make_examples(texts=None, pairs=None, **columns):
    """Examples of `comments.csv`, the first in row 2, with texts all different if not given."""
    count = len(texts) if texts is not None else len(next(iter(columns.values())))
    return Examples(
        texts=list(texts) if texts is not None else [f"text {number}" for number in range(count)],
        pairs=pairs,
        labels={column: list(cells) for column, cells in columns.items()},
        rows=list(range(2, count + 2)),
        source="comments.csv",
    )


def make_tokens(lengths):
    """Text i is the pieces 1000 i + 1, 1000 i + 2 and so on; its last piece is of segment 1."""
    return Tokens(
        input_ids=np.concatenate(
            [1000 * text + 1 + np.arange(length) for text, length in enumerate(lengths)]
        ).astype(np.int32),
        token_type_ids=np.concatenate(
            [np.arange(length) == length - 1 for length in lengths]
        ).astype(np.int8),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        pad_id=PAD_ID,
        num_truncated=0,
    )


def random_lengths(count, seed=0):
    return np.random.default_rng(seed).integers(3, 60, size=count)
