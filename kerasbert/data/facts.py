"""What a model was trained on, in numbers: files by their sha256, rows, labels."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from kerasbert.data.dataset import SAMPLE, Dataset
from kerasbert.data.examples import Examples
from kerasbert.data.labels import Labels
from kerasbert.run_directory import sha256_of


def data_facts(dataset: Dataset) -> dict[str, dict[str, Any]]:
    """The facts of `train`, `validation` and, if there is one, `test`, ready for JSON.

    Returns:
        For each: `source`, the file as it was named; `sha256` of the whole file, None where the
        examples came from no file; `rows` used of it; `rows_sha256`, of their numbers in the file,
        by which the same rows are known again; and `labels`: examples per label or, for
        scores, `lowest`, `mean` and `highest`.
    """
    parts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    digests: dict[str, str | None] = {}
    for examples in parts.values():
        if examples is not None and examples.source not in digests:
            path = Path(examples.source)
            digests[examples.source] = sha256_of(path) if path.is_file() else None
    return {
        name: {
            "source": "the packaged sample" if examples.source == str(SAMPLE) else examples.source,
            "sha256": digests[examples.source],
            "rows": len(examples),
            "rows_sha256": rows_sha256(examples),
            "labels": _count_labels(examples, dataset.labels),
        }
        for name, examples in parts.items()
        if examples is not None
    }


def rows_sha256(examples: Examples) -> str:
    """The sha256 of the rows' numbers, in hexadecimal."""
    return hashlib.sha256(np.asarray(examples.rows, "<i8").tobytes()).hexdigest()


def _count_labels(examples: Examples, labels: Labels) -> dict[str, float]:
    targets = labels.encode(examples)
    if labels.task == "regression":
        numbers = {"lowest": targets.min(), "mean": targets.mean(), "highest": targets.max()}
        return {name: float(value) for name, value in numbers.items()}
    if labels.task == "multilabel":
        counts = (targets == 1).sum(axis=0)
    else:
        counts = np.bincount(targets, minlength=len(labels.names))
    return dict(zip(labels.names, counts.tolist(), strict=True))
