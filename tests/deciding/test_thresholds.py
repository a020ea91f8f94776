import time

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.metrics import f1_score, precision_score, recall_score

from kerasbert.data.labels import Labels
from kerasbert.deciding.rules import Counts, parse_rule
from kerasbert.deciding.thresholds import MIN_FOR_BOUND, choose_thresholds
from kerasbert.tasks import UNKNOWN

BINARY = Labels("binary", ("label",), ("civil", "rude"), (0.5, 0.5))


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def rows(num_rows, rate, seed=0, sharpness=2.0):
    """Truth and probabilities that are right on average: a rare label, ranked well."""
    random = np.random.default_rng(seed)
    logits = random.normal(np.log(rate / (1 - rate)) - 1, sharpness, num_rows)
    probabilities = sigmoid(logits)
    return random.random(num_rows) < probabilities, probabilities


def two_columns(second):
    return np.stack([1 - second, second], axis=1).astype(np.float32)


def binary_threshold(truth, probabilities, rule):
    thresholds, (chosen,) = choose_thresholds(
        BINARY, truth.astype(np.int32), two_columns(probabilities), parse_rule(rule)
    )
    assert thresholds[0] == pytest.approx(1 - thresholds[1])
    return thresholds[1], chosen


def test_of_many_rows_f1_is_that_of_the_best_cut():
    truth, probabilities = rows(20_000, 0.05)
    threshold, chosen = binary_threshold(truth, probabilities, "f1")
    best = max(f1_score(truth, probabilities >= cut) for cut in np.linspace(0.02, 0.9, 89))
    assert f1_score(truth, probabilities >= threshold) == pytest.approx(best, abs=0.01)
    assert f1_score(truth, probabilities >= 0.5) < best - 0.05
    assert chosen.positives == truth.sum()


def test_the_higher_the_cost_of_a_miss_the_lower_the_threshold():
    truth, probabilities = rows(5000, 0.1)
    found = [
        binary_threshold(truth, probabilities, f"cost=FP:1,FN:{cost}")[0] for cost in (1, 5, 25)
    ]
    # Of probabilities that are right, the cheapest cut is FP / (FP + FN).
    np.testing.assert_allclose(found, [1 / 2, 1 / 6, 1 / 26], rtol=0.4)


@pytest.mark.parametrize("measure", ["recall", "precision"])
def test_a_bound_holds_on_new_rows(measure):
    held_out_truth, held_out = rows(50_000, 0.2, seed=1, sharpness=4)
    score = {"recall": recall_score, "precision": precision_score}[measure]
    found, others = [], []
    for seed in range(30):
        truth, probabilities = rows(600, 0.2, seed=100 + seed, sharpness=4)
        cut, chosen = binary_threshold(truth, probabilities, f"{measure}>=0.8")
        assert (chosen.basis, chosen.is_reached) == ("rows", True)
        assert score(truth, probabilities >= cut) >= 0.8
        found.append(score(held_out_truth, held_out >= cut))
        others.append(precision_score(held_out_truth, held_out >= cut))
        others[-1] += recall_score(held_out_truth, held_out >= cut)
    # With a certainty of about 90 %; without any margin it would be half of them.
    assert np.mean(np.array(found) >= 0.8) >= 0.8
    assert np.mean(found) < 0.9  # and not by deciding all, or nothing
    assert np.mean(others) > 1.3


def test_the_certainty_is_wilsons():
    counts = Counts(found=np.array([18.0]), decided=np.array([20.0]), positives=18.0)
    expected = binomtest(18, 20).proportion_ci(0.9, "wilson").low  # 5 % lie below, and 5 % above
    assert counts.sure_precision[0] == pytest.approx(expected, abs=1e-4)


def test_a_precision_that_cannot_be_had_decides_nothing():
    truth, probabilities = rows(500, 0.1, sharpness=0.3)
    threshold, chosen = binary_threshold(truth, probabilities, "precision>=0.99")
    assert threshold == 1
    assert not chosen.is_reached


def test_six_positives_are_not_fitted_to():
    """Over many draws of six: held-out F1 is better than by the best cut of the rows, and 0.5."""
    held_out_truth, held_out = rows(20_000, 0.01, seed=1)
    chosen_f1, naive_f1, naive_cuts, cuts = [], [], [], []
    for seed in range(40):
        truth, probabilities = rows(500, 0.01, seed=100 + seed)
        if truth.sum() < 3:
            continue
        cut, _ = binary_threshold(truth, probabilities, "f1")
        order = np.argsort(-probabilities)
        f1 = 2 * truth[order].cumsum() / (truth.sum() + np.arange(1, len(truth) + 1))
        naive = probabilities[order[f1.argmax()]]
        cuts.append(cut)
        naive_cuts.append(naive)
        chosen_f1.append(f1_score(held_out_truth, held_out >= cut))
        naive_f1.append(f1_score(held_out_truth, held_out >= naive))
    assert len(cuts) > 20
    at_half = f1_score(held_out_truth, held_out >= 0.5)
    assert np.mean(chosen_f1) > np.mean(naive_f1) + 0.01
    assert np.mean(chosen_f1) > at_half
    assert np.std(cuts) < 0.7 * np.std(naive_cuts)


