"""The door: what it prints, writes and exits with."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from kerasbert import check
from kerasbert.checking.showing import short_names
from kerasbert.checking.writing import COLUMNS
from tests.checking.making import make_rows
from tests.conftest import write_csv

HEADER = ("text", "label")
GOOD = [
    ("you are kind", "civil"),
    ("you fool !", "rude"),
    ("thank you", "civil"),
    ("idiot", "rude"),
]
# Below each other: empty, repeated with another label, broken, a name like another, one alone.
ODD = [("", "civil"), ("You fool !", "civil"), ("caf\ufffd is nice", "Civil"), ("a dog <b>", "odd")]


@pytest.fixture
def command(command, toy_base):
    """Run the command as a shell would, on a toy base."""
    return lambda *args: command(check, *args, "--base", toy_base())


@pytest.fixture
def files(tmp_path):
    train = write_csv(tmp_path / "train.csv", HEADER, GOOD + ODD)
    test = write_csv(
        tmp_path / "test.csv", HEADER, [("Thank  you", "civil"), ("you idiot", "rude")]
    )
    return train, test


def test_good_files(command, tmp_path):
    path = write_csv(tmp_path / "good.csv", HEADER, GOOD)
    code, out, err = command(path, "--strict")
    assert (code, err) == (0, "")
    lines = [line.split() for line in out.splitlines()]
    assert ["rows", "4"] in lines
    assert ["civil", "2", "50.0", "%"] in lines
    assert ["longest", "5"] in lines
    assert "good.csv: at --max-length 256, no text is cut" in out
    assert out.endswith("Nothing odd.\n")


def test_what_is_odd_is_shown(command, files):
    code, out, err = command(*files, "--max-length", 4)
    assert (code, err) == (0, "")
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "rows 8 2" in lines
    assert "! the same text with different labels (1 such) 2 0" in lines
    assert "! texts of an earlier file 0 1" in lines
    assert "no text, so they are left out 1 0" in lines
    assert "train.csv, row 9: 'odd' is there once only" in lines
    # Four texts of 5 tokens, and `a dog < b >` with 7, lose 4 + 3 of 27.
    assert "train.csv: at --max-length 4, 71.4 % of the texts lose 26 % of their tokens" in lines
    assert "Serious: unusable_label, similar_label_names, broken_encoding," in " ".join(lines)
    assert lines[-1] == "--rows FILE.csv writes all rows concerned."


def test_strict_makes_it_an_error(command, files):
    assert command(*files, "--strict")[0] == 1
    assert command(files[1], "--strict")[0] == 1  # each class is there once


def test_json_and_rows_hold_what_the_screen_shows(command, files, tmp_path):
    where, rows = tmp_path / "found.json", tmp_path / "rows.csv"
    code, out, _ = command(*files, "--json", where, "--rows", rows)
    assert code == 0
    assert out.endswith(f"wrote {where}\nwrote {rows}\n")
    found = json.loads(where.read_text(encoding="utf-8"))
    assert list(found) == ["task", "serious", "base", "max_length", "files", "problems"]
    assert (found["task"], found["serious"], found["max_length"]) == ("binary", True, 256)
    assert [part["path"] for part in found["files"]] == list(files)
    assert found["files"][1]["labels"] == {"civil": 1, "rude": 1, "Civil": 0, "odd": 0}
    assert found["files"][1]["tokens"]["percentiles"]["100"] == 4
    problems = {problem["name"]: problem for problem in found["problems"]}
    assert problems["text_of_another_file"] == {
        "name": "text_of_another_file",
        "summary": "texts of an earlier file",
        "serious": True,
        "rows": [0, 1],
    }
    with open(rows, encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert tuple(lines[0]) == COLUMNS
    assert len(lines) == sum(sum(problem["rows"]) for problem in problems.values())
    (line,) = (line for line in lines if line["problem"] == "text_of_another_file")
    assert line == {
        "file": files[1],
        "row": "2",
        "problem": "text_of_another_file",
        "detail": "as train.csv, row 4",
        "label": "civil",
        "text": "Thank you",
    }


def test_a_file_in_another_encoding_is_checked_nevertheless(command, tmp_path):
    path = tmp_path / "old.csv"
    path.write_bytes("text,label\ncafé,a\nthe,a\ndog,b\nman,b\n".encode("cp1252"))
    code, out, _ = command(path, "--strict")
    assert code == 1
    assert "Serious: wrong_encoding, broken_encoding." in out
    assert (
        f"{path}, row 2: the byte 0xe9 is not utf-8. Pass --encoding with the right one (often "
        "cp1252), or save the file as UTF-8\n"
    ) in out
    assert "Nothing serious." in command(path, "--strict", "--encoding", "cp1252")[1]
    path.write_text("text,label\ncaf\ufffd,a\nthe,a\ndog,b\nman,b\n", encoding="utf-8")
    assert "Serious: broken_encoding." in command(path)[1]


def test_no_rows_are_offered_where_none_would_be_written(command, tmp_path):
    rows = [(text, number % 2, 0) for number, (text, _) in enumerate(GOOD)]
    path = write_csv(tmp_path / "good.csv", ("text", "rude", "threat"), rows)
    code, out, _ = command(path, "--label-columns", "rude", "threat")
    assert (code, "nothing to learn in 'threat'" in out) == (0, True)
    assert out.endswith("Nothing serious.\n")


def test_a_label_with_what_is_invisible_is_shown_as_it_is(command, tmp_path):
    path = write_csv(tmp_path / "good.csv", HEADER, [*GOOD, ("a man", "rude\u200b")])
    assert "'rude\\u200b'" in command(path)[1]


def test_names_of_files_are_not_cut_in_the_midst():
    assert short_names(["train.csv", "test.csv"]) == ["train.csv", "test.csv"]
    assert short_names(["davidson_train.csv", "test.csv"]) == ["davidson_train", "test"]
    names = ["jigsaw_multilabel_train.csv", "jigsaw_multilabel_test.csv"]
    assert short_names(names) == ["...label_train", "...ilabel_test"]
    assert short_names(["a/comments_of_all.csv", "b/comments_of_all.csv"]) == ["file 1", "file 2"]


def test_a_row_of_several_suspicious_labels_counts_once():
    rows = make_rows(["a", "b"], ["c"])
    assert rows.per_file(np.array([1, 1, 2, 1])) == [1, 1]


def test_scores_and_pairs(command, tmp_path):
    rows = [("a dog", "a cat", "1.5"), ("a man", "a woman", "3.5"), ("a dog", "A cat", "2")]
    path = write_csv(tmp_path / "pairs.csv", ("text", "other", "label"), rows)
    code, out, _ = command(path, "--pair-column", "other", "--strict")
    assert code == 0
    assert "mean score" in out
    assert "the same text with different labels (1 such)" in out


def test_suspects_are_named_in_their_order(command, tmp_path):
    path = write_csv(tmp_path / "good.csv", HEADER, GOOD)
    given = [(row, label, label, 0.9, p) for row, (_, label), p in
             zip(range(2, 6), GOOD, (0.9, 0.2, 0.8, 0.1), strict=True)]  # fmt: skip
    header = ("row", "label", "prediction", "probability_civil", "probability_rude")
    predictions = write_csv(tmp_path / "oof.csv", header, given)
    code, out, _ = command(path, "--suspects", predictions, "--num-suspects", 2, "--strict")
    assert code == 0
    assert [line.strip() for line in out.splitlines()][-7:] == [
        "labels that the models of oof.csv believe least",
        "good.csv, row 5: 'rude' has probability 0.100, the model says 'rude'",
        "idiot",
        "good.csv, row 3: 'rude' has probability 0.200, the model says 'rude'",
        "you fool !",
        "Nothing serious.",
        "--rows FILE.csv writes all rows concerned.",
    ]


def test_a_file_that_is_read_is_never_replaced(command, files, tmp_path):
    before = [Path(file).read_bytes() for file in files]
    link = tmp_path / "link.csv"
    link.symlink_to(files[1])
    for target in (*files, link, f"{tmp_path}/./train.csv"):
        code, out, err = command(*files, "--rows", target, "--overwrite")
        assert (code, out) == (2, "")
        assert "`rows` must be another file than those that are read. Received: rows=" in err
    predictions = write_csv(tmp_path / "out_of_fold.csv", ("row", "label"), [(2, "civil")])
    code, _, err = command(
        files[0], "--suspects", predictions, "--rows", predictions, "--overwrite"
    )
    assert (code, "`rows` must be another file" in err) == (2, True)
    assert [Path(file).read_bytes() for file in files] == before


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["{train}", "--label-columns", "lable"], "no column 'lable'. Did you mean 'label'?"),
        (["{train}", "nowhere.csv"], "The file 'nowhere.csv' does not exist."),
        (["{train}", "{train}"], "`files` must be at least one file, each named once"),
        (["{train}", "--similarity", "0"], "`similarity` must be above 0 and at most 1"),
        (["{train}", "--max-length", "3"], "`max_length` must be at least 4"),
        (["{train}", "{tmp}/./train.csv"], "`files` must be at least one file, each named once"),
        (
            ["{train}", "--json", "found.csv"],
            "`json` must end in .json. Received: json='found.csv'",
        ),
        (["{train}", "--rows", "{test}"], "exists already"),
        (
            ["{train}", "--task", "regression", "--label-columns", "label", "text"],
            "--task regression needs one label column. Received: 'label', 'text'.",
        ),
        (["{train}", "--task", "multi"], "`task` must be one of"),
        (["{train}", "--suspects", "{train}"], "has no column 'row'"),
        ([], "`files` must be at least one file, each named once. Received: files=()"),
    ],
)
def test_bad_calls(args, message, command, files, tmp_path):
    code, out, err = command(
        *(arg.format(train=files[0], test=files[1], tmp=tmp_path) for arg in args)
    )
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err
