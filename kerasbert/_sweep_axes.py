"""Where the values of a hyperparameter stand on an axis."""

import math
from collections.abc import Collection, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from kerasbert.search.showing import shorten, show_value
from kerasbert.search.trials import Trial

# Up to so many different numbers are choices, if some of them came twice.
_FEW_NUMBERS = 6
# Characters of a choice below its axis, and of all of them beside one another.
LONGEST_CHOICE = 24
_LETTERS_PER_INCH = 12
_INCHES_PER_LABEL = 0.6
# Of more choices only every second, third and so on is named.
_MOST_CHOICES = 20


def place(
    axes: Axes, name: str | None, trials: Sequence[Trial], is_log_scaled: bool
) -> dict[int, float]:
    """Give the axes their x: of numbers, of logarithms, or a slot for each choice.

    Args:
        axes: that the positions are for.
        name: of the hyperparameter; None for the trials in their order.
        trials: all that the axes will show.
        is_log_scaled: whether numbers get a logarithmic axis.

    Returns:
        The x of each trial that has the hyperparameter, by its number.
    """
    if name is None:
        axes.set_xlabel("trial")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        numbers = [trial.number for trial in trials] or [0]
        axes.set_xlim(min(numbers) - 0.5, max(numbers) + 0.5)
        return {number: float(number) for number in numbers}
    values = {
        trial.number: hashable(trial.values[name]) for trial in trials if name in trial.values
    }
    share = "" if len(values) == len(trials) else f" ({len(values)} of {len(trials)} trials)"
    axes.set_xlabel(plain(name) + share)
    distinct = set(values.values())
    is_few = len(distinct) <= _FEW_NUMBERS and len(distinct) < len(values)
    if not all(map(_is_number, distinct)) or (is_few and not is_log_scaled):
        return _place_choices(axes, values)
    if is_log_scaled and max(distinct) > 0:
        _scale_by_logarithms(axes, distinct)
    elif all(isinstance(value, int) for value in distinct):
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=6))
    return {number: float(value) for number, value in values.items()}


def _place_choices(axes: Axes, values: dict[int, Any]) -> dict[int, float]:
    """A slot for each choice: numbers by size, then texts by the alphabet."""
    choices = sorted(
        set(values.values()),
        key=lambda value: (0, value, "") if _is_number(value) else (1, 0, show_value(value)),
    )
    labels = [plain(shorten(show_value(choice), LONGEST_CHOICE)) for choice in choices]
    # In one line, else in a smaller one, else aslant.
    longest = max(map(len, labels)) + 1
    room = _inches(axes) / len(labels)
    font = 10 if longest <= room * _LETTERS_PER_INCH else 8
    is_aslant = longest > room * _LETTERS_PER_INCH * 10 / font
    every = math.ceil(len(labels) / _MOST_CHOICES)
    axes.set_xticks(
        range(0, len(labels), every),
        labels[::every],
        fontsize=font,
        rotation=25 if is_aslant else 0,
        ha="right" if is_aslant else "center",
        rotation_mode="anchor" if is_aslant else "default",
    )
    axes.set_xlim(-0.6, len(labels) - 0.4)
    positions, seen = {}, dict.fromkeys(choices, 0)
    for number, choice in values.items():
        # Multiples of the golden ratio never crowd; the first stands in the middle.
        offset = (0.5 + 0.618034 * seen[choice]) % 1 - 0.5
        positions[number] = choices.index(choice) + 0.5 * offset
        seen[choice] += 1
    return positions


def _scale_by_logarithms(axes: Axes, values: Collection[float]) -> None:
    least, largest = min(value for value in values if value > 0), max(values)
    if min(values) <= 0:  # it has no logarithm: between the least others the axis is linear
        axes.set_xscale("symlog", linthresh=least)
    else:
        axes.set_xscale("log")
        decades = math.log10(largest / least)
        if 3 * decades <= _inches(axes) / _INCHES_PER_LABEL:
            subs = (1, 2, 5)
        else:
            subs = (1, 3) if decades < 2 else (1,)
        axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_minor_formatter(NullFormatter())
    # 1e-05 and 2e-04, as such numbers are written elsewhere, unless all are of a common size.
    is_small = least < 0.01
    axes.xaxis.set_major_formatter(
        lambda value, _: f"{value:.1e}".replace(".0e", "e") if is_small and value else f"{value:g}"
    )


def hashable(value: Any) -> Any:
    """The value, of a list a tuple: for sets, and as a key."""
    return tuple(value) if isinstance(value, list) else value


def plain(text: str) -> str:
    """The text as matplotlib shows it as it is: between two dollars it would read a formula."""
    return text.replace("$", r"\$")


def _inches(axes: Axes) -> float:
    """About how wide the axes will be, beside the numbers of y."""
    spec = axes.get_subplotspec()
    share = len(spec.colspan) / spec.get_gridspec().ncols
    return share * axes.figure.get_figwidth() - 0.6


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
