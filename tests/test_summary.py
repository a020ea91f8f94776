import io
import json

import numpy as np
import pytest
from rich.console import Console

from kerasbert.data.labels import Labels
from kerasbert.errors import InputError
from kerasbert.metrics import build_report
from kerasbert.summary import summarize, summary_table

CIVIL_RUDE = ("civil", "rude")


def label_row(name, precision, recall, f1, support):
    return {"name": name, "precision": precision, "recall": recall, "f1": f1, "support": support}


def report(accuracy, f1, roc_auc=0.75, count=20, support=9):
    return {
        "loss": 0.5,
        "accuracy": accuracy,
        "macro_f1": 0.5,
        "roc_auc": roc_auc,
        "count": count,
        "labels": [
            label_row("civil", 0.25, 0.5, f1, support),
            label_row("rude", 1.0, 0.0, 0.0, count - support),
        ],
    }


def near(value):
    return pytest.approx(value, abs=1e-12)


def test_mean_and_spread_worked_by_hand():
    reports = [
        {"validation": report(accuracy, f1), "test": report(accuracy / 2, f1)}
        for accuracy, f1 in ((0.8, 0.2), (0.9, 0.2), (1.0, 0.8))
    ]
    summary = summarize(reports)
    # 0.1 from the mean, twice; divided by 3 - 1.
    assert summary["validation"]["accuracy"] == {
        "mean": near(0.9),
        "spread": near(0.1),
        "counted": 3,
        "values": [0.8, 0.9, 1.0],
    }
    assert summary["test"]["accuracy"]["spread"] == near(0.05)
    # The mean is 0.4; the squares of 0.2, 0.2 and 0.4 are 0.24 together, and half of it 0.12.
    civil, rude = summary["validation"]["labels"]
    assert civil["name"] == "civil"
    assert civil["f1"] == {
        "mean": near(0.4),
        "spread": near(0.12**0.5),
        "counted": 3,
        "values": [0.2, 0.2, 0.8],
    }
    assert rude["precision"] == {"mean": 1.0, "spread": 0.0, "counted": 3, "values": [1.0] * 3}
    assert rude["support"]["mean"] == 11
    assert list(summary) == ["validation", "test"]


def test_one_run_has_no_spread():
    summary = summarize([{"validation": report(0.8, 0.2)}])
    assert summary["validation"]["accuracy"] == {
        "mean": 0.8,
        "spread": None,
        "counted": 1,
        "values": [0.8],
    }


def test_what_is_not_defined_in_some_run_is_the_mean_of_the_others():
    areas = [0.5, None, 0.75]
    summary = summarize([{"validation": report(0.8, 0.2, roc_auc)} for roc_auc in areas])
    assert summary["validation"]["roc_auc"] == {
        "mean": 0.625,
        "spread": None,
        "counted": 2,
        "values": areas,
    }


def test_what_is_defined_in_no_run_is_none():
    summary = summarize([{"validation": report(0.8, None, None)}] * 2)["validation"]
    nothing = {"mean": None, "spread": None, "counted": 0, "values": [None, None]}
    assert summary["roc_auc"] == summary["labels"][0]["f1"] == nothing


def made_reports(labels, targets, *outputs):
    return [{"validation": build_report(labels, targets, np.float32(each))} for each in outputs]


def test_the_reports_of_runs_are_summarized_as_strict_json():
    labels = Labels("binary", ("label",), CIVIL_RUDE, (0.5, 0.5))
    outputs = [[0.9, 0.1], [0.2, 0.8]], [[0.1, 0.9], [0.2, 0.8]]
    summary = summarize(made_reports(labels, np.array([0, 1], np.int32), *outputs))
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    accuracy = summary["validation"]["accuracy"]
    assert (accuracy["values"], accuracy["mean"]) == ([1.0, 0.5], 0.75)
    assert accuracy["spread"] == near(0.125**0.5)


def test_what_is_no_number_is_left_out():
    reports = [{"test": {"count": 3, "matrix": [[1, 2]], "note": "x"}}] * 2
    assert list(summarize(reports)["test"]) == ["count"]


def printed(summary):
    text = io.StringIO()
    Console(width=110, file=text).print(summary_table(summary, "validation"))
    return text.getvalue()


def cells(text):
    rows = (row.replace("┃", "│").split("│") for row in text.splitlines())
    return [[cell.strip() for cell in row[1:-1]] for row in rows if len(row) > 2]


def test_the_table_has_a_row_per_label_and_the_totals():
    reports = [report(0.892, 0.2, 0.5, 20, 9), report(0.9, 0.3, None, 19, 9)]
    text = printed(summarize([{"validation": each} for each in reports])["validation"])
    assert "validation, mean ± standard deviation of 2 runs" in text
    civil = ["civil", "0.250 ± 0.000", "0.500 ± 0.000", "0.250 ± 0.071", "9"]
    assert civil in cells(text)
    assert cells(text)[-1][-1] == "10 to 11"
    totals = (
        "accuracy 0.896 ± 0.006 macro F1 0.500 ± 0.000 ROC AUC 0.500 (1 of 2) "
        "loss 0.500 ± 0.000 19 to 20 rows"
    )
    assert totals in " ".join(text.split())


def test_the_table_of_one_run_shows_its_numbers():
    text = printed(summarize([{"validation": report(0.8, None, None, 2000)}])["validation"])
    assert "validation, one run" in text
    assert ["civil", "0.250", "0.500", "-", "9"] in cells(text)
    assert "accuracy 0.800 macro F1 0.500 ROC AUC - loss 0.500 2,000 rows" in " ".join(text.split())


def test_the_table_of_scores():
    labels = Labels("regression", ("stars",), ("stars",))
    reports = made_reports(labels, np.float32([1, 2]), [[1], [2]], [[2], [1]])
    # Errors of 0 and 1; correlations of 1 and -1, which are the square root of 2 from their mean.
    text = printed(summarize(reports)["validation"])
    assert ["0.000 ± 1.414", "0.000 ± 1.414", "0.500 ± 0.707", "2"] in cells(text)


@pytest.mark.parametrize(
    ("reports", "message"),
    [
        ([], r"Expected the report of at least one run\. Received: none\."),
        (
            [{"validation": {}}, {"validation": {}, "test": {}}],
            r"the same data sets\. Received: validation in the first run and validation, test in "
            r"run 2\.",
        ),
        (
            [{"test": {"loss": 1.0}}, {"test": {"loss": 1.0}}, {"test": {"mse": 1.0}}],
            r"the same numbers\. Received: loss in the first run and mse in run 3\.",
        ),
        (
            [{"test": {"labels": [{"name": name}]}} for name in ("civil", "rude")],
            r"the same labels\. Received: civil in the first run and rude in run 2\.",
        ),
    ],
)
def test_reports_that_do_not_belong_together_are_refused(reports, message):
    with pytest.raises(InputError, match=message):
        summarize(reports)
