import math

import numpy as np
import pytest
import sklearn.metrics

from kerasbert.tasks import UNKNOWN
from kerasbert.training.diagnosis import diagnose

NAMES = ("a", "b", "c")


def steps(first, last, *, norm=2.0, rate=1e-3, count=60):
    """An epoch whose loss falls, or does not, in a straight line with some noise."""
    losses = np.linspace(first, last, count) + 0.01 * np.sin(np.arange(count))
    norms = np.broadcast_to(norm, count)
    return [
        {
            "kind": "step",
            "epoch": 1,
            "step": number + 1,
            "loss": float(loss),
            "learning_rate": rate,
            "gradient_norm": float(norms[number]),
        }
        for number, loss in enumerate(losses)
    ] + [{"kind": "epoch", "epoch": 1, "step": count, "loss": float(np.mean(losses))}]


def classes(count, shares=(0.5, 0.3, 0.2)):
    return np.repeat(np.arange(len(shares)), np.round(np.array(shares) * count).astype(int))


def probabilities(targets, num_labels, certainty):
    """Softmax outputs that know the targets, as far as `certainty` outweighs noise."""
    scores = np.random.normal(size=(len(targets), num_labels))
    scores[np.arange(len(targets)), targets] += certainty
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return scores / scores.sum(axis=1, keepdims=True)


def said(task, outputs, rows, validation, train=None, names=NAMES):
    train = validation if train is None else train
    return diagnose(task, train, outputs, rows, validation, names)


def test_a_healthy_training():
    targets = classes(300)
    rows = steps(1.1, 0.5)
    assert said("multiclass", probabilities(targets, 3, 3.0), rows, targets) == []
    assert said("binary", probabilities(targets % 2, 2, 3.0), rows, targets % 2, names="ab") == []
    cells = np.random.randint(0, 2, (300, 3)).astype(np.float32)
    assert said("multilabel", np.where(cells == 1, 0.8, 0.3), steps(0.7, 0.4), cells) == []
    scores = np.random.normal(100, 15, 300).astype(np.float32)
    close = (scores + np.random.normal(0, 5, 300))[:, None]
    rows = steps(300, 30, norm=5000)  # large for squared errors of such scores it is not
    assert said("regression", close, rows, scores, names=["iq"]) == []


def test_slow_but_on_its_way():
    """The head began far off, so its loss is above guessing; yet it falls, and the order shows."""
    targets = classes(300, (0.95, 0.05))
    outputs = probabilities(targets, 2, 1.0)
    assert said("binary", outputs, steps(0.9, 0.7), targets, names="ab") == []
    few = slice(None, None, 10)  # too few to see the order
    assert said("binary", outputs[few], steps(0.9, 0.7), targets[few], targets, "ab") == []
    # What has no order is lost, though its loss falls.
    (*_, sentence) = said("binary", 1 - outputs, steps(0.9, 0.7), classes(300, (0.5, 0.5)))
    assert sentence.startswith("Nothing useful is learned so far")


