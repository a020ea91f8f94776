"""Suspicious labels, from the file that folds write."""

import dataclasses

import numpy as np
import pytest

from kerasbert.checking.checking import read_rows
from kerasbert.checking.suspects import find_suspects
from kerasbert.config import DataConfig
from kerasbert.data.folds import read_folds
from kerasbert.errors import InputError
from kerasbert.out_of_fold import write_out_of_fold
from tests.conftest import write_csv

WORDS = "one two three four five six seven eight".split()


def files(tmp_path, labels, outputs, task="auto"):
    """A training file without a text in row 4, its out-of-fold file, and the training's rows.

    Args:
        labels: column name to a cell per row.
        outputs: what the models say of each row, shape (8, outputs).
    """
    rows = [(word, *cells) for word, *cells in zip(WORDS, *labels.values(), strict=True)]
    rows.insert(2, ("", *rows[0][1:]))
    config = DataConfig(
        train=write_csv(tmp_path / "train.csv", ("text", *labels), rows),
        label_columns=tuple(labels),
        task=task,
    )
    with pytest.warns(UserWarning, match="dropped 1 of 9 rows"):
        folds = read_folds(config, 2)
    parts = [np.array(outputs)[fold.held_out] for fold in folds]
    path = tmp_path / "out_of_fold.csv"
    write_out_of_fold(path, folds, parts, labels=folds[0].dataset.labels)
    return read_rows([config.train], config), path


def found(rows, task, path, count=20):
    problem = find_suspects(rows, task, path, count)
    return [
        (rows.where(index), detail)
        for index, detail in zip(problem.rows, problem.details, strict=True)
    ]


CIVIL = {"label": ["civil", "rude"] * 4}


def test_the_least_believed_class_comes_first(tmp_path):
    rude = np.array([0.1, 0.9, 0.2, 0.05, 0.8, 0.7, 0.3, 0.6])
    rows, path = files(tmp_path, CIVIL, np.stack([1 - rude, rude], axis=1))
    assert found(rows, "binary", path, 3) == [
        # The row without a text is counted, as a spreadsheet does.
        ("train.csv, row 6", "'rude' has probability 0.050, the model says 'civil'"),
        ("train.csv, row 7", "'civil' has probability 0.200, the model says 'rude'"),
        ("train.csv, row 10", "'rude' has probability 0.600, the model says 'rude'"),
    ]


def test_of_several_columns_each_known_cell_is_asked(tmp_path):
    labels = {"rude": [*"1010101", ""], "threat": [*"00001111"]}
    outputs = np.stack([np.tile([0.75, 0.25], 4), np.repeat([0.25, 0.75], 4)], axis=1)
    outputs[1, 0], outputs[6, 1], outputs[7, 0] = 0.875, 0.0625, 0.0
    rows, path = files(tmp_path, labels, outputs)
    assert found(rows, "multilabel", path, 2) == [
        ("train.csv, row 9", "threat=1 has probability 0.062"),
        ("train.csv, row 3", "rude=0 has probability 0.125"),
    ]


def test_scores_are_compared(tmp_path):
    labels = {"label": ["1.5", "2.5", "3.5", "4.5"] * 2}
    outputs = np.array([[1.5], [2.5], [3.5], [0.5], [1.75], [2.5], [3.5], [4.5]], np.float32)
    rows, path = files(tmp_path, labels, outputs)
    assert found(rows, "regression", path, 2) == [
        ("train.csv, row 6", "scored 4.5, the model says 0.5"),
        ("train.csv, row 7", "scored 1.5, the model says 1.75"),
    ]


def test_predictions_of_another_file_are_refused(tmp_path):
    rows, path = files(tmp_path, CIVIL, np.full((8, 2), 0.5))
    other = dataclasses.replace(rows.examples, labels={"label": ["civil"] * 9})
    with pytest.raises(InputError) as caught:
        find_suspects(dataclasses.replace(rows, examples=other), "binary", path, 3)
    assert str(caught.value) == (
        f"{path} is not of this training file: train.csv, row 3 has 'civil' in 'label', not "
        "'rude'. Expected the file that `python -m kerasbert.fit --folds` wrote for the first of "
        "the files, as it is now."
    )


def test_predictions_of_other_texts_are_refused(tmp_path):
    rows, path = files(tmp_path, CIVIL, np.full((8, 2), 0.5))
    texts = list(rows.examples.texts)
    texts[0] = texts[0].upper() + " "  # case and white space make no other text
    same = dataclasses.replace(rows, examples=dataclasses.replace(rows.examples, texts=texts))
    assert len(found(same, "binary", path)) == 8
    texts[4] = "another"
    other = dataclasses.replace(rows, examples=dataclasses.replace(rows.examples, texts=texts))
    with pytest.raises(InputError, match=r"train.csv, row 6 has another text\. Expected the file"):
        find_suspects(other, "binary", path, 3)
    # A file that was written without digests is held to rows and labels alone.
    lines = ["row,label,prediction,probability_civil", "2,civil,civil,0.5"]
    path.write_text("\n".join(lines))
    assert len(found(other, "binary", path)) == 1


def test_predictions_of_another_task_are_refused(tmp_path):
    labels = {"label": ["1", "2", "3", "4"] * 2}
    rows, path = files(tmp_path, labels, np.full((8, 4), 0.25), task="multiclass")
    with pytest.raises(InputError, match=r"is of another task\. Expected scores, and no probabil"):
        find_suspects(rows, "regression", path, 3)
    rows, path = files(tmp_path, labels, np.arange(8.0)[:, None], task="regression")
    with pytest.raises(InputError, match=r"is of another task\. Expected probabilities, as"):
        find_suspects(rows, "multiclass", path, 3)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("row,label,prediction\n99,civil,civil\n", "train.csv has no text in row 99"),
        ("row,label,prediction\n4,civil,civil\n", "train.csv has no text in row 4"),
        ("row,label,prediction\n2,civil,civil\n", "is of another task. Expected probabilities"),
        ("row,label,prediction,probability_rude\n2,civil,civil,1\n", "no column 'probability_civ"),
        (
            "row,label,prediction,probability_civil\n" + "2,civil,civil,1\n" * 2,
            "has row 2 2 times. Expected each row once.",
        ),
        ("label,prediction\ncivil,civil\n", "has no column 'row'"),
        ("row,label,prediction,probability_civil\n2,civil,civil,x\n", "Received: 'x'"),
    ],
)
def test_what_is_no_file_of_predictions(line, message, tmp_path):
    rows, path = files(tmp_path, CIVIL, np.full((8, 2), 0.5))
    path.write_text(line)
    with pytest.raises(InputError, match=message):
        find_suspects(rows, "binary", path, 3)
