"""One run from a config to its directory, with checkpoints beside it while it is unfinished."""

import contextlib
import shutil
from pathlib import Path

from rich.console import Console

from kerasbert import saving
from kerasbert.config import FitConfig
from kerasbert.data.dataset import Dataset
from kerasbert.places import check_place, is_finished, unfinished_beside
from kerasbert.run import Run
from kerasbert.run_directory import is_interrupted
from kerasbert.training.fitting import fit_classifier
from kerasbert.training.unfinished import Unfinished

TENSORBOARD = "tensorboard"  # where `open_trackers` has its logs


def fit_to(
    output: str | Path,
    config: FitConfig,
    dataset: Dataset | None = None,
    *,
    console: Console | None = None,
) -> Run:
    """Train and save; where the process is killed, the same call with `config.resume` goes on.

    Checkpoints are kept in `OUTPUT.unfinished` until the run is complete. A run that is complete
    already is loaded when `config.resume` asks for it.

    Args:
        output: the run's directory.
        config: what to do.
        dataset: examples to use, instead of reading the files that `config.data` names.
        console: where to show bars and numbers. Default: nothing is shown.

    Raises:
        InputError: the place is taken; or as `fit_classifier`, whose other errors are raised, too.
    """
    check_place(config, output)
    output, unfinished = Path(output), unfinished_beside(output)
    logs = unfinished.directory / TENSORBOARD
    if is_finished(config, output):
        run = saving.load_run(output)
    else:
        with contextlib.ExitStack() as if_it_fails:
            if_it_fails.callback(_remove_if_useless, unfinished)
            run = fit_classifier(config, dataset, unfinished=unfinished.directory, console=console)
            if_it_fails.pop_all()
        may_replace = config.overwrite or (config.resume and is_interrupted(output))
        saving.save(output, run, overwrite=may_replace)
    if logs.is_dir():
        shutil.copytree(logs, output / TENSORBOARD, dirs_exist_ok=True)
    if not run.training.get("interrupted"):
        unfinished.remove()
    return run


def _remove_if_useless(unfinished: Unfinished) -> None:
    """Without a checkpoint nothing can go on."""
    if not unfinished.has_checkpoints:
        unfinished.remove()
