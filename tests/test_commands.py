"""The doors, opened as from a shell: what they write, print and answer to bad input."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import kerasbert
from kerasbert import evaluate, fit, predict
from tests.conftest import check_refused, comments, write_csv


@pytest.fixture(scope="module")
def toy_run(toy_base, tmp_path_factory):
    """A run on a toy base, trained once through the command, with a test file."""
    directory = tmp_path_factory.mktemp("run")
    data = write_csv(directory / "comments.csv", ("text", "label"), comments())
    fit.main([
        "--train", data, "--test", data, "--base", str(toy_base()), "--max-length", "32",
        "--epochs", "12", "--learning-rate", "1e-2", "--pooling", "mean", "--head", "linear",
        "--output", str(directory / "toy"),
    ])  # fmt: skip
    return directory / "toy"


def test_fit_writes_a_report_with_the_promised_keys(toy_run):
    report = json.loads((toy_run / "report.json").read_text())
    assert set(report) == {"validation", "test"}
    for part in report.values():
        assert {"accuracy", "macro_f1", "roc_auc", "loss", "labels"} <= set(part)
        assert [label["name"] for label in part["labels"]] == ["civil", "rude"]
        assert {"name", "precision", "recall", "f1", "support"} == set(part["labels"][0])


def test_fit_prints_tables_and_the_next_command(command, toy_base, comments_csv, tmp_path):
    code, out, err = command(
        fit, "--train", comments_csv, "--base", toy_base(), "--max-length", 32, "--epochs", 1,
        "--output", tmp_path / "run", "--freeze-base",
    )  # fmt: skip
    assert code == 0
    assert "validation" in out
    assert "macro F1" in out
    assert f"python -m kerasbert.predict {tmp_path / 'run'} --text" in out
    assert "frozen weights unchanged bit for bit" in err
    assert "sample" not in out


def test_fit_names_a_free_directory_by_itself(
    command, toy_base, comments_csv, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    taken = Path("saved_weights", f"comments-{toy_base().name}")
    taken.mkdir(parents=True)
    code, out, _ = command(
        fit, "--train", comments_csv, "--base", toy_base(), "--max-length", 32, "--epochs", 1,
        "--freeze-base",
    )  # fmt: skip
    assert code == 0
    assert f"saved {taken}-2 after" in out
    assert Path(f"{taken}-2", "report.json").is_file()


def test_a_config_makes_the_same_run(command, toy_run, tmp_path):
    metadata = json.loads((toy_run / "metadata.json").read_text())
    config = tmp_path / "config.json"
    config.write_text(json.dumps(metadata["fit"]))
    code, _, err = command(fit, "--config", config, "--output", tmp_path / "again")
    assert (code, "error" in err) == (0, False)
    first, again = (
        json.loads((run / "report.json").read_text()) for run in (toy_run, tmp_path / "again")
    )
    assert again == first


def test_predict_keeps_all_columns_and_rows(command, toy_run, tmp_path):
    source = write_csv(
        tmp_path / "in.csv",
        ("id", "text", "note"),
        [(7, "you are kind nice", "a,b"), (8, "", 'with "quotes"'), (9, "idiot\nfool", "")],
    )
    code, out, err = command(predict, toy_run, source, "--output", tmp_path / "out.csv")
    assert code == 0
    assert out == f"wrote {tmp_path / 'out.csv'}\n"
    assert err == f"warning: {source}: no prediction for 1 rows whose 'text' is empty.\n"
    with open(tmp_path / "out.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == [
        "id", "text", "note", "prediction", "probability_civil", "probability_rude"
    ]  # fmt: skip
    assert [row["id"] for row in rows] == ["7", "8", "9"]
    assert [row["prediction"] for row in rows] == ["civil", "", "rude"]
    assert rows[1]["note"] == 'with "quotes"'
    expected = kerasbert.load(toy_run).predict_proba(["you are kind nice"])[0]
    found = [float(rows[0][f"probability_{label}"]) for label in ("civil", "rude")]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_predict_answers_on_the_screen(command, toy_run):
    code, out, _ = command(predict, toy_run, "--text", "you are kind nice", "idiot fool")
    assert code == 0
    first, second = out.splitlines()
    assert first.startswith("prediction=civil  probability_civil=0.")
    assert second.startswith("prediction=rude ")
    assert second.endswith("'idiot fool'")


def test_predict_quotes_whatever_ends_a_line(command, toy_run, tmp_path):
    texts = ["you are\rkind", "you are\nkind", 'a "b", c', "plain"]
    source = write_csv(tmp_path / "in.csv", ("text",), [(text,) for text in texts])
    command(predict, toy_run, source, "--output", tmp_path / "out.csv")
    with open(tmp_path / "out.csv", newline="", encoding="utf-8") as file:
        assert [row["text"] for row in csv.DictReader(file)] == texts


def test_predict_in_chunks_equals_predict_at_once(command, toy_run, tmp_path, monkeypatch):
    source = write_csv(tmp_path / "in.csv", ("text",), [(text,) for text, _ in comments(30)])
    command(predict, toy_run, source, "--output", tmp_path / "one.csv")
    monkeypatch.setattr(predict, "_CHUNK", 7)
    command(predict, toy_run, source, "--output", tmp_path / "many.csv")
    one, many = (
        np.loadtxt(tmp_path / name, delimiter=",", skiprows=1, usecols=2)
        for name in ("one.csv", "many.csv")
    )
    assert len(one) == 30
    np.testing.assert_allclose(one, many, atol=2e-6)


def test_a_bad_row_further_down_leaves_no_output(command, toy_run, tmp_path):
    source = tmp_path / "in.csv"
    source.write_text("text\n" + "fine\n" * 3000 + "too,many,cells\n")
    code, _, err = command(predict, toy_run, source, "--output", tmp_path / "out.csv")
    assert code == 2
    assert "row 3002: 3 cells where the header has 1" in err
    assert [path.name for path in tmp_path.iterdir()] == ["in.csv"]


def test_evaluate_prints_and_writes_the_report_of_fit(command, toy_run, tmp_path):
    source = toy_run.parent / "comments.csv"
    code, out, _ = command(evaluate, toy_run, source, "--output", tmp_path / "report.json")
    assert code == 0
    assert "comments.csv" in out
    assert "macro F1" in out
    found = json.loads((tmp_path / "report.json").read_text())["test"]
    expected = json.loads((toy_run / "report.json").read_text())["test"]
    assert found["accuracy"] == expected["accuracy"]
    assert found["loss"] == pytest.approx(expected["loss"], abs=1e-5)


ROWS = "you are kind,civil\nfool,rude\nnice,civil\nidiot,rude\nthank you,civil\nbad man,rude\n"
ZERO_ONE = "text,label\n" + "a b,0\nc,1\n" * 20
BAD_FILES = {
    "empty": ("", "data.csv is empty. Expected a header and at least one row."),
    "header only": ("text,label\n", "data.csv has a header and no rows."),
    "column": ("txet,label\nhi,a\n", "has no column 'text'. Did you mean 'txet'?"),
    "binary": ("text,label\n\0\0\0", "data.csv is a binary file."),
    "cells": ("text,label\nhi,there,a\n", "row 2: 3 cells where the header has 2."),
    "once": (f"text,label\n{ROWS}hm,odd\n", "row 8, column 'label': the label 'odd' is there once"),
    "one class": ("text,label\na,x\nb,x\n", "column 'label': the only class is 'x'."),
    "no label": (f"text,label\n{ROWS}hm,\n", "row 8, column 'label': no label."),
    "float": (f"{ZERO_ONE}hm,1.5\n", "row 42, column 'label': '1.5' in a 0/1"),
    "word": (f"{ZERO_ONE}hm,x\n", "row 42, column 'label': 'x' in a 0/1"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD_FILES.values(), ids=BAD_FILES)
def test_bad_files(text, message, command, tmp_path):
    (tmp_path / "data.csv").write_text(text)
    args = ("--train", tmp_path / "data.csv", "--output", tmp_path / "run")
    check_refused(command(fit, *args), message)
    assert [path.name for path in tmp_path.iterdir()] == ["data.csv"]


def test_a_file_that_is_not_utf8_names_the_row_and_the_way_out(command, tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(("text,label\n" + ROWS + "caf\xe9,civil\n").encode("cp1252"))
    message = "row 8: the byte 0xe9 is not utf-8. Pass --encoding"
    check_refused(command(fit, "--train", path), message)
    # With the right encoding it gets as far as the base.
    args = ("--train", path, "--encoding", "cp1252", "--base", "./nowhere")
    check_refused(command(fit, *args), "There is no directory './nowhere'")


def test_empty_texts_are_counted_and_dropped(command, toy_base, tmp_path):
    rows = [*comments(), ("", "civil"), ("  ", "rude")]
    path = write_csv(tmp_path / "data.csv", ("text", "label"), rows)
    code, _, err = command(
        fit, "--train", path, "--base", toy_base(), "--max-length", 32, "--epochs", 1,
        "--output", tmp_path / "run", "--freeze-base",
    )  # fmt: skip
    assert code == 0
    assert f"warning: {path}: dropped 2 of 42 rows, because 'text' is empty there." in err


def test_a_label_that_training_never_saw(command, comments_csv, tmp_path):
    path = write_csv(tmp_path / "v.csv", ("text", "label"), [("hm", "civil"), ("ah", "rood")])
    message = "v.csv, row 3, column 'label': the label 'rood' was not there in training. Did you"
    check_refused(command(fit, "--train", comments_csv, "--validation", path), message)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--train", "nowhere.csv"], "The file 'nowhere.csv' does not exist."),
        (["--freeze-layers", "99"], "`freeze_layers` must be at most 1"),
        (["--max-length", "1000"], "`max_length` must be at most 41"),
        (["--learning-rate", "-1"], "`learning_rate` must be above 0"),
        (["--pooling", "avg"], "`pooling` must be one of"),
        (["--label-columns", "lable"], "has no column 'lable'. Did you mean 'label'?"),
        (["--frezee-base"], "Did you mean --freeze-base?"),
    ],
)
def test_bad_flags(args, message, command, toy_base, comments_csv, tmp_path):
    given = ["--base", toy_base(), "--train", comments_csv, "--output", tmp_path / "run"]
    check_refused(command(fit, *given, *args), message)
    assert not (tmp_path / "run").exists()


def test_the_pooler_of_distilbert(command, toy_base, comments_csv):
    args = ("--base", toy_base("distilbert"), "--train", comments_csv, "--max-length", 32)
    check_refused(command(fit, *args, "--pooling", "pooler"), "a distilbert base has no pooler")


def test_an_output_that_is_already_a_run(command, toy_run, comments_csv):
    args = ("--train", comments_csv, "--output", toy_run)
    check_refused(command(fit, *args), "is already a run. Name another one, or pass --overwrite")


def test_a_config_with_an_unknown_key(command, tmp_path):
    (tmp_path / "c.json").write_text('{"train": {"learning_rat": 1e-5}}')
    message = "Unknown key 'learning_rat' in 'train'. Did you mean 'learning_rate'?"
    check_refused(command(fit, "--config", tmp_path / "c.json"), message)


def test_a_training_that_ends_in_nan_saves_nothing(command, toy_base, comments_csv, tmp_path):
    code, _, err = command(
        fit, "--train", comments_csv, "--base", toy_base(), "--max-length", 32,
        "--learning-rate", "1e38", "--output", tmp_path / "run", "--epochs", 5, "--head", "linear",
    )  # fmt: skip
    assert code == 1
    assert "so training was stopped and nothing was saved. Try a smaller --learning-rate" in err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("module", "args", "message"),
    [
        (predict, ["{tmp}", "--text", "hi"], "is no run: it has no config.json"),
        (predict, ["{tmp}/none", "--text", "hi"], "There is no run"),
        (predict, ["{run}"], "Expected either an input file or --text."),
        (predict, ["{run}", "{csv}"], "Expected --output FILE.csv beside an input file."),
        (predict, ["{run}", "{csv}", "--output", "x.json"], "`output` must end in .csv"),
        (predict, ["{run}", "{csv}", "--output", "{csv}", "--overwrite"], "must be another file"),
        (predict, ["{run}", "{csv}", "--output", "{tmp}/o.csv", "--text-column", "texts"],
         "has no column 'texts'. Did you mean 'text'?"),
        (predict, ["{run}", "--text", "a", "--pair", "b"], "was trained on single texts"),
        (evaluate, ["{tmp}", "{csv}"], "is no run: it has no config.json"),
        (evaluate, ["{run}", "{tmp}/none.csv"], "does not exist"),
        (evaluate, ["{run}"], "TEST"),
        (evaluate, ["{run}", "{csv}", "--output", "{run}/config.json"], "exists already"),
        (evaluate, ["{run}", "{csv}", "--output", "{tmp}/no/o.json"], "There is no directory"),
    ],
)  # fmt: skip
def test_bad_calls_of_predict_and_evaluate(
    module, args, message, command, toy_run, comments_csv, tmp_path
):
    places = {"tmp": tmp_path / "empty", "run": toy_run, "csv": comments_csv}
    places["tmp"].mkdir()
    check_refused(command(module, *(arg.format(**places) for arg in args)), message)
