"""The trials of a sweep for people: a table for a terminal, a line each for anything else."""

from collections.abc import Mapping, Sequence

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from kerasbert.search.showing import (
    best_trial,
    one_line,
    scored_trials,
    shorten,
    show_score,
    show_seconds,
    show_value,
)
from kerasbert.search.trials import Trial

# Characters of a hyperparameter that is a text, and of an error, in a cell; of an error in a line.
_LONGEST_VALUE, _LONGEST_ERROR, _LONGEST_IN_A_LINE = 28, 60, 200
# What a narrow terminal leaves of a text and of an error; of numbers it leaves all.
_LEAST_TEXT = 14
# A longer name has its column's head in two lines.
_LONGEST_HEAD = 8


def sweep_table(
    trials: Sequence[Trial],
    objective: str,
    is_higher_better: bool,
    *,
    planned: int | None = None,
    limit: int | None = None,
    now_seconds: Mapping[int, float] | None = None,
) -> Table:
    """A row per trial, the best one marked, with the counts below, for `rich` to print.

    Args:
        trials: of any status, in any order; the rows are in that of their numbers.
        objective: what the scores are of, such as "val_macro_f1"; the head of their column.
        is_higher_better: whether the best score is the highest, or the lowest.
        planned: number of trials that the sweep will have; None where nobody knows.
        limit: most rows. Of more trials, the better half of them is the best ones and the rest
            the latest; the caption tells how many are not shown. None shows all.
        now_seconds: seconds since a running trial began, by its number.

    Returns:
        The table. Where it is too wide, first errors and texts get narrower; then what is on the
        right is cut off.
    """
    best = best_trial(trials, is_higher_better)
    shown = _rows_to_show(trials, is_higher_better, limit)
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True, caption_justify="left")
    columns = [
        _add(table, "trial", [str(trial.number) for trial in shown]),
        _add(table, "status", [_status(trial, best) for trial in shown], "left"),
        _add(table, objective, [_score(trial) for trial in shown]),
    ]
    for name in dict.fromkeys(name for trial in trials for name in trial.values):
        is_text = any(isinstance(trial.values.get(name), str) for trial in shown)
        cells = [_cell(trial, name) for trial in shown]
        columns.append(_add(table, name, cells, "left" if is_text else "right", folds=is_text))
    seconds = [_seconds(trial, now_seconds or {}) for trial in shown]
    columns.append(_add(table, "seconds", list(map(show_seconds, seconds))))
    if any(trial.worker for trial in trials):
        columns.append(_add(table, "worker", [one_line(trial.worker) for trial in shown], "left"))
    if any(trial.status == "failed" for trial in shown):
        errors = [_error(trial, _LONGEST_ERROR) for trial in shown]
        columns.append(_add(table, "error", errors, "left", folds=True))
        for text in columns[-1]:  # a narrow column cuts it: a row of many lines is hard to read
            text.no_wrap, text.overflow = True, "ellipsis"
    for trial, texts in zip(shown, zip(*columns, strict=True), strict=True):
        style = "dim" if trial.status == "failed" else ""
        table.add_row(*texts, style="bold green" if _is(trial, best) else style)
    table.caption = Text(_caption(trials, best, planned, len(shown)))
    return table


def trial_line(trial: Trial, objective: str, best: Trial | None) -> str:
    """One line of a trial, for an output that is no terminal.

    Args:
        trial: that began, or that ended.
        objective: what its score is of.
        best: the best trial so far; None where none has a score.

    Example:
        >>> trial = Trial(7, "completed", {"dropout": 0.1}, score=0.73125, seconds=8.1)
        >>> trial_line(trial, "val_macro_f1", trial)
        'trial 7: val_macro_f1 0.7312  dropout 0.1  8.1 s  (best)'
    """
    if trial.status == "completed":
        head = f"{objective} {show_score(trial.score)}"
    elif trial.status == "failed":
        head = f"failed: {_error(trial, _LONGEST_IN_A_LINE)}"
    else:
        head = trial.status
    parts = [
        f"trial {trial.number}: {head}",
        *(f"{one_line(name)} {show_value(value)}" for name, value in trial.values.items()),
    ]
    if trial.seconds is not None:
        parts.append(f"{show_seconds(trial.seconds)} s")
    if trial.worker:
        parts.append(one_line(trial.worker))
    if _is(trial, best):
        parts.append("(best)")
    return "  ".join(parts)