@pytest.mark.parametrize("count", [1, 3, 20])
def test_few_validation_rows_say_little(count):
    targets = np.array([0] * (count - count // 3) + [1] * (count // 3))[:4]
    outputs = np.tile([0.9, 0.1], (len(targets), 1))
    assert said("binary", outputs, steps(0.6, 0.3), targets, names="ab") == []


def test_no_rows_at_all():
    assert said("binary", np.zeros((0, 2)), [], np.zeros(0, np.int32), names="ab") == []
    assert said("regression", np.zeros((0, 1)), [], np.zeros(0), np.ones(4), names="x") == []


def test_one_class_for_all():
    targets = classes(100)
    outputs = np.tile([0.5, 0.3, 0.2], (100, 1)) + np.random.normal(0, 0.001, (100, 3))
    (sentence,) = said("multiclass", outputs, steps(1.1, 0.3), targets)
    assert sentence.startswith("'a' is predicted for all 100 validation rows, though 50 of them")
    assert "--class-weight balanced" in sentence
    assert said("multiclass", outputs, steps(1.1, 0.3), targets * 0) == []  # as it should be


def test_no_label_or_one_label_for_all():
    cells = np.zeros((100, 3), np.float32)
    cells[:30, 0], cells[50:, 1], cells[:5] = 1, UNKNOWN, UNKNOWN
    outputs = np.where(cells == 1, 0.4, 0.1)
    (sentence,) = said("multilabel", outputs, steps(0.6, 0.1), cells)
    assert sentence.startswith(
        "No label is predicted for any of the 100 validation rows, though 25"
    )
    outputs[:, 2] = 0.9
    (sentence,) = said("multilabel", outputs, steps(0.6, 0.1), cells)
    assert sentence.startswith("All 100 validation rows are said to be 'c'.")


def test_one_score_for_all():
    scores = np.random.normal(3, 1, 100)
    outputs = 3 + 1e-4 * np.random.normal(size=(100, 1))
    (sentence,) = said("regression", outputs, steps(1.4, 0.5), scores, names=["x"])
    assert sentence.startswith("The model gives nearly the same score, 3, to all 100 validation")


def test_nothing_learned_beyond_the_frequencies():
    targets = classes(300)
    guess = -sum(share * math.log(share) for share in (0.5, 0.3, 0.2))
    outputs = np.tile([0.5, 0.3, 0.2], (300, 1))
    outputs[::3] = [0.3, 0.5, 0.2]
    rows = steps(1.09, 1.09, rate=1e-9)
    (sentence,) = said("multiclass", outputs, rows, targets)
    assert f"loss is 1.09, and guessing by how frequent each label is gives {guess:.3g}" in sentence
    assert "guessing evenly 1.1." in sentence
    # The end of the epoch counts, and the validation rows must agree.
    found = said("multiclass", outputs, steps(1.1, 0.2), targets)
    assert not [sentence for sentence in found if "Nothing useful" in sentence]
    assert said("multiclass", probabilities(targets, 3, 4.0), steps(1.1, 1.08), targets) == []


@pytest.mark.parametrize(
    ("norm", "message"),
    [
        (1e-9, "The gradients vanish: their norm was 1e-09"),
        (5e3, "The gradients explode: before clipping, their norm was above 5,000"),
        (np.geomspace(0.05, 70, 60), "their norm grew from 0.0"),
        ([2.0] * 50 + [math.nan] * 10, "were not finite in 10 of 60 steps"),
        ([math.inf] * 3 + [2.0] * 57, None),  # the scale of float16 finds its size
        (np.geomspace(70, 0.05, 60), None),
        (60.0, None),
    ],
)
def test_gradients(norm, message):
    targets = classes(300)
    outputs = probabilities(targets, 3, 4.0)
    found = said("multiclass", outputs, steps(0.8, 0.8, norm=norm), targets)
    assert [message in sentence for sentence in found] == [True] * bool(message)


def test_large_norms_do_no_harm_where_the_loss_falls():
    targets = classes(300)
    assert not said("multiclass", probabilities(targets, 3, 4.0), steps(1, 0.4, norm=500), targets)


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel", "regression"])
def test_shuffled_labels(task):
    count = 2000  # so that chance is far from what is learned
    targets = {
        "binary": classes(count, (0.6, 0.4)),
        "multiclass": classes(count),
        "multilabel": (np.random.random((count, 3)) < 0.4).astype(np.float32),
        "regression": np.random.normal(3, 1, count),
    }[task]
    order = np.random.permutation(count)
    outputs = {
        "binary": lambda: probabilities(targets, 2, 2.0),
        "multiclass": lambda: probabilities(targets, 3, 2.0),
        "multilabel": lambda: (
            np.where(targets == 1, 0.7, 0.3) + np.random.normal(0, 0.1, targets.shape)
        ),
        "regression": lambda: targets[:, None] + np.random.normal(0, 0.5, (count, 1)),
    }[task]()
    names = {"binary": "ab", "regression": "a"}.get(task, NAMES)
    rows = steps(0.9, 0.2)
    assert said(task, outputs, rows, targets, names=names) == []
    (sentence,) = said(task, outputs[order], rows, targets, names=names)
    assert sentence.endswith(
        "Look whether texts and labels still belong together; one column of the file may have been "
        "sorted, or joined, without the other."
    )
    limit = {"binary": 0.03, "multiclass": 0.03, "multilabel": 0.03, "regression": 0.04}[task]
    assert f"within {limit:.2f} of chance" in sentence
    few = order[:30]  # too few to say so
    assert said(task, outputs[few], rows, targets[np.random.permutation(few)], targets, names) == []
    untrained = steps(0.2, 0.2, rate=1e-9)
    assert said(task, outputs[order], untrained, targets, names=names) == []


def test_the_area_under_the_curve_is_scikit_learns():
    from kerasbert.training.ranking import areas

    targets = (np.random.random((80, 2)) < 0.3).astype(np.float32)
    targets[::7, 1] = UNKNOWN
    outputs = np.round(np.random.random((80, 2)), 1)  # many are equal
    for column, (area, error) in enumerate(areas("multilabel", outputs, targets)):
        known = targets[:, column] != UNKNOWN
        truth = targets[known, column]
        assert area == pytest.approx(sklearn.metrics.roc_auc_score(truth, outputs[known, column]))
        by_chance = [
            sklearn.metrics.roc_auc_score(
                np.random.permutation(truth), np.random.random(len(truth))
            )
            for _ in range(300)
        ]
        assert error == pytest.approx(np.std(by_chance), rel=0.2)


def test_outputs_that_are_no_numbers():
    targets = classes(30)
    (sentence,) = said("multiclass", np.full((30, 3), math.nan), steps(1, 0.5), targets)
    assert sentence == "Some outputs are not numbers. Try a smaller --learning-rate."
