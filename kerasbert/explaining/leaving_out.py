"""What a word contributes, by leaving it out.

As in Li, Monroe and Jurafsky, "Understanding Neural Networks through Representation Erasure", 2016
(https://arxiv.org/abs/1612.08220), but of the probability itself and not of its logarithm.
"""

from collections.abc import Sequence

import numpy as np

from kerasbert.explaining.explanation import Explanation
from kerasbert.explaining.words import Reading, to_tokens
from kerasbert.run import Run
from kerasbert.scoring import score


def leave_out(
    run: Run, readings: Sequence[Reading], columns: Sequence[int], outputs: np.ndarray
) -> list[Explanation]:
    """Explain by the answers for each text without each of its words, and without all of them.

    A word's pieces are taken away, and those of the others stay what they are; of a text that was
    cut at the maximum length, no further words move up.

    Args:
        run: whose model answers.
        readings: of n texts, at least one.
        columns: of the label that is explained, for each text.
        outputs: for the texts as they are: probabilities or scores, of shape (n, labels).
    """
    pieces = []
    for reading in readings:
        pieces += (reading.without(reading.word_of == word) for word in reading.words_read)
        pieces.append(reading.without(reading.word_of >= 0))
    tokens = to_tokens(pieces, run.tokenizer.pad_id)
    found = run.labels.calibrated(score(run.forward, run.input_names, tokens))

    explanations, start = [], 0
    for reading, column, row in zip(readings, columns, outputs, strict=True):
        end = start + len(reading.words_read)
        probability = float(row[column])
        explanations.append(
            Explanation(
                text=reading.text,
                pair=reading.pair,
                label=run.labels.names[column],
                method="leave-out",
                probability=probability,
                baseline_probability=float(found[end, column]),
                words=reading.words(probability - found[start:end, column].astype(np.float64)),
            )
        )
        start = end + 1
    return explanations