def _add(
    table: Table, name: str, cells: list[str], justify: str = "right", *, folds: bool = False
) -> list[Text]:
    """Add the head of a column, and give its cells as texts, in which nothing is markup."""
    head = _head(name)
    width = max(map(cell_len, [*cells, *head.plain.split("\n")]))
    table.add_column(
        head,
        justify=justify,
        overflow="fold",
        no_wrap=not folds,
        min_width=min(width, _LEAST_TEXT) if folds else width,
    )
    return list(map(Text, cells))


def _rows_to_show(
    trials: Sequence[Trial], is_higher_better: bool, limit: int | None
) -> list[Trial]:
    """At most `limit` trials, by number: half of them the best, and the latest of the others."""
    by_number = sorted(trials, key=lambda trial: trial.number)
    if limit is None or len(by_number) <= limit:
        return by_number
    by_score = sorted(
        scored_trials(by_number), key=lambda trial: trial.score, reverse=is_higher_better
    )
    chosen = {trial.number for trial in by_score[: (limit + 1) // 2]}
    for trial in reversed(by_number):
        if len(chosen) >= limit:
            break
        chosen.add(trial.number)
    return [trial for trial in by_number if trial.number in chosen]


def _caption(
    trials: Sequence[Trial], best: Trial | None, planned: int | None, num_shown: int
) -> str:
    """Such as "20 of 50 trials, 2 failed, 1 running, best 0.7312, 5 not shown"."""
    counts = {
        status: sum(trial.status == status for trial in trials)
        for status in ("completed", "failed", "running", "unfinished")
    }
    ended, total = counts["completed"] + counts["failed"], max(len(trials), planned or 0)
    number = str(total) if ended == total else f"{ended} of {total}"
    parts = [f"{number} trial" if total == 1 else f"{number} trials"]
    parts += [
        f"{counts[status]} {status}"
        for status in ("failed", "running", "unfinished")
        if counts[status]
    ]
    if best is not None:
        parts.append(f"best {show_score(best.score)}")
    if num_shown < len(trials):
        parts.append(f"{len(trials) - num_shown} not shown")
    return ", ".join(parts)


def _head(name: str) -> Text:
    """The name, of which a long one is broken after the underscore that is nearest its middle."""
    name = one_line(name)
    breaks = [place + 1 for place, letter in enumerate(name[:-1]) if letter == "_"]
    if len(name) > _LONGEST_HEAD and breaks:
        place = min(breaks, key=lambda place: abs(2 * place - len(name)))
        name = f"{name[:place]}\n{name[place:]}"
    return Text(name)


def _is(trial: Trial, best: Trial | None) -> bool:
    return best is not None and trial.number == best.number


def _status(trial: Trial, best: Trial | None) -> str:
    return "★ best" if _is(trial, best) else trial.status


def _score(trial: Trial) -> str:
    return show_score(trial.score) if trial.status == "completed" else ""


def _cell(trial: Trial, name: str) -> str:
    return shorten(show_value(trial.values[name]), _LONGEST_VALUE) if name in trial.values else ""


def _seconds(trial: Trial, now_seconds: Mapping[int, float]) -> float | None:
    return now_seconds.get(trial.number) if trial.status == "running" else trial.seconds


def _error(trial: Trial, most: int) -> str:
    """The start of what went wrong, in one line; of a trial that did not fail, nothing."""
    error = one_line(trial.error or "")
    if trial.status != "failed":
        return ""
    if not error:
        return "no reason is known"
    return error if len(error) <= most else f"{error[: most - 3].rstrip()}..."
