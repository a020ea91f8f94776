"""What the table and the picture of a sweep share: which trial is best, and how values read."""

import math
from collections.abc import Sequence
from typing import Any

from kerasbert.search.trials import Trial


def scored_trials(trials: Sequence[Trial]) -> list[Trial]:
    """The completed trials whose score is a finite number, in their order."""
    return [
        trial
        for trial in trials
        if trial.status == "completed" and trial.score is not None and math.isfinite(trial.score)
    ]


def best_trial(trials: Sequence[Trial], is_higher_better: bool) -> Trial | None:
    """The trial of the best score, of equal ones the first; None where none has a score."""
    choose = max if is_higher_better else min
    return choose(scored_trials(trials), key=lambda trial: trial.score, default=None)


def show_score(score: float | None) -> str:
    """A score to four places, or a dash; one too small for them as 1.23e-05."""
    if score is None:
        return "-"
    return f"{score:.2e}" if 0 < abs(score) < 1e-3 else f"{score:.4f}"


def show_value(value: Any) -> str:
    """A hyperparameter in one line: 1.23e-03, 0.1, 384,384, or the text as it is.

    Example:
        >>> show_value(0.00123456), show_value(0.123456), show_value([384, 384])
        ('1.23e-03', '0.1235', '384,384')
    """
    if isinstance(value, list | tuple):
        return ",".join(map(show_value, value))
    if isinstance(value, float):
        return f"{value:.2e}" if 0 < abs(value) < 0.01 else f"{value:.4g}"
    return one_line(str(value))


def show_seconds(seconds: float | None) -> str:
    """Seconds to a tenth, from 100 on to a whole one; nothing for None."""
    if seconds is None:
        return ""
    return f"{seconds:,.1f}" if seconds < 99.95 else f"{seconds:,.0f}"


def one_line(text: str) -> str:
    """The text with a space for each line break and each run of blanks."""
    return " ".join(text.split())


def shorten(text: str, most: int) -> str:
    """The text in at most so many characters: of a longer one, such as a path, both ends.

    Example:
        >>> shorten("/home/anna/models/minilm-l6", 16)
        '/home…/minilm-l6'
    """
    if len(text) <= most:
        return text
    head = (most - 1) // 3
    return f"{text[:head]}…{text[head + 1 - most :]}"
