import math

import numpy as np
import pytest

from kerasbert.tasks import TASKS, UNKNOWN


def test_each_task_is_found_by_its_name():
    assert [TASKS[name].name for name in TASKS] == list(TASKS)
    assert set(TASKS) == {"binary", "multiclass", "multilabel", "regression"}


def test_each_task_has_its_fewest_and_its_most_labels():
    assert {name: (task.min_labels, task.max_labels) for name, task in TASKS.items()} == {
        "binary": (2, 2),
        "multiclass": (2, math.inf),
        "multilabel": (1, math.inf),
        "regression": (1, 1),
    }


def test_unknown_is_no_label():
    assert UNKNOWN not in (0, 1)


def test_binary_decides_by_the_threshold_of_the_second_label():
    outputs = np.array([[0.7, 0.3], [0.5, 0.5], [0.1, 0.9]])
    decide = TASKS["binary"].decide
    assert decide(outputs, None).tolist() == [0, 1, 1]
    assert decide(outputs, (0.9, 0.3)).tolist() == [1, 1, 1]
    assert decide(outputs, (0.0, 0.6)).tolist() == [0, 0, 1]


def test_multiclass_decides_for_the_largest():
    outputs = np.array([[0.2, 0.5, 0.3], [0.4, 0.3, 0.3], [0.1, 0.2, 0.7]])
    assert TASKS["multiclass"].decide(outputs, None).tolist() == [1, 0, 2]


def test_multilabel_decides_each_label_by_its_own_threshold():
    outputs = np.array([[0.5, 0.5], [0.4, 0.9]])
    decide = TASKS["multilabel"].decide
    assert decide(outputs, None).tolist() == [[1, 1], [0, 1]]
    assert decide(outputs, (0.4, 0.6)).tolist() == [[1, 0], [1, 1]]


def test_regression_passes_the_scores_on():
    decided = TASKS["regression"].decide(np.array([[-1.5], [2.25]]), None)
    assert decided.tolist() == [-1.5, 2.25]


@pytest.mark.parametrize(
    ("name", "outputs"),
    [
        ("binary", [[0.3, 0.7]]),
        ("multiclass", [[0.3, 0.7, 0.0]]),
        ("multilabel", [[0.3, 0.7, 0.0]]),
    ],
)
def test_decisions_are_whole_numbers(name, outputs):
    assert TASKS[name].decide(np.array(outputs, np.float32), None).dtype == np.int32
