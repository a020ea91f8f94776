"""A model and word pieces to probabilities, rows in the order they came in."""

from collections.abc import Callable, Sequence

import numpy as np

from kerasbert.data.batches import pad, sorted_buckets
from kerasbert.data.tokens import Tokens

BATCH_SIZE = 32


def score(
    forward: Callable[[dict[str, np.ndarray]], np.ndarray],
    names: Sequence[str],
    tokens: Tokens,
    on_batch: Callable[[int], None] | None = None,
) -> np.ndarray:
    """Run a model over n texts.

    Args:
        forward: from `kerasbert.models.classifier.build_forward`.
        names: of the tensors it reads.
        tokens: n texts, at least one.
        on_batch: called after each batch with its number of texts.

    Returns:
        Probabilities, or scores, float32 of shape (n, num_labels).
    """
    outputs = None
    for indices in sorted_buckets(tokens.lengths, BATCH_SIZE):
        batch = forward(pad(tokens, indices, names))
        if outputs is None:
            outputs = np.empty((len(tokens), batch.shape[1]), np.float32)
        outputs[indices] = batch
        if on_batch is not None:
            on_batch(len(indices))
    return outputs
