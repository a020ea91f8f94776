import math

import matplotlib.image
import numpy as np
import pytest

from kerasbert.plots import draw_history, draw_range_test


def history(num_steps, epochs=1, regression=False):
    rows, per_epoch = [], num_steps // epochs
    for step in range(1, num_steps + 1):
        done = step / num_steps
        rows.append(
            {
                "kind": "step",
                "epoch": (step - 1) // per_epoch + 1,
                "step": step,
                "loss": 1.5 - done + 0.1 * math.sin(step),
                "accuracy": None if regression else 0.5,
                "learning_rate": 5e-5 * (1 - done),
                "gradient_norm": 2 - done,
                "val_loss": None,
            }
        )
        if step % per_epoch == 0:
            scores = {"val_pearson": done} if regression else {"val_accuracy": 0.5 + done / 3}
            accuracy = None if regression else 0.5 + done / 4
            row = rows[-1] | {"kind": "epoch", "gradient_norm": None, "accuracy": accuracy}
            rows.append(row | {"val_loss": 1.6 - done} | scores)
    return rows


def axes_by_label(figure):
    return {axes.get_ylabel().partition("\n")[0]: axes for axes in figure.axes}


def legend(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


@pytest.mark.parametrize(("num_steps", "epochs"), [(1, 1), (3, 1), (300, 3), (50_000, 50)])
def test_short_and_long_histories(num_steps, epochs, tmp_path):
    path = tmp_path / "history.png"
    path.write_text("an old one")
    figure = draw_history(history(num_steps, epochs), path)
    assert matplotlib.image.imread(path).shape[1] == 960
    assert list(tmp_path.iterdir()) == [path]
    drawn = axes_by_label(figure)
    assert list(drawn) == ["loss", "learning rate", "gradient norm", "validation score"]
    assert {"training, each step", "validation"} <= set(legend(drawn["loss"]))
    assert legend(drawn["validation score"]) == ["accuracy", "accuracy in training"]
    for axes in figure.axes:
        assert axes.get_xlim() == figure.axes[0].get_xlim()
        assert not axes.get_title()
        assert all(len(line.get_xdata()) <= 1600 for line in axes.lines)


def test_a_regression_has_no_accuracy(tmp_path):
    drawn = axes_by_label(draw_history(history(30, 3, regression=True), tmp_path / "h.png"))
    assert legend(drawn["validation score"]) == ["Pearson"]


def test_what_no_row_has_is_left_out(tmp_path):
    rows = [{"kind": "step", "epoch": 1, "step": step, "loss": 1 / step} for step in (1, 2, 3)]
    assert list(axes_by_label(draw_history(rows, tmp_path / "h.png"))) == ["loss"]


def test_epochs_without_steps(tmp_path):
    rows = [row for row in history(40, 4) if row["kind"] == "epoch"]
    drawn = axes_by_label(draw_history(rows, tmp_path / "h.png"))
    assert legend(drawn["loss"]) == ["training, mean of the epoch", "validation"]


def test_thinning_keeps_every_spike_and_every_gap(tmp_path):
    rows = history(20_000)
    rows[12_345]["gradient_norm"] = 777.0
    rows[54]["gradient_norm"] = math.inf
    rows[55]["gradient_norm"] = 0.0
    drawn = axes_by_label(draw_history(rows, tmp_path / "h.png"))
    every_step = drawn["gradient norm"].lines[0]
    assert np.nanmax(every_step.get_ydata()) == 777
    assert np.nanmin(every_step.get_ydata()) > 0


def test_one_huge_loss_does_not_flatten_the_others(tmp_path):
    rows = history(400)
    rows[200]["loss"] = 1e6
    axes = axes_by_label(draw_history(rows, tmp_path / "h.png"))["loss"]
    assert -10 < axes.get_ylim()[0] < axes.get_ylim()[1] < 10

    rows = history(4000)
    rows[2]["loss"] = 1e6
    axes = axes_by_label(draw_history(rows, tmp_path / "h.png"))["loss"]
    assert -10 < axes.get_ylim()[0] < axes.get_ylim()[1] < 10


@pytest.mark.parametrize("proposal", [3e-4, None])
def test_a_range_test(proposal, tmp_path):
    rates = np.geomspace(1e-7, 1, 60)
    smoothed = 1.0 - 0.5 * (rates > 3e-4) + 1e9 * (rates > 0.1)
    losses = smoothed + 0.01
    losses[-1] = math.nan
    figure = draw_range_test(rates, losses, smoothed, proposal, tmp_path / "range.png")
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert axes.get_ylim()[1] < 3
    assert ("proposed: 0.0003" in legend(axes)) == (proposal is not None)
    assert matplotlib.image.imread(tmp_path / "range.png").shape[:2] == (540, 960)
