"""A run's history, and a search for the learning rate, as pictures."""

import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from kerasbert._drawing import BLUE, GREEN, GREY, ORANGE, PINK, SKY, dress, write

# Key in the history: name in the legend, colour, marker.
_SCORES = {
    "val_accuracy": ("accuracy", BLUE, "o"),
    "val_macro_f1": ("macro F1", ORANGE, "s"),
    "val_roc_auc": ("ROC AUC", GREEN, "^"),
    "val_pearson": ("Pearson", PINK, "D"),
}
# A picture is about as many pixels wide: more points than twice that cannot be told apart.
_MOST_POINTS = 1600
# Up to so many points, each is drawn as one.
_FEW_POINTS = 40
_MOST_EPOCH_LINES = 30

Rows = Sequence[dict[str, Any]]


def draw_history(rows: Rows, path: str | Path) -> Figure:
    """Draw loss, learning rate, gradient norm and validation scores over the steps of a run.

    What no row has is left out. Long histories are thinned so that every spike stays.

    Args:
        rows: the history, steps and epochs, as dicts; at least one.
        path: PNG file to write; one that is there is replaced.

    Returns:
        The figure, as written; a notebook shows it.
    """
    epochs = [row for row in rows if row["kind"] == "epoch"]
    drawn = history_panels(rows)
    heights = [2 if name in ("loss", "score") else 1.3 for name in drawn]
    figure = Figure(figsize=(8, 1.3 * sum(heights) + 0.5), dpi=120, layout="constrained")
    panels = figure.subplots(
        len(drawn), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights}
    )[:, 0]
    for axes, draw in zip(panels, drawn.values(), strict=True):
        draw(axes)
        dress(axes)
        if len(epochs) <= _MOST_EPOCH_LINES:
            for row in epochs[:-1]:
                axes.axvline(row["step"], color=GREY, linewidth=0.6, linestyle=":", zorder=0)
    panels[-1].set_xlabel(
        "optimizer steps"
        + (" (dotted: an epoch ends)" if 1 < len(epochs) <= _MOST_EPOCH_LINES else "")
    )
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    panels[-1].xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    last = max(row["step"] for row in rows)
    margin = max(0.02 * last, 0.3)
    panels[-1].set_xlim(min(row["step"] for row in rows) - margin, last + margin)
    write(figure, path)
    return figure


def history_panels(rows: Rows) -> dict[str, Callable[[Axes], None]]:
    """What there is to draw of a history: by name, what draws it on axes over the steps.

    Args:
        rows: the history, steps and epochs, as dicts.
    """
    steps = [row for row in rows if row["kind"] == "step"]
    epochs = [row for row in rows if row["kind"] == "epoch"]
    wanted = {
        "loss": _loss_axes,
        "learning_rate": _rate_axes,
        "gradient_norm": _norm_axes,
        "score": _score_axes,
    }
    return {
        key: functools.partial(draw, steps=steps, epochs=epochs)
        for key, draw in wanted.items()
        if any(
            row.get(name) is not None
            for row in rows
            for name in (_SCORES if key == "score" else (key,))
        )
    }


def draw_range_test(
    rates: Sequence[float],
    losses: Sequence[float],
    smoothed: Sequence[float],
    proposal: float | None,
    path: str | Path,
) -> Figure:
    """Draw the losses of a training whose learning rate rose step by step.

    Args:
        rates: learning rate of each step, above 0, rising.
        losses: loss of each step.
        smoothed: the same, smoothed.
        proposal: the learning rate to take; None where the losses propose none.
        path: PNG file to write; one that is there is replaced.

    Returns:
        The figure, as written; a notebook shows it.
    """
    rates, losses, smoothed = (np.asarray(values, float) for values in (rates, losses, smoothed))
    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    axes = figure.subplots()
    axes.set_xscale("log")
    axes.plot(rates, losses, color=BLUE, alpha=0.3, linewidth=0.8, label="loss of each step")
    axes.plot(rates, smoothed, color=BLUE, linewidth=1.8, label="smoothed")
    axes.set_ylim(*_range_limits(losses, smoothed))
    if proposal is not None:
        axes.axvline(proposal, color=ORANGE, linewidth=1.4, label=f"proposed: {proposal:.2g}")
        height = np.interp(math.log(proposal), np.log(rates), smoothed)
        axes.plot([proposal], [height], "o", color=ORANGE, markersize=7)
    axes.set_xlabel("learning rate")
    axes.set_ylabel("training loss")
    axes.legend(edgecolor="none", framealpha=0.85, loc="best")
    dress(axes)
    write(figure, path)
    return figure


def _loss_axes(axes: Axes, steps: Rows, epochs: Rows) -> None:
    x, loss = _series(steps, "loss")
    if len(x):
        few = len(x) <= _FEW_POINTS
        _thin_line(axes, x, loss, BLUE, "training, each step", alpha=0.9 if few else 0.25)
        if not few:
            axes.plot(*_every(x, _smooth(loss)), color=BLUE, linewidth=1.8, label="smoothed")
    else:
        axes.plot(*_series(epochs, "loss"), "o-", color=BLUE, label="training, mean of the epoch")
    x_val, val_loss = _series(epochs, "val_loss")
    if len(x_val):
        _points(axes, x_val, val_loss, ORANGE, "o", "validation")
    _leave_out_outliers(axes, loss, val_loss)
    axes.set_ylabel("loss")
    axes.legend(edgecolor="none", framealpha=0.85, loc="upper right", ncols=3)


