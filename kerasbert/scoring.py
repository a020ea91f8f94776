"""A model and word pieces to outputs, rows in the order they came in."""

import collections
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from kerasbert.data.batches import pad, sorted_buckets
from kerasbert.data.tokens import Tokens

Forward = Callable[[dict[str, np.ndarray]], np.ndarray]
Take = Callable[[np.ndarray], dict[str, np.ndarray]]

# Two batches at once: while one adds and normalises, which is bound by memory, the other
# multiplies, and Python pads a third.
_WORKERS = 2


def score(forward: Forward, names: Sequence[str], tokens: Tokens) -> np.ndarray:
    """Run a model over n texts.

    Args:
        forward: from `kerasbert.models.running.build_forward`.
        names: of the tensors it reads.
        tokens: n texts, at least one.

    Returns:
        Its outputs, one row per text: probabilities or scores, float32 of shape (n, num_labels).
    """
    return score_taken(forward, lambda indices: pad(tokens, indices, names), tokens.lengths)


def score_taken(forward: Forward, take: Take, lengths: np.ndarray) -> np.ndarray:
    """As `score`, for whatever else a model reads.

    Args:
        forward: the model.
        take: indices of shape (batch,) to what it reads.
        lengths: pieces of each example, shape (n,).
    """
    outputs = None
    for indices, rows in run_batches(forward, take, sorted_buckets(lengths)):
        if outputs is None:
            outputs = np.empty((len(lengths), *rows.shape[1:]), np.float32)
        outputs[indices] = rows
    return outputs


def run_batches(
    forward: Forward, take: Take, batches: Sequence[np.ndarray]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each batch's indices with the model's outputs for it, in order, computed two at a time."""

    def run(indices: np.ndarray) -> np.ndarray:
        return forward(take(indices))

    if len(batches) == 1:  # a service's usual case, which a thread would only delay
        yield batches[0], run(batches[0])
        return
    with ThreadPoolExecutor(_WORKERS) as pool:
        running: collections.deque = collections.deque()
        for indices in batches:
            running.append((indices, pool.submit(run, indices)))
            if len(running) > _WORKERS:
                done, future = running.popleft()
                yield done, future.result()
        for done, future in running:
            yield done, future.result()
