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
        (labels_of("regression", "stars"), floats([2]), floats([[3]])),
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


def test_the_table_of_scores_shows_what_is_undefined_as_a_dash():
    labels = labels_of("regression", "stars")
    text = printed(build_report(labels, floats([1, 2]), floats([[3], [3]])))
    cells = [row.replace("│", " ").split() for row in text.splitlines()]
    assert ["-", "-", "2.500", "2"] in cells
