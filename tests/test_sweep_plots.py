import math
import random

import matplotlib.image
import numpy as np
import pytest

from kerasbert.search.trials import Trial
from kerasbert.sweep_plots import draw_sweep

LOG_SCALED = ("learning_rate", "l2")


def trials_of(scores, **values):
    """A trial per score, failed where it is None; of each name, a function of the number."""
    return [
        Trial(
            number,
            "failed" if score is None else "completed",
            {name: value(number) for name, value in values.items()},
            score=score,
        )
        for number, score in enumerate(scores)
    ]


def hump(count, seed=0):
    """Scores over learning rates from 1e-5 to 1e-2, best at 2e-4."""
    draw = random.Random(seed)
    rates = [10 ** draw.uniform(-5, -2) for _ in range(count)]
    scores = [0.74 - 0.04 * (math.log10(rate) + 3.7) ** 2 for rate in rates]
    return trials_of(scores, learning_rate=rates.__getitem__, dropout=lambda n: n / count)


def draw(trials, tmp_path, is_higher_better=True, objective="val_macro_f1"):
    return draw_sweep(trials, objective, is_higher_better, tmp_path / "sweep.png", LOG_SCALED)


def panels(figure):
    return {axes.get_xlabel(): axes for axes in figure.axes}


def points(axes):
    """What is drawn, as arrays of x and y, by its label up to a bracket."""
    return {
        group.get_label().partition(" (")[0]: np.asarray(group.get_offsets())
        for group in axes.collections
    }


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def tick_labels(axes):
    return [label.get_text() for label in axes.get_xticklabels()]


@pytest.mark.parametrize("count", [2, 20, 200])
def test_a_panel_for_each_that_varied_the_learning_rate_first_and_larger(count, tmp_path):
    trials = [
        Trial(trial.number, trial.status, {"epochs": 3, **trial.values}, trial.score)
        for trial in hump(count)
    ]
    (tmp_path / "sweep.png").write_text("an old one")
    figure = draw(trials, tmp_path)
    assert matplotlib.image.imread(tmp_path / "sweep.png").shape[1] == 1200
    assert [path.name for path in tmp_path.iterdir()] == ["sweep.png"]
    assert list(panels(figure)) == ["learning_rate", "dropout"]
    first, second = figure.axes
    assert first.get_position().height > second.get_position().height
    assert (first.get_xscale(), second.get_xscale()) == ("log", "linear")
    assert first.get_ylabel() == "val_macro_f1"
    assert len(points(first)["completed"]) == count - 1
    assert first.get_ylim() == second.get_ylim()


@pytest.mark.parametrize("is_higher_better", [True, False])
def test_the_best_is_marked_and_named(is_higher_better, tmp_path):
    trials = trials_of(
        [0.5, 0.73125, 0.25], learning_rate=lambda n: 1.2e-3 * 2**n, warmup=lambda n: n / 10
    )
    figure = draw(trials, tmp_path, is_higher_better)
    where, number = ([2.4e-3, 0.73125], 1) if is_higher_better else ([4.8e-3, 0.25], 2)
    assert points(figure.axes[0])["best"].tolist() == [where]
    assert f"best (trial {number})" in legend(figure)
    title = figure.get_suptitle().replace("\N{NO-BREAK SPACE}", " ")
    assert title == f"best: {where[1]:.4f} at learning_rate {where[0]:.2e}, warmup {number / 10:g}"


def test_failed_trials_are_crosses_below_all_scores(tmp_path):
    trials = [*hump(9), Trial(9, "failed", {"learning_rate": 0.5, "dropout": 0.5}, error="nan")]
    trials.append(Trial(10, "completed", {"learning_rate": 0.6, "dropout": 0.5}, score=math.nan))
    trials.append(Trial(11, "running", {"learning_rate": 0.7, "dropout": 0.5}))
    figure = draw(trials, tmp_path)
    axes = figure.axes[0]
    crosses = points(axes)["2 failed"]
    assert crosses[:, 0].tolist() == [0.5, 0.6]
    assert axes.get_ylim()[0] < crosses[0, 1] < min(points(axes)["completed"][:, 1])
    assert axes.get_xlim()[1] > 0.6
    assert min(axes.get_yticks()) > crosses[0, 1]
    assert "2 failed" in legend(figure)


@pytest.mark.parametrize("is_higher_better", [True, False])
def test_a_few_terrible_scores_do_not_flatten_the_others(is_higher_better, tmp_path):
    sign = 1 if is_higher_better else -1
    scores = [sign * (0.8 + 0.002 * number) for number in range(20)] + [sign * 0.1, sign * 0.2]
    figure = draw(trials_of(scores, dropout=lambda n: n / 40), tmp_path, is_higher_better)
    (axes,) = figure.axes
    bottom, top = axes.get_ylim()
    assert top - bottom < 0.06
    triangles = points(axes)["2 worse than the axis shows"]
    assert triangles[:, 0].tolist() == [0.5, 0.525]
    edge = triangles[0, 1]
    assert bottom < edge < 0.8 if is_higher_better else -0.8 < edge < top
    ends = "0.1000 to 0.2000" if is_higher_better else "-0.2000 to -0.1000"
    assert f"2 worse than the axis shows ({ends})" in legend(figure)


