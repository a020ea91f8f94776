import pytest

from kerasbert.errors import InputError
from kerasbert.reporting.comparing import compare
from kerasbert.reporting.versus import verdict
from tests.reporting.making import binary, multilabel, random_rows, scores


def test_mcnemar_by_hand():
    # The first alone is right in six rows, the second alone in one; both are right in three.
    truth = [0] * 10
    first = binary(truth, [0.1] * 9 + [0.9])
    second = binary(truth, [0.9] * 6 + [0.1] * 4)
    found = compare(first, second)
    # Of seven tosses of a coin, one or none on either side: 2 * (1 + 7) / 2 ** 7.
    assert found["mcnemar"] == {"only_first": 6, "only_second": 1, "p_value": pytest.approx(1 / 8)}
    accuracy = found["numbers"]["accuracy"]
    assert (accuracy["first"], accuracy["second"]) == pytest.approx((0.9, 0.4))
    assert accuracy["difference"] == pytest.approx(-0.5)
    lower, upper = accuracy["interval"]
    assert -1 <= lower < -0.5 < upper <= 0.1
    assert "right in 6 rows, the other alone in 1" in verdict(found)


def test_a_model_against_itself_differs_in_nothing():
    judged = random_rows("multiclass", 50)
    found = compare(judged, judged)
    assert found["mcnemar"] == {"only_first": 0, "only_second": 0, "p_value": 1.0}
    for pair in found["numbers"].values():
        assert (pair["difference"], pair["interval"]) == (0, [0, 0])


def test_multilabel_rows_are_right_in_all_known_labels():
    truth = [[1, None], [1, 0]]
    first = multilabel(truth, [[0.9, 0.9], [0.9, 0.9]], ("x", "y"))
    second = multilabel(truth, [[0.1, 0.1], [0.9, 0.1]], ("x", "y"))
    test = compare(first, second)["mcnemar"]
    assert (test["only_first"], test["only_second"]) == (1, 1)


def test_scores_have_no_right_and_wrong():
    found = compare(scores([1, 2, 3], [1, 2, 4]), scores([1, 2, 3], [1, 2, 3]))
    assert found["mcnemar"] is None
    assert found["numbers"]["mse"]["difference"] == pytest.approx(-1 / 3)


def test_other_labels_are_refused():
    first, second = binary([0, 1], [0.1, 0.9]), binary([0, 1], [0.1, 0.9], ("civil", "rood"))
    with pytest.raises(InputError, match="cannot be compared: they differ in names"):
        compare(first, second)
    with pytest.raises(InputError, match="differ in task"):
        compare(first, scores([0, 1], [0, 1]))
