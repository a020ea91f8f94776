import numpy as np
import pytest

from kerasbert.data.calibration import Calibration
from kerasbert.data.labels import Labels
from kerasbert.deciding.calibrating import find_calibration, isotonic_shortfall
from kerasbert.deciding.calibration_error import expected_calibration_error
from kerasbert.errors import InputError
from kerasbert.tasks import UNKNOWN

BINARY = Labels("binary", ("label",), ("civil", "rude"), (0.5, 0.5))
MULTICLASS = Labels("multiclass", ("label",), ("a", "b", "c"))
MULTILABEL = Labels("multilabel", ("a", "b"), ("a", "b"), (0.5, 0.5))


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def softmax(logits):
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


def data_of(labels, num_rows=4000, temperature=2.5, seed=0):
    """Targets, and probabilities of a model that is surer than it should be by a temperature."""
    random = np.random.default_rng(seed)
    logits = random.normal(-0.5, 1.5, (num_rows, len(labels.names)))
    if labels.task == "multilabel":
        targets = (random.random(logits.shape) < sigmoid(logits)).astype(np.float32)
        return targets, sigmoid(logits * temperature).astype(np.float32)
    cumulated = softmax(logits).cumsum(axis=1)
    targets = (cumulated < random.random((num_rows, 1))).sum(axis=1).clip(max=logits.shape[1] - 1)
    return targets.astype(np.int32), softmax(logits * temperature).astype(np.float32)


@pytest.mark.parametrize("labels", [BINARY, MULTICLASS, MULTILABEL], ids=lambda each: each.task)
def test_the_temperature_that_was_put_in_is_found(labels):
    targets, outputs = data_of(labels)
    calibration = find_calibration(labels, targets, outputs, "temperature")
    np.testing.assert_allclose(calibration.temperatures, 2.5, rtol=0.12)
    corrected = calibration(outputs, is_softmax=labels.task != "multilabel")
    before = expected_calibration_error(labels, targets, outputs)
    after = expected_calibration_error(labels, targets, corrected)
    assert after < 0.03 < 0.1 < before


@pytest.mark.parametrize("labels", [BINARY, MULTICLASS, MULTILABEL], ids=lambda each: each.task)
def test_isotonic_mends_what_no_temperature_can(labels):
    targets, outputs = data_of(labels, 8000)
    bent = outputs**3  # a curve that is no temperature
    if labels.task != "multilabel":
        bent = bent / bent.sum(axis=1, keepdims=True) * 0.8 + 0.2 * np.eye(len(labels.names))[0]
    calibration = find_calibration(labels, targets, bent, "isotonic")
    held_out, outputs = data_of(labels, 8000, seed=1)
    bent = outputs**3
    if labels.task != "multilabel":
        bent = bent / bent.sum(axis=1, keepdims=True) * 0.8 + 0.2 * np.eye(len(labels.names))[0]
    corrected = calibration(bent, is_softmax=labels.task != "multilabel")
    assert expected_calibration_error(labels, held_out, corrected) < 0.035
    assert expected_calibration_error(labels, held_out, bent) > 0.05
    assert 0 < corrected.min() < corrected.max() < 1
    if labels.task != "multilabel":
        np.testing.assert_allclose(corrected.sum(axis=1), 1, atol=1e-5)


def test_a_temperature_by_hand():
    # Halving the logits of 0.9 gives a sigmoid of ln(9) / 2 = ln(3): 3 / 4.
    halved = Calibration("temperature", (2.0,))
    np.testing.assert_allclose(halved(np.array([[0.1, 0.9]]), True), [[0.25, 0.75]], rtol=1e-6)
    np.testing.assert_allclose(halved(np.array([[0.9]]), False), [[0.75]], rtol=1e-6)


@pytest.mark.parametrize("is_softmax", [True, False])
def test_sure_probabilities_stay_numbers(is_softmax):
    sure = np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)
    for temperature in (0.05, 1.0, 20.0):
        found = Calibration("temperature", (temperature,))(sure, is_softmax)
        assert np.isfinite(found).all()
        assert ((found >= 0) & (found <= 1)).all()
        assert (found.argmax(axis=1) == sure.argmax(axis=1)).all()


def test_a_temperature_changes_no_order():
    targets, outputs = data_of(MULTICLASS)
    corrected = find_calibration(MULTICLASS, targets, outputs, "temperature")(outputs, True)
    np.testing.assert_array_equal(corrected.argmax(axis=1), outputs.argmax(axis=1))


def test_a_label_with_few_examples_shares_a_temperature():
    targets, outputs = data_of(MULTILABEL)
    rare = np.flatnonzero(targets[:, 1] == 1)[6:]
    targets[rare, 1] = UNKNOWN
    own, shared = find_calibration(MULTILABEL, targets, outputs, "temperature").temperatures
    known = targets != UNKNOWN
    alone = Labels("multilabel", ("all",), ("all",), (0.5,))
    (together,) = find_calibration(
        alone, targets[known][:, None], outputs[known][:, None], "temperature"
    ).temperatures
    assert shared == pytest.approx(together, rel=1e-3)
    assert own != pytest.approx(shared, rel=1e-3)


def test_isotonic_needs_rows():
    targets, outputs = data_of(BINARY, 999)
    assert "needs 1,000 rows" in isotonic_shortfall(BINARY, targets)
    assert "Received: 999 rows" in isotonic_shortfall(BINARY, targets)
    assert find_calibration(BINARY, targets, outputs, "auto").method == "temperature"
    targets, outputs = data_of(BINARY, 1000)
    assert find_calibration(BINARY, targets, outputs, "auto").method == "isotonic"
    targets[np.flatnonzero(targets == 1)[99:]] = 0
    assert "and 99 of the rarer kind for 'rude'" in isotonic_shortfall(BINARY, targets)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "platt"}, "`method` must be one of 'temperature', 'isotonic'"),
        ({"method": "temperature"}, "`temperatures` must be numbers from"),
        ({"method": "temperature", "temperatures": (1e-9,)}, "`temperatures` must be numbers from"),
        ({"method": "isotonic"}, "`curves` must be pairs of rising lists"),
        ({"method": "isotonic", "curves": (((0.0, 1.0), (0.5, 0.2)),)}, "`curves` must be pairs"),
        ({"method": "isotonic", "curves": (((0.0, 1.0), (0.5,)),)}, "`curves` must be pairs"),
        ({"method": "isotonic", "curves": (((0.0,), (2.0,)),)}, "`curves` must be pairs"),
    ],
)
def test_what_is_no_calibration_is_refused(settings, message):
    with pytest.raises(InputError, match=message):
        Calibration(**settings)


@pytest.mark.parametrize("labels", [BINARY, MULTICLASS, MULTILABEL], ids=lambda each: each.task)
def test_labels_refuse_what_does_not_fit_them(labels):
    with pytest.raises(InputError, match="`calibration` must have"):
        Labels(**vars(labels) | {"calibration": Calibration("temperature", (1.0,) * 7)})
