import dataclasses

import numpy as np
import pytest
from sklearn.metrics import f1_score

from kerasbert.config_decide import DecisionConfig
from kerasbert.data.labels import Labels
from kerasbert.deciding.choosing import better_by, check_decision, choose_decision
from kerasbert.deciding.table import decision_lines
from kerasbert.errors import InputError
from kerasbert.judged import Judged
from tests.data.making import make_examples
from tests.deciding.test_calibrating import BINARY, MULTICLASS, MULTILABEL, data_of

REGRESSION = Labels("regression", ("label",), ("label",))


def judge(labels, num_rows=400, temperature=2.5, seed=0):
    targets, raw = data_of(labels, num_rows, temperature, seed)
    if labels.task == "multilabel":
        columns = {
            name: [str(int(value)) for value in targets[:, number]]
            for number, name in enumerate(labels.names)
        }
    else:
        columns = {"label": [labels.names[number] for number in targets]}
    return Judged(labels, make_examples(**columns), raw)


@pytest.mark.parametrize("labels", [BINARY, MULTICLASS, MULTILABEL], ids=lambda each: each.task)
@pytest.mark.parametrize("calibrate", ["none", "temperature"])
def test_what_is_chosen_is_kept_with_the_labels(labels, calibrate):
    judged = judge(labels)
    chosen = choose_decision(judged, DecisionConfig(decide="f1", calibrate=calibrate))
    assert chosen.thresholds != labels.thresholds
    assert (chosen.calibration is None) == (calibrate == "none")
    assert chosen.chosen.rows == 400
    assert chosen.chosen.source == "comments.csv"
    before, after = chosen.chosen.calibration_error
    assert (before == after) == (calibrate == "none")
    assert after <= before
    assert "chosen on 400 rows of comments.csv" in next(decision_lines(chosen))


def test_asking_for_nothing_is_as_it_was_trained():
    judged = judge(MULTILABEL)
    decided = choose_decision(judged, DecisionConfig(decide="f2", calibrate="temperature"))
    again = choose_decision(judged.decided_by(decided), DecisionConfig())
    assert again == MULTILABEL


def test_what_was_chosen_before_plays_no_part():
    judged = judge(MULTILABEL)
    config = DecisionConfig(decide="f1", calibrate="temperature")
    once = choose_decision(judged, config)
    other = choose_decision(judged, DecisionConfig(decide="recall>=0.9"))
    assert choose_decision(judged.decided_by(other), config) == once


def test_the_numbers_told_are_of_rows_that_did_not_choose():
    # Labels that have nothing to do with the probabilities: whatever is chosen on them is chance.
    random = np.random.default_rng(0)
    num_rows = 60
    cells = [MULTICLASS.names[number] for number in random.integers(3, size=num_rows)]
    raw = random.dirichlet([1, 1, 1], num_rows).astype(np.float32)
    judged = Judged(MULTICLASS, make_examples(label=cells), raw)
    labels = choose_decision(judged, DecisionConfig(decide="f1"))
    on_its_own_rows = judged.decided_by(labels).report["macro_f1"]
    assert labels.chosen.macro_f1[0] == pytest.approx(judged.report["macro_f1"])
    assert labels.chosen.macro_f1[1] < on_its_own_rows


def test_cross_fitted_numbers_are_near_those_of_new_rows():
    labels = choose_decision(judge(MULTICLASS, 3000), DecisionConfig(decide="f1"))
    new = judge(MULTICLASS, 3000, seed=1).decided_by(labels)
    assert labels.chosen.macro_f1[1] == pytest.approx(new.report["macro_f1"], abs=0.02)


def test_dont_know():
    judged = judge(MULTICLASS)
    labels = choose_decision(judged, DecisionConfig(unsure_below=0.7))
    decided = judged.decided_by(labels)
    is_unsure = judged.raw.max(axis=1) < 0.7
    assert 0 < is_unsure.sum() < 400
    np.testing.assert_array_equal(decided.decisions == -1, is_unsure)
    names = labels.decode(decided.outputs)
    assert [name is None for name in names] == is_unsure.tolist()
    assert decided.report["unsure"] == pytest.approx(is_unsure.mean())
    right = decided.decisions == decided.targets
    assert decided.report["accuracy"] == pytest.approx(right.mean())
    assert decided.report["decided_accuracy"] == pytest.approx(right[~is_unsure].mean())
    assert decided.report["decided_accuracy"] > judged.report["accuracy"]