def _rate_axes(axes: Axes, steps: Rows, epochs: Rows) -> None:
    x, rate = _series(steps or epochs, "learning_rate")
    _thin_line(axes, x, rate, GREEN, None)
    axes.set_ylim(bottom=0, top=1.15 * max(rate, default=1) or 1)
    axes.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=True)
    axes.set_ylabel("learning rate")


def _norm_axes(axes: Axes, steps: Rows, epochs: Rows) -> None:
    x, norm = _series(steps or epochs, "gradient_norm")
    norm = np.where(norm > 0, norm, np.nan)  # 0 has no place on a logarithmic axis
    few = len(x) <= _FEW_POINTS
    _thin_line(axes, x, norm, PINK, None, alpha=0.9 if few else 0.3)
    if np.isfinite(norm).any():
        axes.set_yscale("log")
        # 0.5 rather than 5 x 10^-1, and only 1, 2 and 5 between two powers of ten.
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=8))
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.yaxis.set_minor_formatter(NullFormatter())
        if not few:  # the mean of the logarithms, which is what the axis shows
            axes.plot(*_every(x, np.exp(_smooth(np.log(norm)))), color=PINK, linewidth=1.8)
    axes.set_ylabel("gradient norm\nbefore clipping")


def _score_axes(axes: Axes, steps: Rows, epochs: Rows) -> None:
    for key, (name, colour, marker) in _SCORES.items():
        x, score = _series(epochs, key)
        if len(x):
            _points(axes, x, score, colour, marker, name)
    x, accuracy = _series(epochs, "accuracy")
    if len(x):
        axes.plot(
            x, accuracy, "o--", color=SKY, linewidth=1, markersize=4, markerfacecolor="white",
            label="accuracy in training",
        )  # fmt: skip
    axes.set_ylabel("validation score")
    axes.margins(y=0.15)
    axes.legend(edgecolor="none", framealpha=0.85, loc="best", ncols=2)


def _series(rows: Rows, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values of the rows that have one."""
    pairs = [(row["step"], row[key]) for row in rows if row.get(key) is not None]
    array = np.array(pairs, float).reshape(-1, 2)
    return array[:, 0], np.where(np.isfinite(array[:, 1]), array[:, 1], np.nan)


def _thin_line(
    axes: Axes, x: np.ndarray, y: np.ndarray, colour: str, label: str | None, alpha: float = 1.0
) -> None:
    marker = "o" if len(x) <= _FEW_POINTS else None
    x, y = _extremes(x, y)
    axes.plot(
        x, y, color=colour, alpha=alpha, linewidth=1, marker=marker, markersize=3.5, label=label
    )


def _points(axes: Axes, x: np.ndarray, y: np.ndarray, colour: str, marker: str, label: str) -> None:
    size = 6 if len(x) <= _FEW_POINTS else 2
    axes.plot(
        x, y, marker=marker, color=colour, linewidth=1, markersize=size, label=label, zorder=3
    )


def _extremes(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """At most `_MOST_POINTS` points: of each stretch the lowest and the highest."""
    if len(x) <= _MOST_POINTS:
        return x, y
    kept = [0, len(x) - 1]
    for stretch in np.array_split(np.arange(len(x)), _MOST_POINTS // 2 - 1):
        values = y[stretch]
        if np.isnan(values).all():
            kept.append(stretch[0])  # a gap stays a gap
        else:
            kept += [stretch[np.nanargmin(values)], stretch[np.nanargmax(values)]]
    kept = np.unique(kept)
    return x[kept], y[kept]


def _every(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MOST_POINTS)).astype(int))
    return x[kept], y[kept]


def _smooth(values: np.ndarray) -> np.ndarray:
    """The mean of the neighbours, a fiftieth of all; at the ends of those that there are."""
    half = max(1, len(values) // 100)
    known = np.isfinite(values)
    sums = np.concatenate([[0], np.cumsum(np.where(known, values, 0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    first = np.maximum(np.arange(len(values)) - half, 0)
    last = np.minimum(np.arange(len(values)) + half + 1, len(values))
    count = counts[last] - counts[first]
    return np.where(count > 0, (sums[last] - sums[first]) / np.maximum(count, 1), np.nan)


def _leave_out_outliers(axes: Axes, loss: np.ndarray, val_loss: np.ndarray) -> None:
    """Let the highest hundredth of the losses leave the picture: it would flatten all others."""
    known = loss[np.isfinite(loss)]
    if len(known) > _FEW_POINTS:
        lowest = np.nanmin([known.min(), *val_loss])
        highest = np.nanmax([np.percentile(known, 99), *val_loss])
        room = max(highest - lowest, 1e-6)
        axes.set_ylim(lowest - 0.05 * room, highest + 0.15 * room)  # the legend is at the top


def _range_limits(losses: np.ndarray, smoothed: np.ndarray) -> tuple[float, float]:
    """From below the lowest to as far above the start as it fell; beyond, it only explodes."""
    finite = smoothed[np.isfinite(smoothed)]
    if not len(finite):
        return 0.0, 1.0
    start, lowest = finite[0], finite.min()
    fall = max(start - lowest, 0.05 * abs(start), 1e-6)
    near = losses[np.isfinite(losses) & (losses < start)]
    return min(lowest, np.min(near, initial=lowest)) - 0.1 * fall, start + 1.2 * fall
