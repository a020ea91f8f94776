"""Judged rows made on the spot."""

import numpy as np

from kerasbert.data.examples import Examples
from kerasbert.data.labels import Labels
from kerasbert.judged import Judged


def judge(labels, cells, raw, texts=None, pairs=None, **columns):
    """Judged rows; `cells` per label column, `raw` of shape (n, labels)."""
    raw = np.array(raw, dtype=np.float32)
    texts = texts or [f"text {number}" for number in range(len(raw))]
    examples = Examples(texts, pairs, cells | columns, range(2, len(raw) + 2), "rows.csv")
    return Judged(labels, examples, raw)


def binary(truth, second, names=("civil", "rude"), threshold=0.5, **more):
    """Two classes: 0 or 1 per row, and the probability of the second one."""
    labels = Labels("binary", ("label",), names, (0.5, threshold))
    cells = {"label": [names[number] for number in truth]}
    return judge(labels, cells, [[1 - value, value] for value in second], **more)


def multiclass(truth, raw, names, **more):
    """Class numbers and probabilities; `more` are of `Labels`, or what `judge` takes."""
    own = {key: more.pop(key) for key in ("thresholds", "unsure_below", "chosen") if key in more}
    labels = Labels("multiclass", ("label",), names, **own)
    return judge(labels, {"label": [names[number] for number in truth]}, raw, **more)


def multilabel(truth, raw, names, **more):
    """0, 1 or None per cell, and probabilities."""
    labels = Labels("multilabel", names, names, (0.5,) * len(names))
    cells = {
        name: ["" if row[column] is None else str(int(row[column])) for row in truth]
        for column, name in enumerate(names)
    }
    return judge(labels, cells, raw, **more)


def scores(truth, predicted, **more):
    """Regression."""
    labels = Labels("regression", ("score",), ("score",))
    cells = {"score": [repr(float(value)) for value in truth]}
    return judge(labels, cells, [[value] for value in predicted], **more)


def random_rows(task, count, num_labels=3, seed=0, names=None, **more):
    """Rows that a model knows something about."""
    random = np.random.default_rng(seed)
    names = names or tuple(f"label {number}" for number in range(num_labels))
    if task == "regression":
        truth = random.normal(size=count)
        return scores(truth, truth + random.normal(size=count), **more)
    if task == "multilabel":
        truth = random.random((count, num_labels)) < 0.3
        raw = np.clip(0.3 * truth + 0.7 * random.random((count, num_labels)), 0, 1)
        return multilabel(truth.tolist(), raw, names, **more)
    truth = random.integers(num_labels, size=count)
    raw = random.dirichlet(np.ones(num_labels), size=count)
    raw[np.arange(count), truth] += 0.3
    raw /= raw.sum(axis=1, keepdims=True)
    if task == "binary":
        return binary(truth, raw[:, 1], names, **more)
    return multiclass(truth, raw, names, **more)