@pytest.mark.parametrize(
    ("labels", "config", "message"),
    [
        (REGRESSION, DecisionConfig(decide="f1"), "must be left out for scores"),
        (REGRESSION, DecisionConfig(calibrate="temperature"), "must be left out for scores"),
        (MULTICLASS, DecisionConfig(decide="f1", unsure_below=0.5), "Leave one of them out"),
        (BINARY, DecisionConfig(unsure_below=0.5), "`unsure_below` is for more than two classes"),
        (MULTICLASS, DecisionConfig(decide="recall>=0.9"), "`decide` must be f1, f2 or another"),
        (MULTILABEL, DecisionConfig(calibrate="isotonic"), "Isotonic calibration needs 1,000 rows"),
    ],
)
def test_what_cannot_be_chosen_is_refused_before_training(labels, config, message):
    targets = np.zeros((50, 2) if labels.task == "multilabel" else 50, np.int32)
    with pytest.raises(InputError, match=message):
        check_decision(labels, targets, config)
    check_decision(labels, targets, DecisionConfig())


def test_isotonic_is_cross_fitted_as_isotonic():
    judged = judge(BINARY, 1100)  # four fifths of which are fewer than it needs
    told = [
        choose_decision(judged, DecisionConfig(calibrate=method)).chosen
        for method in ("isotonic", "temperature")
    ]
    assert [chosen.calibrate for chosen in told] == ["isotonic", "temperature"]
    assert told[0].calibration_error[1] != told[1].calibration_error[1]


def test_dont_know_asks_the_answers_own_probability():
    labels = Labels("multiclass", ("label",), ("a", "b"), (0.1, 0.9), unsure_below=0.5)
    # The first one wins by its threshold, with a probability of 0.3 and then 0.6.
    np.testing.assert_array_equal(labels.decide(np.array([[0.3, 0.7], [0.6, 0.4]])), [-1, 0])


def test_rows_of_which_nothing_is_known_choose_nothing():
    judged = judge(MULTILABEL, 20)
    empty = {name: [""] * 20 for name in MULTILABEL.names}
    unknown = dataclasses.replace(judged, examples=make_examples(**empty))
    with pytest.raises(InputError, match=r"whose labels are known. Received: 0"):
        choose_decision(unknown, DecisionConfig(decide="f1"))
    assert better_by(unknown) is None


def test_ten_rows_are_needed():
    with pytest.raises(InputError, match=r"on 10 held-out rows or more, .* Received: 9"):
        choose_decision(judge(BINARY, 9), DecisionConfig(decide="f1"))
    choose_decision(judge(BINARY, 10), DecisionConfig(decide="f1", calibrate="temperature"))


def test_a_better_decision_is_pointed_out():
    judged = judge(MULTILABEL, 2000)
    shifted = dataclasses.replace(judged, raw=judged.raw**4)  # far too low for a cut of 0.5
    better = better_by(shifted)
    assert better.macro_f1[1] > better.macro_f1[0] + 0.1
    targets = judged.targets
    by_hand = f1_score(targets, shifted.raw >= 0.5, average="macro")
    assert better.macro_f1[0] == pytest.approx(by_hand)
    assert better_by(judge(BINARY, 5)) is None
    assert (
        better_by(Judged(REGRESSION, make_examples(label=["1.5"] * 20), np.ones((20, 1)))) is None
    )


def test_json_there_and_back(tmp_path):
    from kerasbert.config_json import read_config, to_json

    path = tmp_path / "labels.json"
    for labels, method in ((MULTILABEL, "temperature"), (BINARY, "isotonic")):
        config = DecisionConfig(decide="f1", calibrate=method)
        chosen = choose_decision(judge(labels, 2000), config)
        path.write_text(to_json(chosen), encoding="utf-8")
        assert read_config(Labels, path, complete=True) == chosen
