import json

import keras
import numpy as np
import pytest

from kerasbert.config_train import ObjectiveConfig
from kerasbert.errors import InputError
from kerasbert.models.losses import ClassLoss, LabelLoss, accuracy_metric, build_loss

LOG = np.log
# Of two examples over three classes.
CLASSES = np.array([1, 0], np.int32)
OUTPUTS = np.array([[0.25, 0.5, 0.25], [0.125, 0.125, 0.75]], np.float32)
# Of two examples and two labels; one cell is unknown.
CELLS = np.array([[1.0, 0.0], [-1.0, 1.0]], np.float32)
CELL_OUTPUTS = np.array([[0.5, 0.25], [0.9, 0.5]], np.float32)


def value(loss, truth, outputs, weights=None):
    return float(loss(truth, outputs, sample_weight=weights))


# Classes


def test_cross_entropy_by_hand():
    expected = -(LOG(0.5) + LOG(0.125)) / 2
    assert value(ClassLoss(), CLASSES, OUTPUTS) == pytest.approx(expected)
    assert value(ClassLoss(), CLASSES[:, None], OUTPUTS) == pytest.approx(expected)


def test_class_weights_by_hand():
    loss = ClassLoss(class_weights=np.array([3.0, 0.5, 100.0]))
    expected = -(0.5 * LOG(0.5) + 3 * LOG(0.125)) / 2
    assert value(loss, CLASSES, OUTPUTS) == pytest.approx(expected)


def test_focal_by_hand():
    expected = -(0.5**2 * LOG(0.5) + 0.875**2 * LOG(0.125)) / 2
    assert value(ClassLoss(gamma=2.0), CLASSES, OUTPUTS) == pytest.approx(expected)


def test_label_smoothing_by_hand():
    # 0.3 over three classes: 0.8 for the right one, 0.1 for each of the others.
    first = 0.8 * LOG(0.5) + 0.1 * LOG(0.25) + 0.1 * LOG(0.25)
    second = 0.8 * LOG(0.125) + 0.1 * LOG(0.125) + 0.1 * LOG(0.75)
    loss = value(ClassLoss(label_smoothing=0.3), CLASSES, OUTPUTS)
    assert loss == pytest.approx(-(first + second) / 2)


def test_all_of_them_together():
    loss = ClassLoss(class_weights=[1.0, 4.0, 1.0], gamma=1.0, label_smoothing=0.3)
    # The first example: each class's share, times what its own probability lacks.
    expected = -4 * (0.8 * 0.5 * LOG(0.5) + 2 * 0.1 * 0.75 * LOG(0.25))
    assert value(loss, CLASSES[:1], OUTPUTS[:1]) == pytest.approx(expected)


def test_examples_can_be_weighed():
    expected = -(2 * LOG(0.5) + 0.5 * LOG(0.125)) / 2
    assert value(ClassLoss(), CLASSES, OUTPUTS, np.array([2, 0.5])) == pytest.approx(expected)


# Labels


def test_unknown_cells_add_nothing():
    expected = -(LOG(0.5) + LOG(0.75) + LOG(0.5)) / 3
    assert value(LabelLoss(), CELLS, CELL_OUTPUTS) == pytest.approx(expected, rel=1e-5)
    other = CELL_OUTPUTS.copy()
    other[1, 0] = 0.01  # where the truth is unknown
    assert value(LabelLoss(), CELLS, other) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    "loss", [LabelLoss(), LabelLoss([[1, 2]] * 2), LabelLoss(gamma=2.0, label_smoothing=0.1)]
)
def test_all_unknown_is_zero(loss):
    assert value(loss, np.full((2, 2), -1.0), np.full((2, 2), 0.3)) == 0.0


def test_label_weights_by_hand():
    loss = LabelLoss(label_weights=np.array([[1.0, 3.0], [2.0, 5.0]]))
    expected = -(3 * LOG(0.5) + 2 * LOG(0.75) + 5 * LOG(0.5)) / 3
    assert value(loss, CELLS, CELL_OUTPUTS) == pytest.approx(expected, rel=1e-5)


def test_focal_of_labels_by_hand():
    # What the probability of the truth lacks: 0.5, 0.25 and 0.5.
    expected = -(0.5**2 * LOG(0.5) + 0.25**2 * LOG(0.75) + 0.5**2 * LOG(0.5)) / 3
    assert value(LabelLoss(gamma=2.0), CELLS, CELL_OUTPUTS) == pytest.approx(expected, rel=1e-5)


def test_label_smoothing_of_labels_by_hand():
    # 0.2 over 0 and 1: 0.9 for the truth and 0.1 for the other.
    expected = -(LOG(0.5) + (0.9 * LOG(0.75) + 0.1 * LOG(0.25)) + LOG(0.5)) / 3
    loss = LabelLoss(label_smoothing=0.2)
    assert value(loss, CELLS, CELL_OUTPUTS) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("num_labels", [1, 2, 3])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_examples_with_labels_can_be_weighed(count, num_labels):
    random = np.random.default_rng(0)
    truth = random.integers(-1, 2, (count, num_labels)).astype(np.float32)
    truth[0, 0] = 1.0
    outputs = random.uniform(0.1, 0.9, truth.shape).astype(np.float32)
    weights = 1 + np.arange(count, dtype=np.float32)
    known = truth != -1
    cells = -LOG(np.where(truth == 1, outputs, 1 - outputs)) * known
    expected = (cells * weights[:, None]).sum() / known.sum()
    assert value(LabelLoss(), truth, outputs, weights) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
