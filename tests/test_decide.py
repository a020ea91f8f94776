"""The decision, from `fit --decide` and `python -m kerasbert.decide` to what a loaded run says."""

import contextlib
import csv
import io
import json
import shutil

import numpy as np
import pytest

import kerasbert
from kerasbert import decide, evaluate, fit, predict, tune
from kerasbert.deciding import choosing
from kerasbert.run_directory import LABELS
from tests.conftest import check_refused, comments, write_csv

HEADER = ("text", "rude", "kind")


def rows(count, start=0):
    """Comments with two labels, of which `kind` is the rare one, and some of them wrong."""
    found = []
    for number, (text, label) in enumerate(comments(count)):
        is_odd = number % 7 == 3
        rude = (label == "rude") != is_odd
        found.append((f"{text} {start}", int(rude), int(number % 4 == 0)))
    return found


@pytest.fixture(scope="module")
def trained(toy_base, tmp_path_factory):
    """A multilabel run that was told nothing of a decision, its files, and what `fit` said."""
    directory = tmp_path_factory.mktemp("decide")
    write_csv(directory / "train.csv", HEADER, rows(120))
    write_csv(directory / "held_out.csv", HEADER, rows(60, start=1))
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(io.StringIO()) as printed,
    ):
        patch.setattr(choosing, "_WORTH_A_WORD", -1)
        fit.main([
            "--train", str(directory / "train.csv"), "--label-columns", "rude", "kind",
            "--base", str(toy_base()), "--max-length", "32", "--epochs", "2", "--freeze-base",
            "--no-cache", "--output", str(directory / "run"),
        ])  # fmt: skip
    (directory / "printed.txt").write_text(printed.getvalue(), encoding="utf-8")
    return directory


@pytest.fixture
def run(trained, tmp_path):
    """A copy of it, to decide anew."""
    return shutil.copytree(trained / "run", tmp_path / "run")


def labels_of(run):
    return json.loads((run / LABELS).read_text(encoding="utf-8"))