def test_a_threshold_lies_between_two_scores():
    probabilities = np.repeat([0.1, 0.3, 0.8], [50, 30, 30])
    truth = np.repeat([False, True, True], [50, 30, 30])
    assert binary_threshold(truth, probabilities, "recall>=0.9")[0] == pytest.approx(0.2)
    assert binary_threshold(truth, probabilities, "f1")[0] == pytest.approx(0.2, abs=1e-6)


def test_too_few_examples_leave_the_threshold():
    probabilities = np.linspace(0, 1, 50)
    truth = np.arange(50) >= 48
    threshold, chosen = binary_threshold(truth, probabilities, "f1")
    assert threshold == 0.5
    assert (chosen.basis, chosen.positives) == ("default", 2)


def test_a_bound_is_held_to_the_rows_where_there_are_enough():
    truth, probabilities = rows(2000, 0.2)
    few = np.flatnonzero(truth)[MIN_FOR_BOUND - 1 :]
    truth[few] = False
    cut, chosen = binary_threshold(truth, probabilities, "recall>=0.9")
    assert (chosen.positives, chosen.basis) == (MIN_FOR_BOUND - 1, "curve and rows")
    assert not chosen.is_reached  # nothing is sure of so few
    assert 0 < cut < 0.5


def test_what_is_nearly_sure_is_not_decided_where_nothing_is():
    labels = Labels("multilabel", ("a", "b"), ("a", "b"), (1.0, 0.5))
    np.testing.assert_array_equal(labels.decide(np.ones((3, 2), np.float32)), [[0, 1]] * 3)


def test_each_label_of_multilabel_has_its_own_and_unknown_cells_count_nowhere():
    labels = Labels("multilabel", ("a", "b"), ("a", "b"), (0.5, 0.5))
    first, second = rows(4000, 0.05, seed=3), rows(4000, 0.3, seed=4)
    targets = np.stack([first[0], second[0]], axis=1).astype(np.float32)
    outputs = np.stack([first[1], second[1]], axis=1).astype(np.float32)
    alone, chosen = choose_thresholds(labels, targets, outputs, parse_rule("f1"))
    assert alone[0] != alone[1]
    assert [label.name for label in chosen] == ["a", "b"]
    # As many rows again, of which nothing is known, with scores that would mislead.
    targets = np.concatenate([targets, np.full_like(targets, UNKNOWN)])
    outputs = np.concatenate([outputs, 1 - outputs])
    assert choose_thresholds(labels, targets, outputs, parse_rule("f1"))[0] == alone


def softmax(logits):
    powers = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


def three_classes(num_rows=6000, seed=0):
    random = np.random.default_rng(seed)
    probabilities = softmax(random.normal([-2.5, 1.5, 0.0], 1.5, (num_rows, 3)))
    targets = (probabilities.cumsum(axis=1) < random.random((num_rows, 1))).sum(axis=1)
    return targets.clip(max=2).astype(np.int32), probabilities.astype(np.float32)


MULTICLASS = Labels("multiclass", ("label",), ("hate", "rude", "civil"))


def test_of_several_classes_the_mean_f1_is_made_better():
    targets, outputs = three_classes()
    thresholds, chosen = choose_thresholds(MULTICLASS, targets, outputs, parse_rule("f1"))
    assert sum(thresholds) == pytest.approx(1)
    assert thresholds[0] == min(thresholds)
    assert [label.basis for label in chosen] == ["curve and rows"] * 3
    held_out, seen = three_classes(seed=1)
    before = f1_score(held_out, seen.argmax(axis=1), average="macro")
    decided = Labels("multiclass", ("label",), MULTICLASS.names, thresholds).decide(seen)
    after = f1_score(held_out, decided, average="macro")
    assert after > before + 0.02
    # As good as the best of a grid on the very rows that are held out.
    grid = [
        f1_score(held_out, (seen / [rare, 1, civil]).argmax(axis=1), average="macro")
        for rare in np.geomspace(0.05, 2, 25)
        for civil in np.geomspace(0.3, 2, 13)
    ]
    assert after > max(grid) - 0.01


def test_a_class_with_too_few_examples_keeps_its_share():
    targets, outputs = three_classes(400)
    targets[targets == 0] = 1
    targets[:2] = 0
    thresholds, chosen = choose_thresholds(MULTICLASS, targets, outputs, parse_rule("f1"))
    assert [label.basis for label in chosen] == ["default", "curve and rows", "curve and rows"]
    assert all(0 < threshold < 1 for threshold in thresholds)


def test_many_classes_take_seconds():
    random = np.random.default_rng(0)
    outputs = random.dirichlet(np.full(50, 0.05), 2000).astype(np.float32)
    targets = random.integers(50, size=2000).astype(np.int32)
    targets[:1000] = outputs[:1000].argmax(axis=1)
    labels = Labels("multiclass", ("label",), tuple(map(str, range(50))))
    started = time.process_time()
    thresholds, _ = choose_thresholds(labels, targets, outputs, parse_rule("f1"))
    assert time.process_time() - started < 5
    assert len(thresholds) == 50


def test_sure_probabilities_of_several_classes():
    outputs = np.eye(3, dtype=np.float32)[np.arange(60) % 3]
    targets = (np.arange(60) % 3).astype(np.int32)
    thresholds, _ = choose_thresholds(MULTICLASS, targets, outputs, parse_rule("f1"))
    decided = Labels("multiclass", ("label",), MULTICLASS.names, thresholds).decide(outputs)
    np.testing.assert_array_equal(decided, targets)
