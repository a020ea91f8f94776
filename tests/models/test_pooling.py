import numpy as np
import pytest

from kerasbert.models.pooling import Pooling

HIDDEN = np.array([[[1.0, -5.0], [3.0, -7.0], [100.0, 100.0]]], np.float32)
MASK = np.array([[1, 1, 0]], np.int32)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [("cls", [1, -5]), ("mean", [2, -6]), ("max", [3, -5]), ("last", [3, -7])],
)
def test_padding_plays_no_part(mode, expected):
    np.testing.assert_allclose(Pooling(mode)(HIDDEN, MASK), [expected])


def test_pools_in_float32_whatever_comes_in():
    pooled = Pooling("mean")(HIDDEN.astype("float16"), MASK)
    assert pooled.dtype.name == "float32"


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="`mode` must be one of"):
        Pooling("avg")