@pytest.mark.parametrize(
    ("kind", "truth", "outputs"),
    [(ClassLoss, CLASSES, OUTPUTS), (LabelLoss, CELLS, CELL_OUTPUTS)],
)
def test_almost_no_focus_is_almost_cross_entropy(kind, truth, outputs, label_smoothing):
    plain = value(kind(label_smoothing=label_smoothing), truth, outputs)
    none = value(kind(gamma=0.0, label_smoothing=label_smoothing), truth, outputs)
    almost = value(kind(gamma=1e-6, label_smoothing=label_smoothing), truth, outputs)
    assert none == plain
    assert almost == pytest.approx(plain, rel=1e-4)


@pytest.mark.parametrize(
    "loss",
    [
        ClassLoss(),
        ClassLoss(np.array([1.0, 2.0, 3.0]), gamma=1.5, label_smoothing=0.1),
        LabelLoss(),
        LabelLoss(np.array([[1.0, 2.0], [3.0, 4.0]]), gamma=1.5, label_smoothing=0.1),
    ],
)
def test_serialised_there_and_back(loss):
    # As JSON, which knows no arrays.
    values = json.loads(json.dumps(keras.saving.serialize_keras_object(loss)))
    again = keras.saving.deserialize_keras_object(values)
    assert type(again) is type(loss)
    assert again.get_config() == loss.get_config()
    data = (CLASSES, OUTPUTS) if isinstance(loss, ClassLoss) else (CELLS, CELL_OUTPUTS)
    assert value(again, *data) == value(loss, *data)


# The loss of a task


def test_losses_of_the_tasks():
    outputs = np.array([[0.25, 0.75]], np.float32)
    assert value(build_loss("binary"), np.array([1]), outputs) == pytest.approx(-LOG(0.75))
    assert value(build_loss("multiclass"), np.array([0]), outputs) == pytest.approx(-LOG(0.25))
    expected = -(LOG(0.25) + LOG(0.25)) / 2
    cells = np.array([[1.0, 0.0]], np.float32)
    assert value(build_loss("multilabel"), cells, outputs) == pytest.approx(expected, rel=1e-5)
    scores = np.array([[1.0], [4.0]], np.float32)
    assert value(build_loss("regression"), np.array([2.0, 2.0]), scores) == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("task", "kind"), [("binary", ClassLoss), ("multiclass", ClassLoss), ("multilabel", LabelLoss)]
)
def test_an_objective_is_heard(task, kind):
    objective = ObjectiveConfig(loss="focal", focal_gamma=3.0, label_smoothing=0.1)
    loss = build_loss(task, objective, np.ones((2, 2)))
    assert type(loss) is kind
    assert (loss.gamma, loss.label_smoothing) == (3.0, 0.1)
    plain = build_loss(task, ObjectiveConfig(focal_gamma=3.0))
    assert (plain.gamma, plain.label_smoothing) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("objective", "weights"),
    [
        (ObjectiveConfig(loss="focal"), None),
        (ObjectiveConfig(label_smoothing=0.1), None),
        (ObjectiveConfig(), np.ones(1)),
    ],
)
def test_regression_refuses_what_only_classes_have(objective, weights):
    with pytest.raises(InputError) as caught:
        build_loss("regression", objective, weights)
    assert str(caught.value) == (
        "Regression has no classes, so it takes neither --loss focal nor --label-smoothing nor "
        "--class-weight. Leave them out."
    )


# Accuracy


def accuracy(task, *batches):
    metric = accuracy_metric(task)
    assert metric.name == "accuracy"
    for truth, outputs in batches:
        metric.update_state(np.array(truth, np.float32), np.array(outputs, np.float32))
    return float(metric.result())


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_accuracy_of_classes(task):
    first = ([1, 0], [[0.4, 0.6], [0.4, 0.6]])
    second = ([0], [[0.6, 0.4]])
    assert accuracy(task, first, second) == pytest.approx(2 / 3)


def test_accuracy_of_labels_is_that_of_the_known_cells():
    # Right, wrong; unknown, right; unknown, unknown.
    truth, outputs = [[1, 0], [-1, 1], [-1, -1]], [[0.5, 0.6], [0.9, 0.7], [0.9, 0.2]]
    assert accuracy("multilabel", (truth, outputs)) == pytest.approx(2 / 3)
    one_by_one = [([row], [output]) for row, output in zip(truth, outputs, strict=True)]
    assert accuracy("multilabel", *one_by_one) == pytest.approx(2 / 3)


def test_accuracy_of_unknown_cells_alone_is_0():
    assert accuracy("multilabel", ([[-1, -1]], [[0.1, 0.9]])) == 0
