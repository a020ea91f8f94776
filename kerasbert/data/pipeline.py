"""Batches as a `tf.data.Dataset`, for `model.fit`."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from kerasbert.data.batches import num_batches, pad, shuffled_buckets
from kerasbert.data.tokens import Tokens
from kerasbert.tasks import UNKNOWN


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
    source: Source,
    targets: np.ndarray,
    *,
    batch_size: int,
    seed: int,
    epoch: int = 0,
    bucket: bool = True,
    accumulation: int = 1,
    skip: int = 0,
) -> tf.data.Dataset:
    """The batches of one epoch for `model.fit`.

    Args:
        source: n examples.
        targets: shape (n,) or (n, labels).
        batch_size: the most examples in a batch; all are nearly of one size.
        seed: with `epoch` it decides the batches and their order.
        epoch: from 0.
        bucket: put examples of like length together; else draw them blindly.
        accumulation: batches that make one step. Together they are what one batch of
            `accumulation` times the size would be.
        skip: steps of the epoch to leave out, since they were taken already.

    Returns:
        A dataset of `(inputs, targets)`; where batches are accumulated, of `(inputs, targets,
        weights)`, by which the mean over them of each one's loss is that of the one large batch.
    """
    lengths = source.lengths if bucket else np.ones_like(source.lengths)

    def generate():
        random = np.random.default_rng([seed, epoch])
        for step in shuffled_buckets(lengths, batch_size * accumulation, random)[skip:]:
            if accumulation == 1:
                yield source.take(step), targets[step]
                continue
            for part, weight in shared_out(step, targets, accumulation):
                weights = np.full(len(part), weight, np.float32)
                yield source.take(part), targets[part], weights

    num_left = num_batches(len(targets), batch_size * accumulation) - skip
    return _dataset(generate, source, targets, num_left * accumulation, accumulation > 1)


def shared_out(
    step: np.ndarray, targets: np.ndarray, count: int
) -> Iterator[tuple[np.ndarray, float]]:
    """The examples of a step in `count` batches, each with the weight of its examples' losses.

    Each batch's loss is a mean over its own targets, and the step's gradient the mean over its
    batches; the weights make that the mean over all targets of the step. Targets that are unknown
    do not count. What is empty, of a step of fewer examples than batches, is an example of no
    weight.
    """
    parts = np.array_split(step, count)
    counts = [len(part) for part in parts]
    if targets.ndim == 2:
        counts = [int((targets[part] != UNKNOWN).sum()) for part in parts]
    for part, number in zip(parts, counts, strict=True):
        weight = number * count / max(1, sum(counts))
        yield (part, weight) if len(part) else (step[:1], 0.0)


def _dataset(
    generate, source: Source, targets: np.ndarray, num_batches: int, is_weighted: bool = False
) -> tf.data.Dataset:
    signature = (source.signature, tf.TensorSpec((None, *targets.shape[1:]), targets.dtype))
    if is_weighted:
        signature = (*signature, tf.TensorSpec((None,), tf.float32))
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(num_batches))
    return dataset.prefetch(2)
