"""A sweep from its settings to a table, a picture, a config and a classifier."""

import contextlib
import dataclasses
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import keras_tuner
import pandas
from rich.console import Console

from kerasbert.config import FitConfig
from kerasbert.config_json import to_json
from kerasbert.config_search import Ranges, SearchConfig, check_sweep
from kerasbert.data.dataset import Dataset, read_dataset
from kerasbert.errors import TrainingError
from kerasbert.output_files import written_file
from kerasbert.places import file_digests
from kerasbert.run_directory import read_json
from kerasbert.search.oracles import build_oracle
from kerasbert.search.place import BEST_CONFIG, PICTURE, TABLE, SweepDirectory
from kerasbert.search.running import Suggest, TrialRunner
from kerasbert.search.screen import SweepScreen
from kerasbert.search.showing import best_trial
from kerasbert.search.space import check_space
from kerasbert.search.trials import Trial
from kerasbert.search.tuner import Tuner
from kerasbert.search.winner import keep_winner
from kerasbert.search.workers import (
    Watch,
    Workers,
    check_thread,
    chief_address,
    interruptible,
    role,
    worker_name,
)
from kerasbert.sweep_plots import draw_sweep
from kerasbert.training.console import say
from kerasbert.training.shared import Shared
from kerasbert.training.unfinished import settings_of

StartWorkers = Callable[[Path], AbstractContextManager[list[subprocess.Popen]]]


@dataclasses.dataclass(frozen=True)
class Sweep:
    """What a sweep found.

    Attributes:
        trials: all of them, in order.
        best: the best one.
        config: its settings; `fit_classifier` gives its numbers again.
        report: of its run, as `kerasbert.run.Run` has it.
        objective: what was compared.
        is_higher_better: its direction.
        directory: of the sweep; the run is in `best/`.
    """

    trials: list[Trial]
    best: Trial
    config: FitConfig
    report: dict[str, Any]
    objective: str
    is_higher_better: bool
    directory: Path


def sweep(
    output: str | Path,
    config: FitConfig,
    search: SearchConfig | None = None,
    *,
    suggest: Suggest | None = None,
    dataset: Dataset | None = None,
    start_workers: StartWorkers | None = None,
    console: Console | None = None,
) -> Sweep | None:
    """Search for the best settings.

    In `output` there are then `trials.csv`, `best.json` for `fit --config`, `sweep.png`, and the
    best trial's run in `best/`. With `config.resume` a sweep that was killed goes on; with more
    trials than before, also one that was complete.

    Args:
        output: a new directory.
        config: what holds for all trials.
        search: how to search.
        suggest: called with Keras Tuner's hyperparameters and `config`, it gives the settings of a
            trial; the whole search space. Default: `Ranges().suggest`, learning rates alone.
        dataset: examples to use, instead of reading the files that `config.data` names.
        start_workers: starts workers for the directory it is given, of which this process then is
            the chief; see `kerasbert.search.workers.started_workers`.
        console: where to show the trials. Default: nothing is shown.

    Returns:
        What was found; None in a worker, whose trials the chief puts together.

    Raises:
        InputError: a file, a setting or the base cannot be used; or the place is taken; or there
            is `max_minutes`, or this is a chief or a worker, outside the main thread.
        TrainingError: no trial was completed, or all workers ended before.
        KeyboardInterrupt: Ctrl-C; it goes on with `config.resume`.
    """
    search, console = search or SearchConfig(), console or Console(quiet=True)
    suggest, until = suggest or Ranges().suggest, _until(search)
    check_sweep(config, search, _ranges_of(suggest))
    if search.max_minutes is not None or start_workers or role() != "alone":
        check_thread()
    dataset = dataset or read_dataset(config.data, config.train.seed)
    objective = search.objective_for(dataset.labels.task)
    place = SweepDirectory(output)
    settings = sweep_settings(config, search, suggest)
    with contextlib.ExitStack() as stack:
        shared = stack.enter_context(Shared())
        runner = TrialRunner(config, suggest, objective, place, dataset, shared, worker_name())
        # Keras Tuner's own notes, which nobody reads: what goes on with a sweep is its directory.
        notes = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kerasbert-")))
        if role() == "worker":
            say(console, f"waiting for the chief at {chief_address()}")
            with _time_limit(until):
                place.join(settings)
                with Workers(place.path).present(worker_name()):
                    _search(_tuner(config, search, runner, notes))
            return None
        screen = SweepScreen(
            place,
            console,
            objective=objective,
            is_higher_better=runner.is_higher_better,
            planned=search.trials,
        )
        tuner = _tuner(config, search, runner, notes, lambda number: screen.update())
        check_space(tuner.oracle.get_space(), runner.settings, dataset.labels, shared.bases)
        stack.callback(place.close)
        goes_on = place.begin(settings, resume=config.resume)
        if goes_on and place.state.is_file():
            tuner.oracle.restore(read_json(place.state))
        tuner.oracle.state_file = place.state
        processes = stack.enter_context(start_workers(place.path)) if start_workers else []
        with screen:
            _run_trials(tuner, place, processes, until, screen)
            screen.update()
        return _finish(place, runner, shared, search, tuner, console)


