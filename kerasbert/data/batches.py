"""Ragged word pieces to padded batches of texts that are about equally long.

The cost of a batch is that of its longest text times its size. Texts of like length together leave
little to pad: on tweets, half of the pieces or more would be padding in batches drawn blindly.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from kerasbert.data.tokens import Tokens

# Batches whose texts are sorted by length together: enough to pad little, few enough to leave the
# order random.
_POOL = 64


def training_batches(
    tokens: Tokens, targets: np.ndarray, names: Sequence[str], *, batch_size: int, seed: int
) -> tf.data.Dataset:
    """Batches for `model.fit`, in another order each epoch.

    Args:
        tokens: n texts.
        targets: shape (n,) or (n, labels).
        names: of the tensors the model reads.
        batch_size: the most texts in a batch; all are nearly of one size.
        seed: the same seed gives the same batches in the same order.

    Returns:
        A dataset of `(inputs, targets)`; inputs are int32 of shape (batch, length) by name.
    """
    epoch = itertools.count()

    def generate():
        random = np.random.default_rng([seed, next(epoch)])
        for indices in shuffled_buckets(tokens.lengths, batch_size, random):
            yield pad(tokens, indices, names), targets[indices]

    num_batches = len(shuffled_buckets(tokens.lengths, batch_size, np.random.default_rng(seed)))
    return _dataset(generate, targets, names, num_batches)


def validation_batches(
    tokens: Tokens, targets: np.ndarray, names: Sequence[str], *, batch_size: int
) -> tf.data.Dataset:
    """Batches for `validation_data`, sorted by length, the same each time."""
    buckets = sorted_buckets(tokens.lengths, batch_size)

    def generate():
        for indices in buckets:
            yield pad(tokens, indices, names), targets[indices]

    return _dataset(generate, targets, names, len(buckets))


def sorted_buckets(lengths: np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Indices of all texts in batches of `batch_size`, longest first, each index once."""
    # Longest first, so that a machine whose memory is too small says so at once.
    order = np.argsort(-lengths, kind="stable")
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]


def shuffled_buckets(
    lengths: np.ndarray, batch_size: int, random: np.random.Generator
) -> list[np.ndarray]:
    """Indices of all texts in batches of about equal length, in random order, each index once.

    With lengths 2 9 3 8 and a batch size of 2 the batches are {0, 2} and {1, 3}, whichever first.
    What does not divide is shared out, not left over: 17 texts in batches of 16 become 9 and 8, as
    a batch of one text would teach batch normalisation nonsense.
    """
    order = random.permutation(len(lengths))
    batches: list[np.ndarray] = []
    for pool in np.array_split(order, math.ceil(len(order) / (batch_size * _POOL))):
        by_length = pool[np.argsort(lengths[pool], kind="stable")]
        batches += np.array_split(by_length, math.ceil(len(pool) / batch_size))
    return [batches[index] for index in random.permutation(len(batches))]


def pad(tokens: Tokens, indices: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """The texts at `indices` as int32 arrays of shape (batch, length of the longest)."""
    starts, lengths = tokens.offsets[indices], tokens.lengths[indices]
    is_piece = np.arange(lengths.max()) < lengths[:, None]  # (batch, length)
    places = (starts[:, None] + np.arange(lengths.max()))[is_piece]  # (pieces,)
    batch = {
        "input_ids": np.full(is_piece.shape, tokens.pad_id, np.int32),
        "attention_mask": is_piece.astype(np.int32),
        "token_type_ids": np.zeros(is_piece.shape, np.int32),
    }
    batch["input_ids"][is_piece] = tokens.input_ids[places]
    batch["token_type_ids"][is_piece] = tokens.token_type_ids[places]
    return {name: batch[name] for name in names}


def _dataset(generate, targets: np.ndarray, names: Sequence[str], num_batches: int):
    inputs = {name: tf.TensorSpec((None, None), tf.int32, name=name) for name in names}
    outputs = tf.TensorSpec((None, *targets.shape[1:]), targets.dtype)
    dataset = tf.data.Dataset.from_generator(generate, output_signature=(inputs, outputs))
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(num_batches))
    return dataset.prefetch(2)
