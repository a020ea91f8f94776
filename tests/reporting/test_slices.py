import numpy as np
import pytest

from kerasbert.reporting.slices import range_groups, slice_by
from tests.reporting.making import binary, random_rows, scores

TRUTH = [0, 0, 0, 1, 1, 0, 1, 1]
SECOND = [0.1, 0.9, 0.2, 0.8, 0.1, 0.1, 0.9, 0.7]


def values(slices, key):
    return {part["value"]: part["numbers"][key]["value"] for part in slices}


def test_numbers_of_two_values_by_hand():
    found = slice_by(binary(TRUTH, SECOND), ["x"] * 5 + ["y"] * 3)
    assert [(part["value"], part["rows"], part["is_small"]) for part in found] == [
        ("x", 5, True),
        ("y", 3, True),
    ]
    assert values(found, "accuracy") == {"x": pytest.approx(3 / 5), "y": 1}
    assert values(found, "false_positive_rate") == {"x": pytest.approx(1 / 3), "y": 0}
    assert values(found, "false_negative_rate") == {"x": pytest.approx(1 / 2), "y": 0}
    lower, upper = found[0]["numbers"]["accuracy"]["interval"]
    assert 0 <= lower < 3 / 5 < upper <= 1


def test_what_has_no_example_has_no_rate_and_no_part_in_the_mean():
    (part,) = slice_by(binary([0, 0], [0.1, 0.2]), ["x", "x"])
    assert part["numbers"]["false_negative_rate"] == {"value": None, "interval": None}
    assert part["numbers"]["macro_f1"]["value"] == 1


def test_many_numbers_are_cut_into_ranges():
    judged = random_rows("binary", 100, 2)
    found = slice_by(judged, [str(number / 2) for number in range(100)])
    assert [part["rows"] for part in found] == [20] * 5
    assert found[0]["value"] == "0 to 9.5"
    assert found[-1]["value"] == "40 to 49.5"


def test_equal_numbers_stay_together():
    groups = range_groups(np.array([1, 1, 1, 1, 1, 1, 1, 2, 3, np.nan]), 5)
    assert [(name, rows.tolist()) for name, rows in groups] == [
        ("1", [0, 1, 2, 3, 4, 5, 6]),
        ("2", [7]),
        ("3", [8]),
    ]


def test_an_empty_cell_among_numbers_is_a_value_of_its_own():
    found = slice_by(random_rows("binary", 50, 2), ["", *map(str, range(49))])
    assert (found[-1]["value"], found[-1]["rows"]) == ("(empty)", 1)


def test_the_rarest_of_many_values_are_put_together():
    cells = [f"v{number}" for number in range(12) for _ in range(3)] + ["a", "b"]
    found = slice_by(random_rows("binary", len(cells), 2), cells)
    assert len(found) == 13
    assert (found[-1]["value"], found[-1]["rows"]) == ("2 other values", 2)
    assert sum(part["rows"] for part in found) == len(cells)


def test_scores_have_a_correlation_and_an_error():
    (part,) = slice_by(scores([1, 2, 3], [1, 2, 5]), ["x"] * 3)
    assert part["numbers"]["mse"]["value"] == pytest.approx(4 / 3)
    assert set(part["numbers"]) == {"pearson", "mse"}
