"""Batches as a `tf.data.Dataset`, for `model.fit`."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from kerasbert.data.batches import pad, shuffled_buckets, sorted_buckets
from kerasbert.data.tokens import Tokens


@dataclasses.dataclass(frozen=True)
class Source:
    """What a model reads, for any choice of examples.

    Attributes:
        take: indices of shape (batch,) to the model's inputs by name.
        signature: shape and type of each input.
        lengths: word pieces per example, shape (n,).
    """

    take: Callable[[np.ndarray], dict[str, np.ndarray]]
    signature: dict[str, tf.TensorSpec]
    lengths: np.ndarray


def token_source(tokens: Tokens, names: Sequence[str]) -> Source:
    """Word pieces, padded; int32 of shape (batch, length) for each of `names`."""
    signature = {name: tf.TensorSpec((None, None), tf.int32, name=name) for name in names}
    return Source(lambda indices: pad(tokens, indices, names), signature, tokens.lengths)


def training_batches(
    source: Source, targets: np.ndarray, *, batch_size: int, seed: int, bucket: bool = True
) -> tf.data.Dataset:
    """Batches for `model.fit`, in another order each epoch.

    Args:
        source: n examples.
        targets: shape (n,) or (n, labels).
        batch_size: the most examples in a batch; all are nearly of one size.
        seed: the same seed gives the same batches in the same order.
        bucket: put examples of like length together; else draw them blindly.

    Returns:
        A dataset of `(inputs, targets)`.
    """
    lengths = source.lengths if bucket else np.ones_like(source.lengths)
    epoch = itertools.count()

    def generate():
        random = np.random.default_rng([seed, next(epoch)])
        for indices in shuffled_buckets(lengths, batch_size, random):
            yield source.take(indices), targets[indices]

    num_batches = len(shuffled_buckets(lengths, batch_size, np.random.default_rng(seed)))
    return _dataset(generate, source, targets, num_batches)


def validation_batches(source: Source, targets: np.ndarray) -> tf.data.Dataset:
    """Batches for `validation_data`, sorted by length, the same each time."""
    buckets = sorted_buckets(source.lengths)

    def generate():
        for indices in buckets:
            yield source.take(indices), targets[indices]

    return _dataset(generate, source, targets, len(buckets))


def _dataset(generate, source: Source, targets: np.ndarray, num_batches: int) -> tf.data.Dataset:
    outputs = tf.TensorSpec((None, *targets.shape[1:]), targets.dtype)
    dataset = tf.data.Dataset.from_generator(generate, output_signature=(source.signature, outputs))
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(num_batches))
    return dataset.prefetch(2)
