import csv
import hashlib

import numpy as np
import pytest

from kerasbert.config import DataConfig
from kerasbert.data.dataset import Dataset
from kerasbert.data.folds import Fold, read_folds
from kerasbert.data.labels import Labels
from kerasbert.errors import InputError
from kerasbert.metrics import build_report
from kerasbert.out_of_fold import (
    out_of_fold_columns,
    out_of_fold_report,
    out_of_fold_rows,
    write_out_of_fold,
)
from kerasbert.prediction_columns import prediction_cells, prediction_columns
from tests.conftest import write_csv
from tests.data.making import make_examples

BINARY = Labels("binary", ("label",), ("civil", "rude"), (0.5, 0.5))
MULTILABEL = Labels("multilabel", ("rude", "threat"), ("rude", "threat"), (0.5, 0.25))
STARS = Labels("regression", ("stars",), ("stars",))


def digest(text, pair=""):
    return hashlib.blake2b(f"{text}\0{pair}".encode(), digest_size=16).hexdigest()


def floats(values):
    return np.array(values, dtype=np.float32)


def make_folds(labels, *held_out, **columns):
    """Folds of `comments.csv`, its rows from 2 on, with these places held out."""
    examples = make_examples(**columns)
    everything = np.arange(len(examples))
    return [
        Fold(
            Dataset(
                examples.take(np.setdiff1d(everything, part)),
                examples.take(part),
                None,
                labels,
                DataConfig(),
            ),
            np.array(part),
        )
        for part in held_out
    ]


def test_names_and_cells_of_each_task():
    assert prediction_columns(BINARY) == ["prediction", "probability_civil", "probability_rude"]
    assert prediction_cells(BINARY, floats([[0.25, 0.75]])) == [["rude", "0.250000", "0.750000"]]
    assert prediction_columns(MULTILABEL) == [
        "prediction",
        "probability_rude",
        "probability_threat",
    ]
    assert prediction_cells(MULTILABEL, floats([[0.5, 0.25], [0, 0.125]])) == [
        ["rude|threat", "0.500000", "0.250000"],
        ["", "0.000000", "0.125000"],
    ]
    assert prediction_columns(STARS) == ["prediction"]
    assert prediction_cells(STARS, floats([[1.5], [-2]])) == [["1.5"], ["-2.0"]]


def test_rows_stand_in_the_files_order():
    folds = make_folds(BINARY, [1, 3], [0, 2, 4], label=["civil", "rude", "rude", "civil", "rude"])
    outputs = [floats([[0.25, 0.75], [1, 0]]), floats([[0.75, 0.25], [0.875, 0.125], [0, 1]])]
    rows = out_of_fold_rows(folds, outputs, labels=BINARY)
    assert rows.to_dict("list") == {
        "row": [2, 3, 4, 5, 6],
        "fold": [2, 1, 2, 1, 2],
        "text_digest": [digest(f"text {number}") for number in range(5)],
        "label": ["civil", "rude", "rude", "civil", "rude"],
        "prediction": ["civil", "rude", "civil", "civil", "rude"],
        "probability_civil": ["0.750000", "0.250000", "0.875000", "1.000000", "0.000000"],
        "probability_rude": ["0.250000", "0.750000", "0.125000", "0.000000", "1.000000"],
    }


def test_the_report_is_that_of_all_rows_together():
    folds = make_folds(BINARY, [1, 3], [0, 2, 4], label=["civil", "rude", "rude", "civil", "rude"])
    outputs = [floats([[0.25, 0.75], [1, 0]]), floats([[0.75, 0.25], [0.875, 0.125], [0, 1]])]
    report = out_of_fold_report(folds, outputs, labels=BINARY)
    in_order = floats([[0.75, 0.25], [0.25, 0.75], [0.875, 0.125], [1, 0], [0, 1]])
    assert report == build_report(BINARY, np.array([0, 1, 1, 0, 1], np.int32), in_order)
    assert (report["accuracy"], report["count"]) == (4 / 5, 5)
    # Of the six pairs of a rude and a civil one five are in order.
    assert report["roc_auc"] == pytest.approx(5 / 6)


