"""How long texts are in a base's tokens, and what a maximum length cuts off."""

import numpy as np

from kerasbert.checking.finding import Lengths, Problem, Rows

PERCENTILES = (50, 90, 95, 99, 100)
# The share of the texts of a file that may be cut before it is serious.
MOST_CUT = 0.5
_CHUNK = 8192
# Longer than any text, and a length that the tokenizers library can hold.
_NO_LIMIT = 2**31 - 1


def token_lengths(rows: Rows, base: str) -> np.ndarray:
    """Tokens of each row's text, or pair, special ones included, int64 of shape (n,).

    Raises:
        FileNotFoundError, InputError: the base or its tokenizer is not to be had.
    """
    # Slow to import, and not needed where only labels are asked for.
    from kerasbert.data.tokens import Tokenizer
    from kerasbert.models.base import find_base

    tokenizer = Tokenizer.from_directory(find_base(base), _NO_LIMIT)
    texts, pairs = rows.examples.texts, rows.examples.pairs
    lengths = np.zeros(len(rows), np.int64)
    for start in range(0, len(rows), _CHUNK):
        part = slice(start, start + _CHUNK)
        lengths[part] = tokenizer(texts[part], None if pairs is None else pairs[part]).lengths
    return lengths


def describe_lengths(rows: Rows, lengths: np.ndarray, max_length: int) -> list[Lengths | None]:
    """Mean, percentiles and what is cut off, per file.

    Args:
        rows: of all files.
        lengths: tokens of each row, of shape (n,).
        max_length: tokens kept of each text.
    """
    described = []
    for start, end in zip((0, *rows.ends), rows.ends, strict=False):
        part = lengths[start:end][rows.is_filled[start:end]]
        described.append(_describe(part, max_length) if len(part) else None)
    return described


def truncation_problem(rows: Rows, lengths: np.ndarray, max_length: int) -> Problem:
    """Texts that are longer than a maximum; serious where they are most of a file's."""
    is_cut = (lengths > max_length) & rows.is_filled
    cut = np.flatnonzero(is_cut)
    filled = np.array(rows.per_file(np.flatnonzero(rows.is_filled)))
    return Problem(
        "truncated",
        f"more than {max_length:,} tokens",
        cut,
        [f"{length:,} tokens" for length in lengths[cut]],
        is_serious=bool((np.array(rows.per_file(cut)) > MOST_CUT * filled).any()),
    )


def _describe(lengths: np.ndarray, max_length: int) -> Lengths:
    # Of two lengths the longer one, so that the percentile is a length that a text has.
    percentiles = np.percentile(lengths, PERCENTILES, method="higher")
    cut = lengths[lengths > max_length]
    return Lengths(
        mean=float(lengths.mean()),
        percentiles=dict(zip(PERCENTILES, percentiles.tolist(), strict=True)),
        share_cut=len(cut) / len(lengths),
        share_lost=float((cut - max_length).sum() / cut.sum()) if len(cut) else 0.0,
    )
