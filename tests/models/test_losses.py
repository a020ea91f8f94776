import numpy as np
import pytest

from kerasbert.models.losses import MaskedBinaryCrossentropy, build_loss


def test_unknown_cells_add_nothing():
    truth = np.array([[1.0, 0.0], [-1.0, 1.0]], np.float32)
    outputs = np.array([[0.5, 0.25], [0.9, 0.5]], np.float32)
    expected = -(np.log(0.5) + np.log(0.75) + np.log(0.5)) / 3
    assert float(MaskedBinaryCrossentropy()(truth, outputs)) == pytest.approx(expected, rel=1e-5)


def test_all_unknown_is_zero():
    loss = MaskedBinaryCrossentropy()(np.full((2, 2), -1.0), np.full((2, 2), 0.3))
    assert float(loss) == 0.0


def test_losses_of_the_other_tasks():
    outputs = np.array([[0.25, 0.75]], np.float32)
    assert float(build_loss("binary")(np.array([1]), outputs)) == pytest.approx(-np.log(0.75))
    assert float(build_loss("multiclass")(np.array([0]), outputs)) == pytest.approx(-np.log(0.25))
    scores = np.array([[1.0], [4.0]], np.float32)
    assert float(build_loss("regression")(np.array([2.0, 2.0]), scores)) == pytest.approx(2.5)
