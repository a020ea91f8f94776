"""Several runs of one config, one per seed or per fold, and what they have in common.

They lie side by side in one directory, each a run of its own, with `summary.json` once all are
there, and for folds `out_of_fold.csv`.
"""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
from rich.console import Console

from kerasbert.config import FitConfig
from kerasbert.data.dataset import Dataset, read_dataset
from kerasbert.data.examples import Examples
from kerasbert.data.folds import read_folds
from kerasbert.inference import Classifier
from kerasbert.out_of_fold import out_of_fold_columns, out_of_fold_report, write_out_of_fold
from kerasbert.output_files import written_file
from kerasbert.places import SUMMARY, check_place, file_digests, unfinished_beside
from kerasbert.run import Run
from kerasbert.run_directory import json_text
from kerasbert.runs import fit_to
from kerasbert.summary import summarize
from kerasbert.training.console import say

OUT_OF_FOLD = "out_of_fold.csv"


def fit_repeatedly(
    output: str | Path, config: FitConfig, *, console: Console | None = None
) -> dict[str, Any]:
    """Train once per seed of `config.seeds`, or once per fold of `config.folds`.

    With `config.resume` runs that are complete are not trained again. A run of `seeds` is the run
    that `--seed` alone gives.

    Args:
        output: directory of the runs, `seed_0` and so on, or `fold_1` and so on.
        config: what to do.
        console: where to show bars and numbers. Default: nothing is shown.

    Returns:
        What `kerasbert.summary.summarize` gives of the runs' reports; with folds also
        `out_of_fold`, the report on all rows while they were held out.

    Raises:
        InputError: a file, a setting or the base cannot be used.
        TrainingError: a run failed.
        KeyboardInterrupt: a run was interrupted, and is saved as such.
    """
    console, output = console or Console(quiet=True), Path(output)
    check_place(config, output)
    with contextlib.closing(unfinished_beside(output)) as unfinished:
        unfinished.begin(config, file_digests(config.data))
        summary = _fit_all(output, config, console)
    unfinished.remove()
    return summary


def _fit_all(output: Path, config: FitConfig, console: Console) -> dict[str, Any]:
    """Train what is not trained yet, and write what all have in common."""
    folds = [] if config.folds is None else read_folds(config.data, config.folds, config.train.seed)
    if folds:
        out_of_fold_columns(folds[0].dataset.labels)  # refuses names before anything is trained
    members = _folds(config, folds) if folds else _seeds(config)
    reports, held_out, labels = [], [], None
    for number, (name, member, dataset) in enumerate(members, start=1):
        keras.utils.clear_session()  # gives up the model before
        say(console, f"{name}, {number} of {len(folds or config.seeds)}")
        run = fit_to(output / name, member, dataset, console=console)
        if run.training.get("interrupted"):
            raise KeyboardInterrupt
        reports.append(run.report)
        if folds:
            held_out.append(_outputs(run, dataset.validation))
        labels = run.labels
    summary = summarize(reports)
    if folds:
        write_out_of_fold(output / OUT_OF_FOLD, folds, held_out, labels=labels)
        summary["out_of_fold"] = out_of_fold_report(folds, held_out, labels=labels)
    with written_file(output / SUMMARY) as file:
        file.write(json_text(summary))
    return summary


def _outputs(run: Run, examples: Examples) -> np.ndarray:
    """What a run says of the examples that it was validated on."""
    if judged := run.judged.get("validation"):
        return judged.outputs
    return Classifier(run).outputs(examples.texts, examples.pairs)  # it was complete already


def _seeds(config: FitConfig) -> Iterator[tuple[str, FitConfig, Dataset]]:
    for seed in config.seeds:
        train = dataclasses.replace(config.train, seed=seed)
        member = dataclasses.replace(config, train=train, seeds=None, output=None)
        yield f"seed_{seed}", member, read_dataset(config.data, seed)


def _folds(config: FitConfig, folds) -> Iterator[tuple[str, FitConfig, Dataset]]:
    member = dataclasses.replace(config, folds=None, output=None)
    for number, fold in enumerate(folds, start=1):
        yield f"fold_{number}", member, fold.dataset
