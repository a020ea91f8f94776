import numpy as np
import pytest

from kerasbert.deciding.rules import Counts, Rule, parse_rule
from kerasbert.errors import InputError

# Of 10 positives the first threshold finds 8 in 12 decisions, the second all in 40.
COUNTS = Counts(found=np.array([8.0, 10.0]), decided=np.array([12.0, 40.0]), positives=10.0)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("f1", Rule("f", beta=1)),
        ("F2", Rule("f", beta=2)),
        ("f0.5", Rule("f", beta=0.5)),
        ("recall>=0.9", Rule("recall", least=0.9)),
        ("precision >= .95", Rule("precision", least=0.95)),
        ("cost=FP:1,FN:5", Rule("cost", costs=(1, 5))),
        ("cost=fp:0.5, fn:2", Rule("cost", costs=(0.5, 2))),
    ],
)
def test_a_rule_is_read(text, rule):
    assert parse_rule(text) == rule


@pytest.mark.parametrize(
    "text", ["", "f", "f0", "f-1", "recall", "recall>0.9", "recall>=0", "precision>=1.5",
             "cost=FP:1", "cost=FP:0,FN:1", "accuracy", "f1f2", "recall>=0.9>=0.8"],
)  # fmt: skip
def test_what_is_no_rule_is_refused(text):
    with pytest.raises(InputError, match="must be written like one of f1, f2"):
        parse_rule(text)


@pytest.mark.parametrize(
    ("rule", "values"),
    [
        ("f1", [2 * 8 / (10 + 12), 2 * 10 / (10 + 40)]),
        ("f2", [5 * 8 / (4 * 10 + 12), 5 * 10 / (4 * 10 + 40)]),
        ("cost=FP:1,FN:5", [-(4 + 5 * 2), -30]),
        ("recall>=0.8", [8 / 12, 10 / 40]),
        ("recall>=0.9", [0.8 - 2, 10 / 40]),
        ("precision>=0.5", [0.8, 0.25 - 2]),
    ],
)
def test_values_by_hand(rule, values):
    np.testing.assert_allclose(parse_rule(rule).values(COUNTS), values)


def test_a_precision_of_few_decisions_is_chance():
    few = Counts(found=np.array([9.0]), decided=np.array([9.0]), positives=20.0)
    assert parse_rule("precision>=0.5").values(few) < 0
    enough = Counts(found=np.array([10.0]), decided=np.array([10.0]), positives=20.0)
    assert parse_rule("precision>=0.5").values(enough) == 0.5
