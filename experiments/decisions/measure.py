"""Macro recall, macro F1 and calibration error on a test file: at 0.5, and as the run decides.

Each with its 95 % interval over 1,000 bootstrap samples of the rows, the same for both.

    python experiments/decisions/measure.py saved_weights/jigsaw jigsaw_multilabel_test.csv
"""

import sys
from collections.abc import Callable

import numpy as np
from sklearn.metrics import f1_score, recall_score

import kerasbert
from kerasbert.data.examples import read_examples
from kerasbert.deciding.calibration_error import expected_calibration_error
from kerasbert.deciding.choosing import undecided
from kerasbert.judged import Judged

NUM_SAMPLES = 1000


def main(directory: str, path: str) -> None:
    classifier = kerasbert.load(directory)
    labels, run = classifier.run.labels, classifier.run
    examples = read_examples(
        path,
        text_column=run.text_column,
        pair_column=run.pair_column,
        label_columns=labels.columns,
    )
    raw = classifier.raw_outputs(examples.texts, examples.pairs)
    before = Judged(undecided(labels), examples, raw)
    after = before.decided_by(labels)
    random = np.random.default_rng(0)
    samples = random.integers(len(examples), size=(NUM_SAMPLES, len(examples)))
    print(f"{directory}, {len(examples):,} rows of {path}: {labels.chosen.decide}")
    for name, measure in MEASURES.items():
        values = [spread(measure, judged, samples) for judged in (before, after)]
        both = [f"{value:.3f} ({low:.3f} to {high:.3f})" for value, low, high, _ in values]
        low, high = np.percentile(values[1][3] - values[0][3], [2.5, 97.5])
        print(f"{name}: {both[0]} -> {both[1]}; difference {low:+.3f} to {high:+.3f}")
    rows = zip(labels.names, before.report["labels"], after.report["labels"], strict=True)
    for name, was, now in rows:
        pairs = [f"{key} {was[key]:.3f} -> {now[key]:.3f}" for key in ("precision", "recall", "f1")]
        print(f"  {name} ({was['support']}): {', '.join(pairs)}")


def spread(measure: Callable, judged: Judged, samples: np.ndarray):
    """The measure of all rows, its 95 % interval, and its value in each sample."""
    parts = judged.targets, judged.outputs, judged.decisions
    values = np.array([measure(judged.labels, *(part[rows] for part in parts)) for rows in samples])
    return measure(judged.labels, *parts), *np.percentile(values, [2.5, 97.5]), values


def macro_recall(labels, targets, outputs, decisions) -> float:
    return recall_score(targets, decisions, average="macro", zero_division=0)


def macro_f1(labels, targets, outputs, decisions) -> float:
    return f1_score(targets, decisions, average="macro", zero_division=0)


def calibration_error(labels, targets, outputs, decisions) -> float:
    return expected_calibration_error(labels, targets, outputs)


MEASURES = {
    "macro recall": macro_recall,
    "macro F1": macro_f1,
    "expected calibration error": calibration_error,
}

if __name__ == "__main__":
    main(*sys.argv[1:])
