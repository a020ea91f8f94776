"""Which texts go into a batch together, and word pieces padded to one length.

The cost of a batch is that of its longest text times its size. Texts of like length together leave
little to pad: on tweets, half of the pieces or more would be padding in batches drawn blindly.
"""

import math
from collections.abc import Sequence

import numpy as np

from kerasbert.data.tokens import Tokens

# Batches whose texts are sorted by length together: enough to pad little, few enough to leave the
# order random.
_POOL = 64
# Word pieces in a batch that is only run: enough to keep the processor busy, few enough for what a
# block computes to stay in its cache.
MAX_PIECES = 4096


def sorted_buckets(lengths: np.ndarray, max_pieces: int = MAX_PIECES) -> list[np.ndarray]:
    """Indices of all texts in batches of at most `max_pieces`, padding included, longest first.

    A text that is longer than that is a batch of its own. With lengths 4 9 4 and 9 pieces at most
    the batches are {1} and {0, 2}. A batch of more than eight takes no text that would be padded
    by more than a third of its length.
    """
    # Longest first, so that a machine whose memory is too small says so at once.
    order = np.argsort(-lengths, kind="stable")
    falling = -lengths[order]
    batches, start = [], 0
    while start < len(order):
        longest = max(1, int(lengths[order[start]]))
        # The first text that is shorter than three quarters of the longest.
        similar = int(np.searchsorted(falling, -0.75 * longest, side="right")) - start
        size = max(1, min(max_pieces // longest, max(similar, 8)))
        batches.append(order[start : start + size])
        start += size
    return batches


def shuffled_buckets(
    lengths: np.ndarray, batch_size: int, random: np.random.Generator
) -> list[np.ndarray]:
    """Indices of all texts in batches of about equal length, in random order, each index once.

    With lengths 2 9 3 8 and a batch size of 2 the batches are {0, 2} and {1, 3}, whichever first.
    What does not divide is shared out, not left over: 17 texts in batches of 16 become 9 and 8, as
    a batch of one text would teach batch normalisation nonsense.
    """
    batches: list[np.ndarray] = []
    for pool in _pools(random.permutation(len(lengths)), batch_size):
        by_length = pool[np.argsort(lengths[pool], kind="stable")]
        batches += np.array_split(by_length, math.ceil(len(pool) / batch_size))
    return [batches[index] for index in random.permutation(len(batches))]


def num_batches(num_examples: int, batch_size: int) -> int:
    """How many batches `shuffled_buckets` makes."""
    pools = _pools(np.empty(num_examples, np.int8), batch_size)
    return sum(math.ceil(len(pool) / batch_size) for pool in pools)


def _pools(order: np.ndarray, batch_size: int) -> list[np.ndarray]:
    return np.array_split(order, math.ceil(len(order) / (batch_size * _POOL)))


def pad(
    tokens: Tokens, indices: np.ndarray, names: Sequence[str], length: int | None = None
) -> dict[str, np.ndarray]:
    """The texts at `indices` as int32 arrays of shape (batch, length).

    Args:
        tokens: the texts.
        indices: which of them, shape (batch,).
        names: of the arrays.
        length: at least that of the longest, which is the default.
    """
    starts, lengths = tokens.offsets[indices], tokens.lengths[indices]
    length = length or int(lengths.max())
    is_piece = np.arange(length) < lengths[:, None]  # (batch, length)
    places = (starts[:, None] + np.arange(length))[is_piece]  # (pieces,)
    batch = {
        "input_ids": np.full(is_piece.shape, tokens.pad_id, np.int32),
        "attention_mask": is_piece.astype(np.int32),
        "token_type_ids": np.zeros(is_piece.shape, np.int32),
    }
    batch["input_ids"][is_piece] = tokens.input_ids[places]
    batch["token_type_ids"][is_piece] = tokens.token_type_ids[places]
    return {name: batch[name] for name in names}
