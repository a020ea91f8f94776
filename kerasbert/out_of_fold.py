"""Each row of a training file as the model that had not seen it judged it: a table and a report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from kerasbert.data.examples import Examples
from kerasbert.data.folds import Fold
from kerasbert.data.labels import Labels
from kerasbert.data.splitting import TEXT_DIGEST, text_digest
from kerasbert.errors import InputError
from kerasbert.metrics import build_report
from kerasbert.output_files import written_file
from kerasbert.prediction_columns import prediction_cells, prediction_columns


def out_of_fold_columns(labels: Labels) -> list[str]:
    """Names of the table's columns; asked before the training, which takes longer.

    Raises:
        InputError: a label column of the file has the name of another one of them.
    """
    added = ["row", "fold", TEXT_DIGEST, *prediction_columns(labels)]
    if taken := [column for column in labels.columns if column in added]:
        raise InputError(
            f"The label column {taken[0]!r} has the name of a column that the file of the "
            "held-out rows would then have twice. Rename it first."
        )
    return ["row", "fold", TEXT_DIGEST, *labels.columns, *prediction_columns(labels)]


def out_of_fold_rows(
    folds: Sequence[Fold], outputs: Sequence[np.ndarray], *, labels: Labels
) -> pd.DataFrame:
    """Every row that was read from the training file, with its answer while it was held out.

    Args:
        folds: from `kerasbert.data.folds.read_folds`.
        outputs: by fold, what its model says of its `dataset.validation`: probabilities, or scores,
            of shape (held out, labels).
        labels: what the outputs mean; those of the runs, which a pretrained head may have in
            another order than the folds.

    Returns:
        In the file's order: `row`, as a spreadsheet counts; `fold`, from 1; `text_digest`, by which
        a text that was changed since is known; the label columns as they are in the file;
        `prediction` and `probability_LABEL` as `kerasbert.predict` writes them.

    Raises:
        InputError: outputs that are not one per held-out row, or a label column named as another.
    """
    columns = out_of_fold_columns(labels)
    parts = [fold.dataset.validation for fold in folds]
    cells = prediction_cells(labels, _outputs_in_order(folds, outputs, labels))
    fold_of = [np.full(len(part), number) for number, part in enumerate(parts, start=1)]
    values = [
        _in_file_order(folds, [np.asarray(part.rows) for part in parts]),
        _in_file_order(folds, fold_of),
        _in_file_order(folds, [_digests(part) for part in parts]),
        *(
            _in_file_order(folds, [np.array(part.labels[name], object) for part in parts])
            for name in labels.columns
        ),
        *zip(*cells, strict=True),
    ]
    return pd.DataFrame(dict(zip(columns, values, strict=True)))


def out_of_fold_report(
    folds: Sequence[Fold], outputs: Sequence[np.ndarray], *, labels: Labels
) -> dict[str, Any]:
    """The report of all held-out rows together, as `build_report` gives it.

    Its numbers are those of the whole file, and not the means of the folds' own: a rare label that
    a fold holds out none of counts for what it is. Args are those of `out_of_fold_rows`.
    """
    targets = [labels.encode(fold.dataset.validation) for fold in folds]
    return build_report(
        labels, _in_file_order(folds, targets), _outputs_in_order(folds, outputs, labels)
    )


def write_out_of_fold(
    path: str | Path, folds: Sequence[Fold], outputs: Sequence[np.ndarray], *, labels: Labels
) -> None:
    """Write `out_of_fold_rows` as CSV, whole or not at all; a file that is there is replaced.

    Raises:
        InputError: see `out_of_fold_rows`.
        OSError: the file cannot be written.
    """
    rows = out_of_fold_rows(folds, outputs, labels=labels)
    with written_file(Path(path)) as file:
        # Lines end with \r\n as in `kerasbert.predict`, so that a \r in a label is quoted.
        rows.to_csv(file, index=False, lineterminator="\r\n")


def _digests(examples: Examples) -> np.ndarray:
    digests = [text_digest(examples, index).hex() for index in range(len(examples))]
    return np.array(digests, object)


def _outputs_in_order(
    folds: Sequence[Fold], outputs: Sequence[np.ndarray], labels: Labels
) -> np.ndarray:
    """Outputs in the file's order, shape (n, labels)."""
    expected = [(len(fold.held_out), len(labels.names)) for fold in folds]
    found = [np.shape(part) for part in outputs]
    if found != expected:
        raise InputError(
            f"Expected outputs of the shapes {', '.join(map(str, expected))}, one per fold. "
            f"Received: {', '.join(map(str, found))}."
        )
    return _in_file_order(folds, outputs)


def _in_file_order(folds: Sequence[Fold], parts: Sequence[np.ndarray]) -> np.ndarray:
    """What was known fold by fold, along the first axis as the training file has its rows."""
    order = np.argsort(np.concatenate([fold.held_out for fold in folds]))
    return np.concatenate(parts)[order]
