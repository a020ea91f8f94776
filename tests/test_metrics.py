import io
import json
import math

import numpy as np
import pytest
import sklearn.metrics
from rich.console import Console

from kerasbert.data.labels import Labels
from kerasbert.metrics import build_report, report_table
from kerasbert.tasks import UNKNOWN


def mean_loss(*probabilities):
    return -sum(map(math.log, probabilities)) / len(probabilities)


def labels_of(task, *names, thresholds=None):
    columns = names if task == "multilabel" else ("label",)
    return Labels(task, columns, names, thresholds)


def floats(rows):
    return np.array(rows, dtype=np.float32)


def two_columns(second):
    return floats([[1 - value, value] for value in second])


def near(value):
    return pytest.approx(value, abs=1e-6)


def label_row(name, precision, recall, f1, support):
    return {
        "name": name,
        "precision": near(precision),
        "recall": near(recall),
        "f1": near(f1),
        "support": support,
    }


BINARY = labels_of("binary", "civil", "rude", thresholds=(0.5, 0.5))
BINARY_TARGETS = np.array([0, 0, 0, 1, 1], dtype=np.int32)
BINARY_OUTPUTS = two_columns([0.1, 0.6, 0.2, 0.4, 0.9])


def test_binary_by_hand():
    # Decisions 0 1 0 0 1; of the six pairs of a rude and a civil one, five are in order.
    assert build_report(BINARY, BINARY_TARGETS, BINARY_OUTPUTS) == {
        "loss": near(mean_loss(0.9, 0.4, 0.8, 0.4, 0.9)),
        "accuracy": near(3 / 5),
        "macro_f1": near((2 / 3 + 1 / 2) / 2),
        "roc_auc": near(5 / 6),
        "count": 5,
        "labels": [label_row("civil", 2 / 3, 2 / 3, 2 / 3, 3), label_row("rude", 0.5, 0.5, 0.5, 2)],
    }


def test_binary_decides_by_its_threshold():
    labels = labels_of("binary", "civil", "rude", thresholds=(0.5, 0.35))
    report = build_report(labels, BINARY_TARGETS, BINARY_OUTPUTS)
    assert report["accuracy"] == near(4 / 5)
    assert report["labels"] == [
        label_row("civil", 1, 2 / 3, 4 / 5, 3),
        label_row("rude", 2 / 3, 1, 4 / 5, 2),
    ]


def test_multiclass_by_hand():
    # Decisions 0 1 0 2.
    outputs = floats([[0.7, 0.2, 0.1], [0.3, 0.4, 0.3], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6]])
    targets = np.array([0, 1, 2, 2], dtype=np.int32)
    report = build_report(labels_of("multiclass", "a", "b", "c"), targets, outputs)
    assert report == {
        "loss": near(mean_loss(0.7, 0.4, 0.2, 0.6)),
        "accuracy": near(3 / 4),
        "macro_f1": near((2 / 3 + 1 + 2 / 3) / 3),
        "roc_auc": near((1 + 1 + 3 / 4) / 3),
        "count": 4,
        "labels": [
            label_row("a", 1 / 2, 1, 2 / 3, 1),
            label_row("b", 1, 1, 1, 1),
            label_row("c", 1, 1 / 2, 2 / 3, 2),
        ],
    }


MULTILABEL = labels_of("multilabel", "rude", "kind", thresholds=(0.5, 0.5))
MULTILABEL_TARGETS = floats([[1, 0], [0, UNKNOWN], [UNKNOWN, 1], [1, 1], [1, 0]])
MULTILABEL_OUTPUTS = floats([[0.8, 0.45], [0.4, 0.9], [0.6, 0.4], [0.45, 0.7], [0.9, 0.1]])


def test_multilabel_by_hand_without_the_unknown_cells():
    # The second row is right, as its one known label is; the third and fourth miss a label.
    assert build_report(MULTILABEL, MULTILABEL_TARGETS, MULTILABEL_OUTPUTS) == {
        "loss": near(mean_loss(0.8, 0.6, 0.45, 0.9, 0.55, 0.4, 0.7, 0.9)),
        "accuracy": near(3 / 5),
        "macro_f1": near((4 / 5 + 2 / 3) / 2),
        "roc_auc": near((1 + 3 / 4) / 2),
        "count": 5,
        "labels": [
            label_row("rude", 1, 2 / 3, 4 / 5, 3),
            label_row("kind", 1, 1 / 2, 2 / 3, 2),
        ],
    }


