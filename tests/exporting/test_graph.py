import numpy as np
import pytest

from kerasbert.data.calibration import Calibration
from kerasbert.exporting.graph import Calibrated, exported_model
from tests.exporting.making import toy_run

CURVES = (
    ((0.05, 0.3, 0.3000001, 0.9), (0.01, 0.2, 0.6, 0.99)),
    ((0.5,), (0.4,)),
    ((0.2, 0.7), (0.0, 1.0)),
)


@pytest.mark.parametrize(
    ("calibration", "is_softmax", "columns"),
    [
        (Calibration("temperature", (2.5,)), True, 3),
        (Calibration("temperature", (0.4, 1.0, 3.0)), False, 3),
        (Calibration("isotonic", curves=CURVES[:1]), True, 2),
        (Calibration("isotonic", curves=CURVES), True, 3),
        (Calibration("isotonic", curves=CURVES), False, 3),
    ],
)
def test_a_calibration_in_the_graph_is_the_one_of_the_labels(calibration, is_softmax, columns):
    random = np.random.default_rng(0)
    logits = random.normal(0, 6, (500, columns))
    outputs = 1 / (1 + np.exp(-logits))
    if is_softmax:
        outputs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    # Both ends, and where a curve begins; not where it jumps, within a rounding of float32.
    outputs[:4, 0] = (0, 1, 0.29, 0.05)
    outputs = outputs.astype(np.float32)
    found = np.asarray(Calibrated(calibration, is_softmax)(outputs))
    np.testing.assert_allclose(found, calibration(outputs, is_softmax), atol=2e-6)


@pytest.mark.parametrize("is_softmax", [True, False])
@pytest.mark.parametrize("temperature", [0.2, 0.01])
def test_a_temperature_near_0_is_exact_where_many_labels_are_nearly_equal(temperature, is_softmax):
    random = np.random.default_rng(0)
    outputs = random.uniform(0.9, 1.1, (20, 100))
    outputs = (outputs / outputs.sum(axis=1, keepdims=True)).astype(np.float32)
    calibration = Calibration("temperature", (temperature,) * (1 if is_softmax else 100))
    found = np.asarray(Calibrated(calibration, is_softmax)(outputs))
    np.testing.assert_allclose(found, calibration(outputs, is_softmax), atol=2e-5)


def test_lora_is_added_to_the_kernels():
    run = toy_run(lora_rank=2)
    plain = exported_model(run)
    assert plain.count_params() < run.model.count_params()
    batch = {name: np.ones((2, 5), np.int32) for name in run.input_names}
    np.testing.assert_allclose(plain(batch)["probabilities"], run.forward(batch), atol=1e-6)


def test_scores_are_called_scores():
    run = toy_run("regression", ("grade",), target_mean=3.0, target_scale=2.0)
    assert list(exported_model(run).output) == ["scores"]
    calibrated = toy_run(calibration=Calibration("temperature", (2.0,)))
    assert list(exported_model(calibrated).output) == ["probabilities", "uncalibrated"]