def test_where_half_of_all_are_at_chance_the_others_are_told_apart(tmp_path):
    scores = [0.88 - 0.002 * number for number in range(10)] + [0.33] * 10
    (axes,) = draw(trials_of(scores, dropout=lambda n: n / 40), tmp_path).axes
    assert axes.get_ylim()[0] > 0.8
    assert len(points(axes)["10 worse than the axis shows"]) == 10


@pytest.mark.parametrize(
    "scores",
    [
        [0.9, 0.1],
        [0.80, 0.7999, 0.75, 0.70],
        np.linspace(0.2, 0.9, 20),
        [0.9] * 10 + [0.85, 0.8, 0.75],
        [0.5] * 8,
        [trial.score for trial in hump(40)],
    ],
)
def test_scores_that_lie_close_together_are_all_on_the_axis(scores, tmp_path):
    (axes,) = draw(trials_of(scores, dropout=lambda n: n / 40), tmp_path).axes
    assert set(points(axes)) == {"completed", "best"}
    assert axes.get_ylim()[0] < min(scores) <= max(scores) < axes.get_ylim()[1]


def test_choices_are_slots_with_a_little_jitter(tmp_path):
    trials = trials_of(
        np.linspace(0.5, 0.6, 24),
        batch_size=lambda n: [64, 8, 16][n % 3],
        hidden=lambda n: ["384", "384,384"][n % 2],
        frozen=lambda n: n % 4 == 0,
        layers=lambda n: [[384], [384, 64]][n % 2],
        dropout=lambda n: n / 24,
    )
    drawn = panels(draw(trials, tmp_path))
    assert tick_labels(drawn["batch_size"]) == ["8", "16", "64"]
    assert tick_labels(drawn["hidden"]) == ["384", "384,384"]
    assert tick_labels(drawn["frozen"]) == ["False", "True"]
    assert tick_labels(drawn["layers"]) == ["384", "384,64"]
    x = points(drawn["batch_size"])["completed"][:, 0]
    assert len(set(x.tolist())) == len(x)
    slots = [{64: 2, 8: 0, 16: 1}[trial.values["batch_size"]] for trial in trials[:-1]]
    assert np.abs(x - slots).max() <= 0.25
    assert points(drawn["dropout"])["completed"][:, 0].tolist() == [n / 24 for n in range(23)]


def test_long_names_are_shortened_and_nothing_is_a_formula(tmp_path):
    trials = trials_of(
        [0.5, 0.6, 0.7, 0.8],
        base=lambda n: f"/srv/models/of/somebody/number-{n % 2}/bert-base-uncased",
        **{"a$b$c": lambda n: ["x$y$z", "auto"][n % 2]},
    )
    figure = draw(trials, tmp_path)
    labels = tick_labels(figure.axes[0])
    assert all(len(label) == 24 and label.endswith("bert-base-uncased"[-14:]) for label in labels)
    assert panels(figure)[r"a\$b\$c"]
    assert r"\$" in tick_labels(figure.axes[1])[1]


def test_a_logarithmic_axis_holds_a_zero(tmp_path):
    trials = trials_of([0.5, 0.6, 0.7], l2=[0.0, 1e-5, 1e-3].__getitem__)
    (axes,) = draw(trials, tmp_path).axes
    assert axes.get_xscale() == "symlog"
    assert axes.get_xlim()[0] < 0
    trials = trials_of([0.5, 0.6], l2=[0.0, -1.0].__getitem__)
    assert draw(trials, tmp_path).axes[0].get_xscale() == "linear"


def test_what_only_some_trials_have_is_drawn_for_those(tmp_path):
    trials = [
        Trial(number, "completed", {"rank": number} if number % 2 else {"units": 3}, score=number)
        for number in range(8)
    ]
    figure = draw(trials, tmp_path)
    assert list(panels(figure)) == ["rank (4 of 8 trials)"]
    assert points(figure.axes[0])["completed"][:, 0].tolist() == [1, 3, 5]
    assert figure.get_suptitle().startswith("best: 7.0000 at rank")


def test_where_nothing_varied_the_scores_are_in_order(tmp_path):
    figure = draw(trials_of([0.25], dropout=lambda n: 0.1), tmp_path)
    assert list(panels(figure)) == ["trial"]
    assert figure.get_suptitle() == "best: 0.2500 in trial 0"
    assert legend(figure) == ["best (trial 0)"]
    figure = draw(trials_of([0.25, None, 0.5], dropout=lambda n: 0.1), tmp_path)
    assert points(figure.axes[0])["completed"].tolist() == [[0, 0.25]]


def test_no_score_at_all(tmp_path):
    figure = draw(trials_of([None] * 5, learning_rate=lambda n: 10**-n / 3), tmp_path)
    assert figure.get_suptitle() == "no trial has a score"
    assert legend(figure) == ["5 failed"]
    assert not len(figure.axes[0].get_yticks())
    assert not draw([], tmp_path).legends


def test_nine_hyperparameters_each_have_their_panel(tmp_path):
    names = ["a", "b", "c", "d", "learning_rate", "e", "f", "g", "h"]
    trials = trials_of([0.1, 0.2], **{name: lambda n: n + 1.0 for name in names})
    figure = draw(trials, tmp_path)
    assert list(panels(figure)) == ["learning_rate", *(n for n in names if n != "learning_rate")]
    assert [bool(axes.get_ylabel()) for axes in figure.axes] == [
        *(True, True, False, False, True, False, False, True, False)
    ]
    assert all(len(line) < 120 for line in figure.get_suptitle().splitlines())
