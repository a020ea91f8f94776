"""What a word contributes, by integrated gradients.

Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks", 2017
(https://arxiv.org/abs/1703.01365). The path is a straight line to the text, in the space of the
word pieces' own vectors, before position and segment are added. It comes from the same text with
the vector of padding in the place of each piece of a word; special pieces stay. What the gradients
along it add up to is the difference between the probabilities at its ends.
"""

import functools
from collections.abc import Callable

import keras
import numpy as np

from kerasbert.data.batches import MAX_PIECES
from kerasbert.data.labels import Labels
from kerasbert.errors import InputError
from kerasbert.explaining.explanation import MAX_STEPS, Explanation
from kerasbert.explaining.words import Reading
from kerasbert.models.bert import BertEncoder
from kerasbert.models.running import running_copy
from kerasbert.run import Run

# What a gradient is taken through is kept until it is there, some ten times what a mere run holds.
_MAX_PIECES = MAX_PIECES // 4
# The share of the probability's range, or of the scores' spread, that may be left unexplained
# before there are twice as many points, and how many times there are.
_TOLERANCE = 0.01
_DOUBLINGS = 3


class PathIntegrator:
    """Integrates the gradient of a classifier's answers along paths; traced once, for all texts.

    Args:
        run: one whose model runs in another precision than float32 is integrated as a copy in it.

    Raises:
        InputError: not TensorFlow's backend, or not the native encoder.
    """

    def __init__(self, run: Run):
        if keras.backend.backend() != "tensorflow":
            raise InputError(
                "Integrated gradients need Keras's TensorFlow backend. Received: "
                f"{keras.backend.backend()!r}. Use the method 'leave-out', or KERAS_BACKEND="
                "tensorflow."
            )
        if not isinstance(run.model.get_layer("encoder"), BertEncoder):
            raise InputError(
                "Integrated gradients need the native encoder, and this model has transformers' "
                "own. Use the method 'leave-out'."
            )
        self._tolerance = _TOLERANCE * run.config.target_scale
        self._labels = run.labels
        self._pad_id = run.tokenizer.pad_id
        model = running_copy(run.model, run.config, "float32")
        self._gradients = _trace_gradients(model, functools.partial(slopes, run.labels))

    def explain(self, reading: Reading, column: int, steps: int) -> Explanation:
        """Explain one output column for one text.

        Args:
            reading: the text.
            column: of the label.
            steps: points to begin with; there are up to eight times as many where the contributions
                are off by more than a hundredth of the probability's range. The explanation says
                whether that was enough; it may not be where a calibration has steps.
        """
        for doubling in range(_DOUBLINGS + 1):
            explanation = self._explain_in(reading, column, steps * 2**doubling)
            if explanation.is_tolerance_reached:
                break
        return explanation

    def _explain_in(self, reading: Reading, column: int, steps: int) -> Explanation:
        points, weights = _gauss_legendre(steps)
        shares = np.concatenate([[0], points, [1]]).astype(np.float32)
        outputs, products = self._along(reading, column, shares)
        by_piece = weights @ products[1:-1].astype(np.float64)
        is_word = reading.word_of >= 0
        by_word = np.bincount(reading.word_of[is_word], by_piece[is_word])
        first, *_, last = self._labels.calibrated(outputs)[:, column].tolist()
        return Explanation(
            text=reading.text,
            pair=reading.pair,
            label=self._labels.names[column],
            method="integrated-gradients",
            probability=last,
            baseline_probability=first,
            words=reading.words(by_word[reading.words_read]),
            steps=steps,
            tolerance=self._tolerance,
        )

    def _along(self, reading: Reading, column: int, shares: np.ndarray):
        """Outputs (points, labels) and gradients times the way (points, pieces), in batches."""
        ids = reading.input_ids
        baseline = np.where(reading.word_of >= 0, self._pad_id, ids)
        pieces = [part.astype(np.int32) for part in (ids, baseline, reading.token_type_ids)]
        size = max(1, _MAX_PIECES // len(ids))
        found = [
            self._gradients(*pieces, shares[start : start + size], np.int32(column))
            for start in range(0, len(shares), size)
        ]
        return (np.concatenate(parts) for parts in zip(*found, strict=True))


def slopes(labels: Labels, outputs: np.ndarray, column: int) -> np.ndarray:
    """The derivative of one calibrated probability with respect to each of the model's outputs.

    Args:
        labels: what calibrates.
        outputs: the model's, of shape (n, labels).
        column: of the probability.

    Returns:
        float32 of shape (n, labels). Without calibration 1 in the column, and 0 in the others.
    """
    outputs = np.asarray(outputs, np.float64)
    found = np.zeros_like(outputs)
    if labels.calibrated(outputs) is outputs:
        found[:, column] = 1
        return found.astype(np.float32)
    for changed in range(outputs.shape[1]):
        # A calibration bends most near 0 and 1, where the steps are smallest; much smaller ones
        # would drown in the rounding of float32.
        step = np.zeros_like(outputs)
        step[:, changed] = 0.1 * outputs[:, changed] * (1 - outputs[:, changed])
        up, down = (labels.calibrated(outputs + sign * step)[:, column] for sign in (1, -1))
        width = 2 * step[:, changed]
        found[:, changed] = np.divide(up - down, width, out=found[:, changed], where=width > 0)
    return found.astype(np.float32)


@functools.cache
def _gauss_legendre(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Points between 0 and 1 and the weights of their values, which add up to 1.

    More points than `MAX_STEPS` are those of fewer, in equal parts of the way: finding n of them at
    once takes n x n numbers.
    """
    parts = 1
    while steps > parts * MAX_STEPS:
        parts *= 2
    points, weights = np.polynomial.legendre.leggauss(-(-steps // parts))
    points = (np.arange(parts)[:, None] + (points + 1) / 2) / parts
    return points.ravel(), np.tile(weights / 2 / parts, parts)


def _trace_gradients(model: keras.Model, slopes: Callable) -> Callable:
    """The model along a path as a graph.

    Returns:
        A function from the pieces of the text and those of the baseline, int32 of shape (length,),
        the segments, likewise, the shares of the way to the text, float32 of shape (points,), and
        the label's column, to the model's outputs there, of shape (points, labels), and the
        gradients' products with the whole way, of shape (points, length).
    """
    import tensorflow as tf

    encoder, head = model.get_layer("encoder"), model.get_layer("head")
    pooling = None if encoder.pooler else model.get_layer("pooling")
    pieces = tf.TensorSpec([None], tf.int32)
    signature = [pieces] * 3 + [tf.TensorSpec([None], tf.float32), tf.TensorSpec([], tf.int32)]

    def run(words, segments):
        mask = tf.ones(tf.shape(words)[:2], tf.int32)
        x = encoder.upper(encoder.embeddings.placed(words, segments), mask, 0)
        return head(x if pooling is None else pooling(x, mask), training=False)

    @tf.function(input_signature=signature, autograph=False, jit_compile=False)
    def gradients(ids, baseline, segments, shares, column):
        start = encoder.embeddings.word(baseline)  # (length, width)
        way = encoder.embeddings.word(ids) - start
        words = start + shares[:, None, None] * way  # (points, length, width)
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(words)
            outputs = run(words, segments)  # (points, labels)
        # The calibration is NumPy's, and its derivative taken beside the graph.
        weights = tf.numpy_function(slopes, [outputs, column], tf.float32)
        weights = tf.ensure_shape(weights, outputs.shape)
        gradient = tape.gradient(outputs, words, output_gradients=weights)
        return outputs, tf.reduce_sum(gradient * way, axis=-1)

    return gradients
