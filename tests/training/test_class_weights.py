import numpy as np
import pytest

from kerasbert.config_train import ObjectiveConfig
from kerasbert.data.labels import Labels
from kerasbert.errors import InputError
from kerasbert.tasks import UNKNOWN
from kerasbert.training.class_weights import class_weights

BINARY = Labels("binary", ("label",), ("civil", "rude"), (0.5, 0.5))
COLOURS = Labels("multiclass", ("label",), ("red", "green", "blue"))
TAGS = Labels("multilabel", ("rude", "kind", "odd"), ("rude", "kind", "odd"), (0.5,) * 3)
SCORES = Labels("regression", ("label",), ("label",))

CELLS = np.array(
    [[1, 0, UNKNOWN], [0, 0, UNKNOWN], [0, UNKNOWN, UNKNOWN], [0, 0, UNKNOWN]], np.float32
)


def weights(given, labels, targets):
    return class_weights(ObjectiveConfig(class_weight=given), labels, np.asarray(targets))


def message_of(*args):
    with pytest.raises(InputError) as caught:
        weights(*args)
    return str(caught.value)


@pytest.mark.parametrize(("labels", "targets"), [(BINARY, [0, 1]), (TAGS, CELLS), (SCORES, [0.5])])
def test_none_is_none(labels, targets):
    assert weights("none", labels, targets) is None


def test_balanced_by_hand():
    # 6 examples of 2 classes: 6 / (2 * 4) and 6 / (2 * 2).
    np.testing.assert_allclose(weights("balanced", BINARY, [0, 0, 0, 1, 0, 1]), [0.75, 1.5])
    np.testing.assert_allclose(
        weights("balanced", COLOURS, [0] * 6 + [1] * 2 + [2]), [0.5, 1.5, 3.0]
    )


def test_balanced_each_class_counts_as_much_and_an_example_1_in_the_mean():
    targets = np.random.default_rng(0).choice(3, 500, p=[0.7, 0.25, 0.05])
    found = weights("balanced", COLOURS, targets)
    assert found.shape == (3,)
    assert found[targets].mean() == pytest.approx(1)
    sums = [found[targets[targets == number]].sum() for number in range(3)]
    np.testing.assert_allclose(sums, 500 / 3)


def test_balanced_with_a_class_that_no_example_has():
    found = weights("balanced", COLOURS, [0, 0, 0, 2])
    np.testing.assert_allclose(found, [4 / 6, 1, 2])
    assert found[[0, 0, 0, 2]].mean() == pytest.approx(1)


def test_balanced_of_labels_goes_by_label_and_by_what_is_known():
    found = weights("balanced", TAGS, CELLS)
    assert found.shape == (3, 2)
    # rude: one of 4, so 4 / (2 * 3) and 4 / 2. kind has zeros alone, odd nothing at all.
    np.testing.assert_allclose(found, [[2 / 3, 2], [1, 1], [1, 1]])
    for label in range(2):
        known = CELLS[CELLS[:, label] != UNKNOWN, label].astype(int)
        assert found[label, known].mean() == pytest.approx(1)


def test_weights_by_name_are_1_where_they_are_silent():
    np.testing.assert_array_equal(weights('{"rude": 3}', BINARY, [0, 1]), [1, 3])
    np.testing.assert_array_equal(
        weights('{"blue": 0.5, "red": 0}', COLOURS, [0, 1, 2]), [0, 1, 0.5]
    )
    np.testing.assert_array_equal(weights("{}", COLOURS, [0, 1, 2]), [1, 1, 1])


def test_weights_by_name_of_labels_are_those_of_their_positives():
    np.testing.assert_array_equal(
        weights('{"odd": 4, "rude": 0}', TAGS, CELLS), [[1, 0], [1, 1], [1, 4]]
    )


def test_an_unknown_name_is_answered_with_the_nearest():
    assert message_of('{"rued": 3}', BINARY, [0, 1]) == (
        "--class-weight names 'rued', which is no label. Did you mean 'rude'? "
        "Expected some of 'civil', 'rude'."
    )
    assert message_of('{"zzz": 3}', TAGS, CELLS) == (
        "--class-weight names 'zzz', which is no label. Expected some of 'rude', 'kind', 'odd'."
    )


def test_weights_that_are_all_0_are_refused():
    assert message_of('{"civil": 0, "rude": 0.0}', BINARY, [0, 1]) == (
        "--class-weight gives every class the weight 0. Expected one above it."
    )


@pytest.mark.parametrize("given", ["balanced", '{"label": 2}'])
def test_regression_has_no_classes(given):
    assert message_of(given, SCORES, [0.5, 1.0]) == (
        "Regression has no classes to weigh. Leave --class-weight out."
    )
