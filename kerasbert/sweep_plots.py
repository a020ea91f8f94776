"""The trials of a sweep as a picture: the score against each hyperparameter that varied."""

import dataclasses
import math
import textwrap
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from kerasbert._drawing import BLUE, ORANGE, PINK, dress, write
from kerasbert._sweep_axes import LONGEST_CHOICE, hashable, place, plain
from kerasbert.search.showing import (
    best_trial,
    one_line,
    scored_trials,
    shorten,
    show_score,
    show_value,
)
from kerasbert.search.trials import Trial

_FIRST = "learning_rate"
# Inches: of the picture, of the first panel, of each row of the others, of title and legend.
_WIDTH, _FIRST_HEIGHT, _HEIGHT, _AROUND = 10, 3.4, 2.6, 0.9
# More dots are smaller, and where they lie upon one another they are darker.
_MANY_DOTS = 60
_DOT = {"color": BLUE, "s": 36, "alpha": 0.75, "linewidths": 0, "zorder": 3}
_MANY = _DOT | {"s": 18, "alpha": 0.45}
_DOWN = {"marker": "v", "facecolors": "none", "edgecolors": BLUE, "s": 30, "zorder": 3}
_UP = _DOWN | {"marker": "^"}
_CROSS = {"marker": "x", "color": PINK, "s": 30, "linewidths": 1.5, "zorder": 4}
_STAR = {"marker": "*", "color": ORANGE, "s": 240, "edgecolors": "white", "zorder": 5}
# Shares of the height of the axes: margins, and a strip each for what has no place on them.
_MARGIN, _STRIP = 0.07, 0.075
# The best third gets at least this share of the axis, if that makes it half as long or less.
_SHARE_OF_THE_BEST, _FEWEST_AT_BEST = 0.1, 3


