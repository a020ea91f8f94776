"""A sweep while it runs: a table on a terminal, a line per trial anywhere else."""

import threading

from rich.console import Console
from rich.live import Live
from rich.table import Table

from kerasbert.search.place import SweepDirectory, seconds_since
from kerasbert.search.showing import best_trial
from kerasbert.search.table import sweep_table, trial_line
from kerasbert.search.trials import Trial
from kerasbert.training.console import say

# A terminal of 24 lines holds so many rows of a table.
_ROWS = 15


class SweepScreen:
    """Shows the trials of a directory. A context manager.

    Args:
        place: of the sweep; other processes may write to it.
        console: where to.
        objective: what trials are compared by.
        is_higher_better: its direction.
        planned: how many trials there will be at most.
    """

    def __init__(
        self,
        place: SweepDirectory,
        console: Console,
        *,
        objective: str,
        is_higher_better: bool,
        planned: int,
    ):
        self._place, self._console = place, console
        self._objective, self._is_higher_better = objective, is_higher_better
        self._planned = planned
        self._shown: set[int] = set()
        self._lock = threading.Lock()
        self._live = Live(
            console=console,
            get_renderable=self._table,
            refresh_per_second=1,
            transient=True,
        )

    def __enter__(self):
        if self._console.is_terminal:
            self._live.start()
        self._shown = {trial.number for trial in self._ended()}
        return self

    def __exit__(self, *error):
        self._live.stop()

    def update(self) -> None:
        """Show what is new."""
        if self._console.is_terminal:
            self._live.refresh()
            return
        with self._lock:
            ended = self._ended()
            best = best_trial(ended, self._is_higher_better)
            for trial in ended:
                if trial.number not in self._shown:
                    self._shown.add(trial.number)
                    say(self._console, trial_line(trial, self._objective, best))

    def _ended(self) -> list[Trial]:
        return [trial for trial in self._place.trials() if trial.status != "running"]

    def _table(self) -> Table:
        started = self._place.started()
        trials = self._place.trials()
        return sweep_table(
            trials,
            self._objective,
            self._is_higher_better,
            planned=self._planned,
            limit=_ROWS,
            now_seconds={trial.number: seconds_since(started[trial.number]) for trial in trials},
        )