def test_thresholds_are_changed_without_training(command, run, trained):
    weights = (run / "model.weights.h5").stat().st_mtime_ns
    code, out, err = command(
        decide, run, "--decide", "f2", "--calibrate", "temperature",
        "--data", trained / "held_out.csv",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "at 0.5 -> now, cross-fitted" in " ".join(out.split())
    assert "chosen on 60 rows of" in out
    assert out.endswith(f"wrote {run / LABELS}, MODEL_CARD.md and report.html\n")
    assert (run / "model.weights.h5").stat().st_mtime_ns == weights
    labels = labels_of(run)
    assert labels["chosen"]["decide"] == "f2"
    assert len(labels["calibration"]["temperatures"]) == 2
    assert labels["thresholds"] != [0.5, 0.5]


def test_all_doors_decide_alike(command, run, trained, tmp_path):
    command(decide, run, "--decide", "f2", "--calibrate", "temperature")
    labels = labels_of(run)
    texts = [text for text, _, _ in rows(60, start=1)]
    classifier = kerasbert.load(run)
    probabilities = classifier.predict_proba(texts)
    expected = [
        [name for name, p, t in zip(HEADER[1:], row, labels["thresholds"], strict=True) if p >= t]
        for row in probabilities
    ]
    assert classifier.predict(texts) == expected
    raw = classifier.raw_outputs(texts).astype(float)
    logits = np.log(raw / (1 - raw)) / np.array(labels["calibration"]["temperatures"])
    np.testing.assert_allclose(probabilities, 1 / (1 + np.exp(-logits)), atol=1e-5)

    code, _, _ = command(
        predict, run, trained / "held_out.csv", "--output", tmp_path / "predictions.csv"
    )
    assert code == 0
    with open(tmp_path / "predictions.csv", newline="", encoding="utf-8") as file:
        found = [row["prediction"].split("|") for row in csv.DictReader(file)]
    assert [list(filter(None, names)) for names in found] == expected

    command(evaluate, run, trained / "held_out.csv", "--output", tmp_path / "report.json")
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["test"]
    truth = np.array([[rude, kind] for _, rude, kind in rows(60, start=1)])
    decided = np.array([[name in names for name in HEADER[1:]] for names in expected])
    for column, label in enumerate(report["labels"]):
        assert label["recall"] == pytest.approx(decided[truth[:, column] == 1, column].mean())


def test_without_a_file_it_is_the_rows_of_the_validation(command, run):
    rows_of_validation = json.loads((run / "metadata.json").read_text())["data"]["validation"]
    code, out, _ = command(decide, run, "--decide", "f1", "--dry-run")
    assert code == 0
    assert f"train.csv, {rows_of_validation['rows']} rows:" in " ".join(out.split())
    assert labels_of(run)["chosen"] is None


@pytest.mark.usefixtures("draws_pages")
def test_reports_follow_the_decision_and_words_of_a_person_stay(command, run):
    card = run / "MODEL_CARD.md"
    todo = next(
        line for line in card.read_text(encoding="utf-8").splitlines() if line.startswith("- TODO")
    )
    card.write_text(
        card.read_text(encoding="utf-8").replace(todo, "For a forum, beside a moderator."),
        encoding="utf-8",
    )
    before = json.loads((run / "report.json").read_text(encoding="utf-8"))
    command(decide, run, "--decide", "f2")
    labels = kerasbert.load(run).run.labels
    after = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert after != before
    assert json.loads((run / "metadata.json").read_text(encoding="utf-8"))["report"] == after
    written = card.read_text(encoding="utf-8")
    assert "For a forum, beside a moderator." in written
    assert f"{labels.thresholds[0]:.3f}" in written
    assert f"{after['validation']['macro_f1']:.3f}" in written
    assert f"{labels.thresholds[0]:.3f}" in (run / "report.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("draws_pages")
def test_numbers_that_cannot_be_renewed_are_marked(command, run, trained, tmp_path, monkeypatch):
    metadata = json.loads((run / "metadata.json").read_text(encoding="utf-8"))
    metadata["data"]["validation"]["sha256"] = "0" * 64  # the file has changed since
    (run / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    _, out, _ = command(decide, run, "--decide", "f2", "--data", trained / "held_out.csv")
    assert "Their numbers are of the decision before, and marked so." in out
    card = (run / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "rows of `validation`, as they were decided before the thresholds below," in card
    assert "On 60 rows of `decision`, which chose how it decides" in card
    assert f"kerasbert.decide DIRECTORY --decide f2 --data {trained / 'held_out.csv'}" in card
    page = (run / "report.html").read_text(encoding="utf-8")
    assert "were chosen on these very rows" in page


def test_the_training_file_is_no_test(command, run, trained, tmp_path):
    code, _, err = command(
        evaluate, run, trained / "train.csv", "--output", tmp_path / "report.json"
    )
    assert code == 0
    assert "is the file that" in err
    assert "was trained on: these numbers say nothing of new rows." in err


def test_fit_decides_as_decide_does(command, run, tmp_path, eager):
    metadata = json.loads((run / "metadata.json").read_text(encoding="utf-8"))
    config = tmp_path / "config.json"
    config.write_text(json.dumps(metadata["fit"]), encoding="utf-8")
    ask = ("--decide", "f2", "--calibrate", "temperature")
    code, out, _ = command(fit, "--config", config, *ask, "--output", tmp_path / "again")
    assert code == 0
    assert "chosen on" in out
    command(decide, run, *ask, "--precision", "float32")
    found, expected = labels_of(tmp_path / "again"), labels_of(run)
    np.testing.assert_allclose(found["thresholds"], expected["thresholds"], atol=1e-3)
    for key in ("decide", "rows", "labels"):
        assert found["chosen"][key] == expected["chosen"][key]
    report = json.loads((tmp_path / "again" / "report.json").read_text(encoding="utf-8"))
    assert report["validation"] != metadata["report"]["validation"]


def test_a_sweep_compares_as_trained_and_a_refit_decides_as_the_trial(trained, toy_base, tmp_path):
    asked = [
        "--train", str(trained / "train.csv"), "--test", str(trained / "held_out.csv"),
        "--label-columns", "rude", "kind", "--base", str(toy_base()), "--max-length", "32",
        "--epochs", "2", "--freeze-base", "--learning-rate", "1e-2", "1e-3", "3e-3",
        "--trials", "1", "--decide", "f2", "--output", str(tmp_path / "sweep"),
        "--cache-dir", str(tmp_path / "cache"),
    ]  # fmt: skip
    tune.main(asked)
    best, score = tmp_path / "sweep" / "best", read_trial_score(tmp_path / "sweep")
    report = json.loads((best / "report.json").read_text(encoding="utf-8"))
    assert score != report["validation"]["macro_f1"]
    chosen = labels_of(best)
    assert chosen["chosen"]["decide"] == "f2"
    assert score == pytest.approx(chosen["chosen"]["macro_f1"][0])
    tune.main([*asked, "--resume", "--refit"])
    assert labels_of(best) == chosen
    refitted = json.loads((best / "report.json").read_text(encoding="utf-8"))
    assert list(refitted) == ["test"]
    # It has learned from the validation rows, which therefore choose nothing any more.
    metadata = json.loads((best / "metadata.json").read_text(encoding="utf-8"))
    assert list(metadata["data"]) == ["train", "test"]
    found = kerasbert.load(best, "float32").outputs(
        [text for text, _, _ in rows(60, start=1)], None
    )
    recalls = [label["recall"] for label in refitted["test"]["labels"]]
    truth = np.array([[rude, kind] for _, rude, kind in rows(60, start=1)])
    decided = found >= chosen["thresholds"]
    assert recalls == pytest.approx([decided[truth[:, k] == 1, k].mean() for k in (0, 1)])


def read_trial_score(directory):
    with open(directory / "trials.csv", newline="", encoding="utf-8") as file:
        return float(next(csv.DictReader(file))["val_macro_f1"])


def test_asked_for_nothing_it_is_as_it_was_trained(command, run):
    before = labels_of(run)
    command(decide, run, "--decide", "f2", "--calibrate", "temperature")
    assert labels_of(run) != before
    code, out, _ = command(decide, run)
    assert code == 0
    assert "nothing was chosen" in out
    assert labels_of(run) == before


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--decide", "best"], "`decide` must be written like one of f1, f2"),
        (["--calibrate", "isotonic"], "Isotonic calibration needs 1,000 rows"),
        (["--unsure-below", "0.5"], "`unsure_below` is for more than two classes"),
        (["--unsure-below", "5"], "`unsure_below` must be from 0 to 1"),
        (["--calibrate", "temprature"], "Did you mean 'temperature'?"),
        (["--data", "missing.csv"], "The file 'missing.csv' does not exist."),
        (["--data", "{train}"], "is the file that the run was trained on"),
        (["--decde", "f1"], "Did you mean --decide?"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(args, message, command, run, trained):
    args = [arg.format(train=trained / "train.csv") for arg in args]
    check_refused(command(decide, run, *args), message)
    assert labels_of(run)["chosen"] is None


def test_rows_that_changed_since_are_not_taken_for_the_validation(command, run, trained):
    metadata = json.loads((run / "metadata.json").read_text(encoding="utf-8"))
    metadata["data"]["validation"]["rows_sha256"] = "0" * 64  # as those of a fold would be
    (run / "metadata.json").write_text(json.dumps(metadata), encoding="utf-8")
    check_refused(
        command(decide, run, "--decide", "f1"),
        "is gone or changed, or --folds held them out. Name held-out rows with --data FILE.",
    )


def test_fit_points_out_a_better_decision(trained):
    printed = (trained / "printed.txt").read_text(encoding="utf-8")
    assert "Other thresholds than 0.5 would decide better: macro F1 0." in printed
    assert f"python -m kerasbert.decide {trained / 'run'} --decide f1" in printed


def test_folds_do_not_decide(command, trained, tmp_path):
    result = command(
        fit, "--train", trained / "train.csv", "--folds", 3, "--calibrate", "auto",
        "--output", tmp_path / "folds",
    )  # fmt: skip
    check_refused(result, "`calibrate` must be left out with --folds")