def test_outputs_at_unknown_cells_change_nothing():
    changed = MULTILABEL_OUTPUTS.copy()
    changed[MULTILABEL_TARGETS == UNKNOWN] = 0.01
    assert not np.array_equal(changed, MULTILABEL_OUTPUTS)
    assert build_report(MULTILABEL, MULTILABEL_TARGETS, changed) == build_report(
        MULTILABEL, MULTILABEL_TARGETS, MULTILABEL_OUTPUTS
    )


def test_regression_by_hand():
    # Deviations -1.5 -0.5 0.5 1.5 and -2 0 -1 3: their product sums to 7, their squares to 5, 14.
    report = build_report(
        labels_of("regression", "stars"), floats([1, 2, 3, 4]), floats([[1], [3], [2], [6]])
    )
    assert report == {
        "loss": near(1.5),
        "mse": near(1.5),
        "pearson": near(7 / math.sqrt(70)),
        "spearman": near(0.8),
        "count": 4,
    }


def test_many_rows_agree_with_scikit_learn():
    random = np.random.default_rng(3)
    targets = random.integers(4, size=97)
    outputs = random.dirichlet(np.ones(4), size=97)
    report = build_report(labels_of("multiclass", "a", "b", "c", "d"), targets, outputs)
    decided = outputs.argmax(axis=1)
    assert report["loss"] == near(sklearn.metrics.log_loss(targets, outputs))
    assert report["accuracy"] == near(sklearn.metrics.accuracy_score(targets, decided))
    assert report["macro_f1"] == near(sklearn.metrics.f1_score(targets, decided, average="macro"))
    assert report["roc_auc"] == near(
        sklearn.metrics.roc_auc_score(targets, outputs, multi_class="ovr", average="macro")
    )
    assert sum(label["support"] for label in report["labels"]) == 97


def test_the_order_of_the_rows_changes_nothing():
    turned = build_report(BINARY, BINARY_TARGETS[::-1], BINARY_OUTPUTS[::-1])
    report = build_report(BINARY, BINARY_TARGETS, BINARY_OUTPUTS)
    assert turned.pop("loss") == near(report.pop("loss"))
    assert turned == report


def test_a_certain_mistake_has_a_finite_loss():
    report = build_report(BINARY, np.array([0, 1]), floats([[0, 1], [0, 1]]))
    assert report["loss"] == pytest.approx(-math.log(1e-7) / 2, rel=1e-5)


def test_the_area_over_one_class_is_undefined():
    assert build_report(BINARY, np.array([1, 1]), two_columns([0.2, 0.9]))["roc_auc"] is None


def test_a_class_without_examples_is_left_out_of_the_mean_area():
    outputs = floats([[0.6, 0.3, 0.1], [0.7, 0.2, 0.1], [0.1, 0.8, 0.1]])
    report = build_report(labels_of("multiclass", "a", "b", "c"), np.array([0, 1, 1]), outputs)
    # a against b: 0.6 lies between 0.7 and 0.1. b against a: 0.3 between 0.2 and 0.8.
    assert report["roc_auc"] == near(1 / 2)


def test_a_label_without_a_known_cell_has_no_scores_and_is_left_out_of_the_means():
    targets = floats([[1, UNKNOWN], [0, UNKNOWN], [1, UNKNOWN]])
    outputs = floats([[0.8, 0.9], [0.6, 0.1], [0.7, 0.5]])
    assert build_report(MULTILABEL, targets, outputs) == {
        "loss": near(mean_loss(0.8, 0.4, 0.7)),
        "accuracy": near(2 / 3),
        "macro_f1": near(4 / 5),
        "roc_auc": near(1),
        "count": 3,
        "labels": [
            label_row("rude", 2 / 3, 1, 4 / 5, 2),
            {"name": "kind", "precision": None, "recall": None, "f1": None, "support": 0},
        ],
    }


def test_without_any_known_cell_there_is_no_score():
    report = build_report(MULTILABEL, floats([[UNKNOWN] * 2] * 3), floats([[0.3, 0.6]] * 3))
    assert (report["loss"], report["macro_f1"], report["roc_auc"]) == (None, None, None)
    assert [label["f1"] for label in report["labels"]] == [None, None]
    assert report["count"] == 3


def test_a_label_that_is_known_and_never_there_counts_as_zero():
    # Nobody is kind, and one was taken for it: precision 0, and recall 0 of 0.
    report = build_report(MULTILABEL, floats([[1, 0], [0, 0]]), floats([[0.9, 0.8], [0.1, 0.2]]))
    assert report["labels"] == [label_row("rude", 1, 1, 1, 1), label_row("kind", 0, 0, 0, 0)]
    assert report["macro_f1"] == near(1 / 2)


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")
@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel"])
def test_no_rows_have_no_scores(task):
    thresholds = None if task == "multiclass" else (0.5, 0.5)
    labels = labels_of(task, "civil", "rude", thresholds=thresholds)
    targets = floats(np.empty((0, 2))) if task == "multilabel" else np.empty(0, dtype=np.int32)
    nothing = {"precision": None, "recall": None, "f1": None, "support": 0}
    assert build_report(labels, targets, floats(np.empty((0, 2)))) == {
        "loss": None,
        "accuracy": None,
        "macro_f1": None,
        "roc_auc": None,
        "count": 0,
        "labels": [{"name": "civil"} | nothing, {"name": "rude"} | nothing],
    }


