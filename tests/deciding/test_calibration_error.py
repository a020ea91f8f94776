import numpy as np
import pytest

from kerasbert.data.labels import Labels
from kerasbert.deciding.calibration_error import expected_calibration_error
from kerasbert.tasks import UNKNOWN

BINARY = Labels("binary", ("label",), ("civil", "rude"), (0.5, 0.5))
MULTICLASS = Labels("multiclass", ("label",), ("a", "b", "c"))
MULTILABEL = Labels("multilabel", ("x", "y"), ("x", "y"), (0.5, 0.5))


def floats(rows):
    return np.array(rows, dtype=np.float32)


def test_binary_by_hand():
    # Two bins. Below 0.5: 0.1 and 0.3 of which one came true, |0.2 - 0.5| over two of five. Above:
    # 0.6, 0.8 and 1.0 of which two did, |0.8 - 2/3| over three of five.
    second = floats([0.1, 0.3, 0.6, 0.8, 1.0])
    outputs = np.stack([1 - second, second], axis=1)
    error = expected_calibration_error(BINARY, np.array([0, 1, 0, 1, 1]), outputs, num_bins=2)
    assert error == pytest.approx(0.3 * 2 / 5 + (0.8 - 2 / 3) * 3 / 5, abs=1e-6)


def test_multiclass_is_judged_by_its_most_probable_class():
    # Said 0.6 and right, said 0.6 and wrong, said 0.9 and right.
    outputs = floats([[0.6, 0.3, 0.1], [0.3, 0.6, 0.1], [0.05, 0.05, 0.9]])
    error = expected_calibration_error(MULTICLASS, np.array([0, 0, 2]), outputs)
    assert error == pytest.approx(abs(0.6 - 0.5) * 2 / 3 + 0.1 / 3, abs=1e-6)


def test_multilabel_is_the_mean_of_the_labels_without_unknown_cells():
    targets = floats([[1, UNKNOWN], [0, 1]])
    outputs = floats([[0.9, 0.0], [0.2, 0.7]])
    # x is 0.1 and 0.2 off, y 0.3; the unknown cell, which would be 1 off, is not looked at.
    error = expected_calibration_error(MULTILABEL, targets, outputs)
    assert error == pytest.approx((0.15 + 0.3) / 2, abs=1e-6)


def test_certain_and_right_is_0_and_certain_and_wrong_is_1():
    outputs = floats([[1, 0], [0, 1]])
    assert expected_calibration_error(BINARY, np.array([0, 1]), outputs) == 0
    assert expected_calibration_error(BINARY, np.array([1, 0]), outputs) == 1


def test_where_there_is_nothing_to_judge_there_is_none():
    targets = floats([[UNKNOWN, UNKNOWN]])
    assert expected_calibration_error(MULTILABEL, targets, floats([[0.5, 0.5]])) is None
    scores = Labels("regression", ("score",), ("score",))
    assert expected_calibration_error(scores, floats([1]), floats([[1]])) is None
    nothing = np.empty(0, np.int32), np.empty((0, 2), np.float32)
    assert expected_calibration_error(BINARY, *nothing) is None