def test_several_labels_keep_their_cells(tmp_path):
    cells = {"rude": ["1", "", "0"], "threat": ["0", "1", ""]}
    folds = make_folds(MULTILABEL, [2], [0, 1], **cells)
    outputs = [floats([[0, 0.125]]), floats([[0.5, 0.25], [0.25, 0.75]])]
    path = tmp_path / "out_of_fold.csv"
    write_out_of_fold(path, folds, outputs, labels=MULTILABEL)
    assert path.read_bytes().decode().split("\r\n") == [
        "row,fold,text_digest,rude,threat,prediction,probability_rude,probability_threat",
        f"2,2,{digest('text 0')},1,0,rude|threat,0.500000,0.250000",
        f"3,2,{digest('text 1')},,1,threat,0.250000,0.750000",
        f"4,1,{digest('text 2')},0,,,0.000000,0.125000",
        "",
    ]
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_scores_have_no_probabilities():
    folds = make_folds(STARS, [0], [1], stars=["1", "2.50"])
    rows = out_of_fold_rows(folds, [floats([[1.5]]), floats([[2]])], labels=STARS)
    assert list(rows) == ["row", "fold", "text_digest", "stars", "prediction"]
    assert rows.drop(columns="text_digest").values.tolist() == [
        [2, 1, "1", "1.5"],
        [3, 2, "2.50", "2.0"],
    ]
    report = out_of_fold_report(folds, [floats([[1.5]]), floats([[2]])], labels=STARS)
    assert report["mse"] == 0.25


def test_labels_may_be_in_another_order_than_the_folds():
    """As those of a run are whose head came with its base."""
    folds = make_folds(BINARY, [0], [1], label=["civil", "rude"])
    turned = Labels("binary", ("label",), ("rude", "civil"), (0.5, 0.5))
    outputs = [floats([[0.25, 0.75]]), floats([[1, 0]])]
    rows = out_of_fold_rows(folds, outputs, labels=turned)
    assert list(rows)[-2:] == ["probability_rude", "probability_civil"]
    assert rows["prediction"].tolist() == ["civil", "rude"]
    assert out_of_fold_report(folds, outputs, labels=turned)["accuracy"] == 1


def test_every_row_of_a_file_is_there(tmp_path):
    texts = [f"text {number}" for number in range(30)]
    texts[4] = " "  # dropped when the file is read
    rows = [(text, ("a\rb", 'c "d", e')[number % 2]) for number, text in enumerate(texts)]
    train = write_csv(tmp_path / "train.csv", ("text", "label"), rows)
    with pytest.warns(match="dropped 1 of 30 rows"):
        folds = read_folds(DataConfig(train=train), 3)
    labels = folds[0].dataset.labels
    # Each is as sure of the right label as it should be.
    outputs = [np.eye(2)[labels.encode(fold.dataset.validation)] for fold in folds]
    write_out_of_fold(tmp_path / "out.csv", folds, outputs, labels=labels)
    with open(tmp_path / "out.csv", newline="", encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    assert [int(row["row"]) for row in written] == [n + 2 for n in range(30) if n != 4]
    assert [row["label"] for row in written] == [
        label for n, (_, label) in enumerate(rows) if n != 4
    ]
    assert all(row["prediction"] == row["label"] for row in written)
    assert {row["fold"] for row in written} == {"1", "2", "3"}


@pytest.mark.parametrize(
    "column", ["row", "fold", "text_digest", "prediction", "probability_civil"]
)
def test_a_label_column_that_would_be_there_twice_is_named(column):
    labels = Labels("binary", (column,), ("civil", "rude"), (0.5, 0.5))
    with pytest.raises(InputError, match=f"^The label column '{column}' has the name of a column"):
        out_of_fold_columns(labels)


def test_outputs_must_be_those_of_the_folds():
    folds = make_folds(BINARY, [0, 1], [2], label=["civil", "rude", "rude"])
    with pytest.raises(InputError) as caught:
        out_of_fold_rows(folds, [floats([[0, 1]]), floats([[0, 1]])], labels=BINARY)
    assert str(caught.value) == (
        "Expected outputs of the shapes (2, 2), (1, 2), one per fold. Received: (1, 2), (1, 2)."
    )
