import json

import numpy as np
import pytest

from kerasbert.config import FitConfig
from kerasbert.config_json import to_json
from kerasbert.data.calibration import Calibration
from kerasbert.data.chosen import Chosen, ChosenLabel
from kerasbert.data.facts import rows_sha256
from kerasbert.reporting.comparing import compare
from kerasbert.reporting.intervals import find_intervals
from kerasbert.reporting.page import write_page
from kerasbert.reporting.slices import slice_by
from tests.reporting.making import binary, multiclass, multilabel, random_rows, scores
from tests.reporting.reading import check_page
from tests.test_plots import history

DRAWS_PAGES = True

HOSTILE = ("</script><b> | c", "$\\frac{$ & [red]", "\\frac{1}{\x00\x1b[31m", "名前" * 40)


def metadata(task="binary", **more):
    return {
        "versions": {"kerasbert": "0.1.0"},
        "parameters": {"total": 1234, "trainable": 56},
        "labels": {"task": task},
        "precision": "float32",
        "device": "CPU",
        "fit": json.loads(to_json(FitConfig())),
        "data": {},
        "training": {"epochs": 1, "steps": 7, "findings": ["The loss rose. Try <less>."]},
    } | more


def written(path, judged, **more):
    judged = judged if isinstance(judged, dict) else {"test": judged}
    task = next(iter(judged.values())).labels.task
    intervals = {name: find_intervals(rows) for name, rows in judged.items()}
    write_page(path / "r.html", judged, metadata(task), intervals, **more)
    return (path / "r.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel", "regression"])
def test_a_page_of_every_task(task, tmp_path):
    judged = random_rows(task, 120, 2 if task == "binary" else 3)
    page = check_page(
        written(tmp_path, {"validation": judged, "test": judged}, history=history(30, 3))
    )
    titles = [title for level, title in page.headings if level == 2]
    assert titles == ["Test", "Validation", "Learning curves", "What was trained on what",
                      "Do it again"]  # fmt: skip
    about = {title for level, title in page.headings if level == 3}
    if task == "regression":
        assert about == {"Scores and residuals", "Length and mistakes", "The largest errors"}
    else:
        assert {"Precision and recall", "ROC curves", "Calibration", "Length and mistakes",
                "Histograms of the probabilities", "The most confident mistakes",
                "The least sure answers"} < about  # fmt: skip
    assert "python -m kerasbert.fit" in page.text
    assert "Try <less>." in page.text
    assert "mathdefault" not in page.text


def test_numbers_stand_with_their_intervals(tmp_path):
    judged = binary([0, 0, 1, 1] * 25, [0.1, 0.6, 0.4, 0.9] * 25)
    found = find_intervals(judged)["accuracy"]
    page = check_page(written(tmp_path, judged))
    assert f"accuracy 0.500 {found[0]:.3f} to {found[1]:.3f}" in page.text
    assert "“rude” is decided for from a probability of 0.5." in page.text


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_names_and_texts_are_words_and_nothing_else(task, tmp_path):
    names = HOSTILE[:2] if task == "binary" else HOSTILE
    texts = [
        f"<img src=x onerror=alert(1)> {number} \x07\ud800 & {{{{ 1 }}}}" for number in range(40)
    ]
    judged = random_rows(task, 40, len(names), names=names, texts=texts)
    text = written(tmp_path, judged, slices={"<i>": slice_by(judged, texts)})
    page = check_page(text)
    assert "<img src=x onerror=alert(1)>" in page.text
    assert "</script><b>" in page.text
    assert "\x07" not in page.text
    assert "$\\frac{$ &amp; [red]</text>" in text


@pytest.mark.parametrize(
    "judged",
    [
        binary([1], [0.7]),
        binary([0, 0, 0], [0.1, 0.2, 0.9]),
        binary([0, 1], [0.0, 1.0]),
        multiclass([0], [[0.2, 0.5, 0.3]], ("a", "b", "c")),
        multiclass([0, 1], [[0.4, 0.3, 0.3], [0.1, 0.8, 0.1]], ("a", "b", "c"), unsure_below=0.5),
        multiclass([0, 1], [[0.4, 0.6], [0.1, 0.9]], ("a", "b"), thresholds=(0.2, 0.5)),
        multilabel([[None, 1], [None, 0]], [[0.3, 0.2], [0.1, 0.3]], ("x", "y")),
        multilabel([[None]], [[0.3]], ("x",)),
        scores([1], [2]),
        scores([1, 1], [2, 2]),
        scores([1e30, -1e30], [0, 1]),
        binary([0, 1], [0.1, 0.9], texts=["a", "b"], pairs=["c", ""]),
    ],
)
def test_few_rows_and_few_kinds_of_them(judged, tmp_path):
    check_page(written(tmp_path, judged))


@pytest.mark.parametrize(("task", "num_labels"), [("multiclass", 60), ("multilabel", 25)])
def test_many_labels_are_told_in_tables(task, num_labels, tmp_path):
    text = written(tmp_path, random_rows(task, 400, num_labels))
    page = check_page(text)
    assert len(text) < 2_000_000
    assert f"label {num_labels - 1}" in page.text
    assert len(page.all("svg")) < 25


def test_calibration_is_drawn_before_and_after(tmp_path):
    judged = random_rows("binary", 200, 2)
    labels = type(judged.labels)(
        "binary", ("label",), judged.labels.names, (0.5, 0.4),
        calibration=Calibration("temperature", (2.0,)),
        chosen=Chosen("f1", "temperature", "rows.csv", 200, rows_sha256(judged.examples),
                      (ChosenLabel("label 1", 3, "rows", is_reached=False),),
                      (0.5, 0.75), (0.4, 0.6), (0.2, 0.1)),
    )  # fmt: skip
    page = check_page(written(tmp_path, judged.decided_by(labels)))
    assert "Calibration before and after" in page.text
    assert "the model's own" in page.text
    assert "chosen on these very rows" in page.text
    assert "macro F1 0.500 before and 0.750 after" in page.text
    assert "That f1 is reached on new rows is not sure for label 1." in page.text
    other = type(judged)(labels, judged.examples.take(range(9)), judged.raw[:9])
    assert "were chosen on 200 rows of rows.csv" in check_page(written(tmp_path, other)).text


def test_the_same_page_is_written_twice(tmp_path):
    judged = random_rows("multiclass", 50)
    assert written(tmp_path, judged) == written(tmp_path, judged)


def test_slices_and_a_comparison(tmp_path):
    judged = random_rows("binary", 60, 2)
    against = {"run": "runs/<other>"} | compare(judged, judged)
    slices = {"source": slice_by(judged, ["web", "mail"] * 30)}
    page = check_page(written(tmp_path, judged, slices=slices, comparison=against))
    assert "Against runs/<other>" in page.text
    assert "McNemar" in page.text
    assert "false negative rate" in page.text


def test_many_rows_make_no_large_page(tmp_path):
    judged = random_rows("binary", 20_000, 2)
    text = written(tmp_path, judged)
    assert len(text) < 300_000
    assert np.isfinite(judged.report["roc_auc"])