def draw_sweep(
    trials: Sequence[Trial],
    objective: str,
    is_higher_better: bool,
    path: str | Path,
    log_scaled: Collection[str] = (),
) -> Figure:
    """Draw the score of each trial against each hyperparameter that varied, a panel for each.

    A dot is a completed trial, a star the best one, and a cross, in a strip at the bottom, one that
    failed. Scores that are so bad that they would flatten all others are triangles at the edge. A
    hyperparameter that only some trials have is drawn for those. Where none varied, the scores are
    drawn in the order of the trials.

    Args:
        trials: of any status; those that run are left out.
        objective: what the scores are of, such as "val_macro_f1".
        is_higher_better: whether the best score is the highest, or the lowest.
        path: PNG file to write; one that is there is replaced.
        log_scaled: names of the hyperparameters whose numbers get a logarithmic axis.

    Returns:
        The figure, as written; a notebook shows it.
    """
    groups = _group(trials, is_higher_better)
    ended = [*groups.dots, *groups.beyond, *groups.failed]
    names = _varied(ended)
    figure, panels = _panels(names)
    for name, axes in panels.items():
        _draw_groups(axes, place(axes, name, ended, name in log_scaled), groups)
        dress(axes)
        if axes.get_subplotspec().is_first_col():
            axes.set_ylabel(plain(objective))
        else:
            axes.tick_params(labelleft=False)
    figure.suptitle(_title(groups.best, names), fontsize=11)
    handles = {
        label: handle
        for axes in panels.values()
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if handles:
        figure.legend(handles.values(), handles, loc="outside lower center", ncols=4, frameon=False)
    write(figure, path)
    return figure


@dataclasses.dataclass(frozen=True)
class _Groups:
    """The trials that ended, by what stands for them.

    Attributes:
        dots: completed, on the axis, the best among them.
        beyond: completed, but too bad for the axis.
        failed: of no score.
        best: None where none has a score.
        worst_at_bottom: whether the axis ends below at the worst that is on it, or above.
    """

    dots: list[Trial]
    beyond: list[Trial]
    failed: list[Trial]
    best: Trial | None
    worst_at_bottom: bool

    def y_limits(self) -> tuple[float, float]:
        """Of the axis: the dots, a margin, and a strip for each of the other groups."""
        scores = [trial.score for trial in self.dots]
        if not scores:
            return 0.0, 1.0
        lowest, highest = min(scores), max(scores)
        if math.isclose(lowest, highest, rel_tol=1e-6):
            room = max(0.05 * abs(lowest), 1e-3)
            lowest, highest = lowest - room, highest + room
        below, above = self.strips()
        height = (highest - lowest) / (1 - below - above - 2 * _MARGIN)
        return lowest - (below + _MARGIN) * height, highest + (above + _MARGIN) * height

    def strips(self) -> tuple[float, float]:
        """The shares of the axis, below and above, that are no scores."""
        below = _STRIP * (bool(self.failed) + (bool(self.beyond) and self.worst_at_bottom))
        return below, _STRIP * (bool(self.beyond) and not self.worst_at_bottom)


def _group(trials: Sequence[Trial], is_higher_better: bool) -> _Groups:
    scored = scored_trials(trials)
    with_score = {trial.number for trial in scored}
    sign = 1 if is_higher_better else -1
    least = _least_on_the_axis([sign * trial.score for trial in scored])
    return _Groups(
        dots=[trial for trial in scored if sign * trial.score >= least],
        beyond=[trial for trial in scored if sign * trial.score < least],
        failed=[
            trial
            for trial in trials
            if trial.status not in ("running", "unfinished") and trial.number not in with_score
        ],
        best=best_trial(scored, is_higher_better),
        worst_at_bottom=is_higher_better,
    )


def _least_on_the_axis(scores: list[float]) -> float:
    """The least score that the axis reaches down to; higher is better.

    Step sizes that are too large leave a part of the trials at chance, far below the others, which
    are what one wants to tell apart. So the axis is as long as the best third of them allows.
    """
    ordered = sorted(scores, reverse=True)
    third = max(math.ceil(len(ordered) / 3), _FEWEST_AT_BEST)
    # Equal scores say nothing of how far the others lie apart.
    lower = [score for score in ordered[third - 1 :] if score < ordered[0]]
    if not lower:
        return -math.inf
    least = ordered[0] - (ordered[0] - lower[0]) / _SHARE_OF_THE_BEST
    kept = [score for score in ordered if score >= least]
    is_much_shorter = 2 * (kept[0] - kept[-1]) <= ordered[0] - ordered[-1]
    return least if is_much_shorter else -math.inf


def _varied(trials: Sequence[Trial]) -> list[str]:
    """The hyperparameters of more than one value, the learning rate first."""
    found: dict[str, set[Any]] = {}
    for trial in trials:
        for name, value in trial.values.items():
            found.setdefault(name, set()).add(hashable(value))
    varied = [name for name, values in found.items() if len(values) > 1]
    return sorted(varied, key=lambda name: name != _FIRST)


def _panels(names: list[str]) -> tuple[Figure, dict[str | None, Axes]]:
    """A panel for each name, the learning rate's over the whole width; without names, one."""
    rest = [name for name in names if name != _FIRST]
    num_columns = 2 if len(rest) in (2, 4) else min(max(len(rest), 1), 3)
    has_first = _FIRST in names or not names
    heights = [_FIRST_HEIGHT] * has_first + [_HEIGHT] * math.ceil(len(rest) / num_columns)
    figure = Figure(figsize=(_WIDTH, sum(heights) + _AROUND), dpi=120, layout="constrained")
    grid = figure.add_gridspec(len(heights), num_columns, height_ratios=heights)
    cells = {_FIRST if names else None: grid[0, :]} if has_first else {}
    for number, name in enumerate(rest):
        cells[name] = grid[has_first + number // num_columns, number % num_columns]
    return figure, {name: figure.add_subplot(cell) for name, cell in cells.items()}


def _draw_groups(axes: Axes, positions: dict[int, float], groups: _Groups) -> None:
    """Draw those that have a position. The strips are as high in each panel: y is shared."""
    bottom, top = groups.y_limits()
    axes.set_ylim(bottom, top)
    axes.ticklabel_format(axis="y", useOffset=False)
    strip = _STRIP * (top - bottom)
    if groups.failed:
        axes.axhspan(bottom, bottom + strip, color="#f0f0f0", zorder=0)
    below, above = groups.strips()
    ends = bottom + below * (top - bottom), top - above * (top - bottom)
    ticks = [tick for tick in axes.get_yticks() if ends[0] <= tick <= ends[1]]
    axes.set_yticks(ticks if groups.dots else [])  # a strip is no part of the scale
    edge = (
        bottom + strip * (bool(groups.failed) + 0.5) if groups.worst_at_bottom else top - strip / 2
    )
    is_many = len(groups.dots) > _MANY_DOTS
    best = [groups.best] if groups.best else []
    dots = [trial for trial in groups.dots if trial not in best]
    for found, height, label, style in (
        (dots, None, "completed", _MANY if is_many else _DOT),
        (best, None, f"best (trial {best[0].number})" if best else "", _STAR),
        (groups.beyond, edge, _beyond(groups), _DOWN if groups.worst_at_bottom else _UP),
        (groups.failed, bottom + strip / 2, f"{len(groups.failed)} failed", _CROSS),
    ):
        there = [trial for trial in found if trial.number in positions]
        if there:
            x = [positions[trial.number] for trial in there]
            y = [trial.score if height is None else height for trial in there]
            axes.scatter(x, y, label=label, **style)


def _beyond(groups: _Groups) -> str:
    scores = [trial.score for trial in groups.beyond]
    if not scores:
        return ""
    ends = dict.fromkeys(map(show_score, (min(scores), max(scores))))
    return f"{len(scores)} worse than the axis shows ({' to '.join(ends)})"


def _title(best: Trial | None, names: list[str]) -> str:
    """Such as "best: 0.7312 at learning_rate 1.23e-03, dropout 0.1", in lines."""
    if best is None:
        return "no trial has a score"
    # A name and its value stay in one line.
    where = [
        f"{one_line(name)} {shorten(show_value(best.values[name]), LONGEST_CHOICE)}".replace(
            " ", "\N{NO-BREAK SPACE}"
        )
        for name in names
        if name in best.values
    ]
    score = f"best: {show_score(best.score)}"
    text = f"{score} at {', '.join(where)}" if where else f"{score} in trial {best.number}"
    return plain(textwrap.fill(text, 110, break_long_words=False, break_on_hyphens=False))