@pytest.mark.filterwarnings("ignore:Mean of empty slice", "ignore:invalid value")
def test_no_rows_have_no_errors():
    report = build_report(labels_of("regression", "stars"), floats([]), floats(np.empty((0, 1))))
    assert report == {"loss": None, "mse": None, "pearson": None, "spearman": None, "count": 0}


def test_a_squared_error_beyond_float32_is_finite():
    # Twice 1e30, squared, over two rows; the largest float32 is 3.4e38.
    report = build_report(
        labels_of("regression", "stars"), floats([1e30, 0]), floats([[-1e30], [0]])
    )
    assert report["mse"] == pytest.approx(2e60, rel=1e-6)
    assert report["loss"] == report["mse"]


def test_a_score_that_is_not_a_number_has_no_squared_error():
    report = build_report(
        labels_of("regression", "stars"), floats([1, 2]), floats([[math.nan], [3]])
    )
    assert (report["mse"], report["loss"], report["count"]) == (None, None, 2)


def test_the_correlation_with_a_constant_is_undefined():
    report = build_report(labels_of("regression", "stars"), floats([1, 2]), floats([[3], [3]]))
    assert (report["pearson"], report["spearman"]) == (None, None)
    assert report["mse"] == near((4 + 1) / 2)


@pytest.mark.parametrize(
    ("labels", "targets", "outputs"),
    [
        (BINARY, BINARY_TARGETS, BINARY_OUTPUTS),
        (BINARY, np.array([1, 1]), two_columns([0.2, 0.9])),
        (MULTILABEL, MULTILABEL_TARGETS, MULTILABEL_OUTPUTS),
        (MULTILABEL, floats([[1, UNKNOWN], [0, UNKNOWN]]), floats([[0.9, 0.8], [0.1, 0.2]])),
        (labels_of("regression", "stars"), floats([2]), floats([[3]])),
        (labels_of("regression", "stars"), floats([1, 2]), floats([[math.nan], [3]])),
    ],
)
def test_a_report_is_strict_json(labels, targets, outputs):
    report = build_report(labels, targets, outputs)
    assert json.loads(json.dumps(report, allow_nan=False)) == report


def printed(report):
    text = io.StringIO()
    Console(width=100, file=text).print(report_table(report, "validation"))
    return text.getvalue()


def test_the_table_has_a_row_per_label_and_the_totals():
    text = printed(build_report(BINARY, BINARY_TARGETS, BINARY_OUTPUTS))
    cells = [row.replace("│", " ").split() for row in text.splitlines()]
    assert ["civil", "0.667", "0.667", "0.667", "3"] in cells
    assert ["rude", "0.500", "0.500", "0.500", "2"] in cells
    totals = "accuracy 0.600 macro F1 0.583 ROC AUC 0.833 loss 0.453 5 rows"
    assert totals in " ".join(text.split())


def test_a_name_in_square_brackets_is_shown_as_it_is():
    labels = labels_of("binary", "[red]", "[/]", thresholds=(0.5, 0.5))
    text = printed(build_report(labels, BINARY_TARGETS, BINARY_OUTPUTS))
    cells = [row.replace("│", " ").split() for row in text.splitlines()]
    assert ["[red]", "0.667", "0.667", "0.667", "3"] in cells
    assert ["[/]", "0.500", "0.500", "0.500", "2"] in cells


def test_the_table_shows_a_label_without_a_known_cell_as_dashes():
    targets = floats([[1, UNKNOWN], [0, UNKNOWN]])
    text = printed(build_report(MULTILABEL, targets, floats([[0.9, 0.8], [0.1, 0.2]])))
    cells = [row.replace("│", " ").split() for row in text.splitlines()]
    assert ["rude", "1.000", "1.000", "1.000", "1"] in cells
    assert ["kind", "-", "-", "-", "0"] in cells
    assert "macro F1 1.000" in text


def test_the_table_of_scores_shows_what_is_undefined_as_a_dash():
    labels = labels_of("regression", "stars")
    text = printed(build_report(labels, floats([1, 2]), floats([[3], [3]])))
    cells = [row.replace("│", " ").split() for row in text.splitlines()]
    assert ["-", "-", "2.500", "2"] in cells
