import numpy as np
import pytest

from kerasbert.data.labels import Labels
from kerasbert.exporting.using import _DECISIONS


@pytest.mark.parametrize(
    ("task", "rest"),
    [
        ("binary", {"thresholds": (0.1, 0.9)}),
        ("multilabel", {"thresholds": (0.9, 1.0)}),
        ("multiclass", {"thresholds": (0.1, 0.9)}),
        ("multiclass", {"unsure_below": 0.9}),
        ("regression", {}),
    ],
)
def test_the_script_decides_as_labels_do_where_a_probability_is_a_threshold(task, rest):
    """0.9 of float32 is less than 0.9."""
    labels = Labels(task, ("a",), ("a",) if task == "regression" else ("a", "b"), **rest)
    found = np.array([[0.1, 0.9], [0.9, 0.1], [1, 1], [0.05, 0.95], [0.2, 0.8]], np.float32)
    found = found[:, : len(labels.names)]
    values = {"names": labels.names, "thresholds": labels.thresholds}
    names = {"np": np, "found": found, "labels": values | {"unsure_below": labels.unsure_below}}
    exec(_DECISIONS[task], names)
    assert names["decisions"] == labels.decode(found)