def sweep_settings(config: FitConfig, search: SearchConfig, suggest: Suggest) -> dict[str, Any]:
    """What decides the trials of a sweep, as JSON values."""
    ranges = _ranges_of(suggest)
    if ranges is None:
        named = suggest if hasattr(suggest, "__qualname__") else type(suggest)  # a partial has none
        space = f"{named.__module__}.{named.__qualname__}"
    else:
        space = {name: list(values) for name, values in dataclasses.asdict(ranges).items()}
    return {
        "fit": settings_of(config),
        "search": {"tuner": search.tuner, "objective": search.objective},
        "space": space,
        "files": file_digests(config.data),
    }


def _ranges_of(suggest: Suggest) -> Ranges | None:
    ranges = getattr(suggest, "__self__", None)
    return ranges if isinstance(ranges, Ranges) else None


def _tuner(config, search, runner, notes, on_trial=lambda number: None) -> Tuner:
    objective = keras_tuner.Objective(runner.objective, "max" if runner.is_higher_better else "min")
    oracle = build_oracle(search, objective, epochs=config.train.epochs, seed=config.train.seed)
    return Tuner(oracle, runner, notes / "keras_tuner", on_trial)


def _run_trials(tuner: Tuner, place, processes: list, until: float, screen: SweepScreen) -> None:
    """Run the trials here, or have them run by workers."""
    if role() == "chief":
        watch = Watch(tuner.oracle, Workers(place.path), processes, until, screen.update)
        watch.serve(tuner.search)
        return
    with _time_limit(until):
        _search(tuner)


def _search(tuner: Tuner) -> None:
    try:
        tuner.search()
    except keras_tuner.errors.FatalError as error:
        raise error.__cause__ from None


@contextlib.contextmanager
def _time_limit(until: float):
    """End the block when the time is over, in the middle of a trial or of waiting for a chief."""
    if until == float("inf"):
        yield
        return
    is_over = threading.Event()
    with interruptible() as interrupt:

        def end():
            is_over.set()
            interrupt()

        timer = threading.Timer(max(0.0, until - time.monotonic()), end)
        timer.daemon = True
        timer.start()
        try:
            yield
        except KeyboardInterrupt:
            if not is_over.is_set():
                raise
        finally:
            timer.cancel()


def _until(search: SearchConfig) -> float:
    if search.max_minutes is None:
        return float("inf")
    return time.monotonic() + 60 * search.max_minutes


def _finish(place, runner, shared, search, tuner, console) -> Sweep:
    """Write what the trials come to."""
    trials = [_as_ended(trial) for trial in place.trials()]
    best = best_trial(trials, runner.is_higher_better)
    write_table(trials, place.path / TABLE, runner.objective)
    if best is None:
        last = next((trial.error for trial in reversed(trials) if trial.error), None)
        why = f"The last one: {last}" if last else "There was no time for one: raise --max-minutes."
        raise TrainingError(f"None of {len(trials)} trials was completed. {why}")
    draw_sweep(
        trials,
        runner.objective,
        runner.is_higher_better,
        place.path / PICTURE,
        log_scaled=tuner.log_scaled,
    )
    config = place.config(best.number)
    with written_file(place.path / BEST_CONFIG) as file:
        file.write(to_json(config))
    keep_winner(place, best.number, runner, shared, refit=search.refit, console=console)
    place.remove_runs(trial.number for trial in trials)
    report = read_json(place.best / "report.json")
    return Sweep(
        trials, best, config, report, runner.objective, runner.is_higher_better, place.path
    )


def _as_ended(trial: Trial) -> Trial:
    if trial.status != "running":
        return trial
    return dataclasses.replace(trial, status="unfinished")


def write_table(trials: list[Trial], path: Path, objective: str) -> None:
    """Write `trials.csv`: number, status, the objective, hyperparameters, other numbers, error."""
    rows = [
        {
            "trial": trial.number,
            "status": trial.status,
            objective: trial.score,
            **trial.values,
            **{f"val_{name}": value for name, value in trial.metrics.items()},
            "seconds": trial.seconds,
            "worker": trial.worker,
            "error": trial.error,
        }
        for trial in trials
    ]
    with written_file(path) as file:
        pandas.DataFrame(rows).to_csv(file, index=False, lineterminator="\n")
