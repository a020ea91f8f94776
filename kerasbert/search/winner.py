"""The best trial's classifier: kept, scored on the test data, or trained again on all rows."""

import dataclasses
import shutil
from pathlib import Path
from typing import Any

from rich.console import Console

from kerasbert import saving
from kerasbert.config import FitConfig
from kerasbert.config_json import read_config
from kerasbert.data.dataset import Dataset
from kerasbert.data.facts import data_facts
from kerasbert.data.labels import Labels
from kerasbert.history import read_history
from kerasbert.judged import Judged
from kerasbert.models.running import running_precision
from kerasbert.output_files import written_file
from kerasbert.reporting.writing import write_reports
from kerasbert.run import Run
from kerasbert.run_directory import (
    HISTORY,
    LABELS,
    METADATA,
    REPORT,
    is_run,
    json_text,
    read_json,
)
from kerasbert.search.place import SweepDirectory
from kerasbert.search.running import TrialRunner
from kerasbert.training.console import say
from kerasbert.training.parts import trained_part
from kerasbert.training.shared import Shared
from kerasbert.training.unfinished import settings_digest


def keep_winner(
    place: SweepDirectory,
    number: int,
    runner: TrialRunner,
    shared: Shared,
    *,
    refit: bool,
    console: Console,
) -> None:
    """Put the best trial's run into its place; the test examples are looked at here, and once.

    Args:
        place: of the sweep.
        number: of the best trial.
        runner: which ran it, or could.
        shared: what trials have in common.
        refit: train once more, on all rows.
        console: where to show that.
    """
    config = place.config(number)
    dataset, directory = runner.dataset(config), place.run(number)
    refitted, everything = config, dataset
    if refit:
        refitted, everything = _on_all_rows(place, config, number, dataset)
    if _is_kept(place, refitted, refit):
        return
    decides = not config.decision.is_default
    # Another process may have held one of its own for the best.
    if not is_run(directory) and (decides or not refit):
        saving.save(directory, runner.train(config), overwrite=True)
    if refit:
        say(console, f"training trial {number} once more, on all rows; val_... are of these, too")
        run = runner.train(refitted, everything, console=console)
        if decides:  # which rows that it has learned from cannot
            run = _decided_by(run, read_config(Labels, directory / LABELS))
        saving.save(place.best, _without_validation(run), overwrite=True)
        return
    _judge(directory, config, dataset, shared)
    shutil.rmtree(place.best, ignore_errors=True)
    directory.rename(place.best)


def _decided_by(run: Run, labels: Labels) -> Run:
    """A run that decides as another does."""
    judged = {name: part.decided_by(labels) for name, part in run.judged.items()}
    report = {name: part.report for name, part in judged.items()}
    return dataclasses.replace(run, labels=labels, judged=judged, report=report)


def _without_validation(run: Run) -> Run:
    """A run without the numbers on rows that it was said to be validated on, and learned from."""
    report, judged, data = (
        {name: part for name, part in parts.items() if name != "validation"}
        for parts in (run.report, run.judged, run.data)
    )
    history = [
        {name: None if name.startswith("val_") else value for name, value in row.items()}
        for row in run.history
    ]
    return dataclasses.replace(run, report=report, history=history, judged=judged, data=data)


def _is_kept(place: SweepDirectory, config: FitConfig, refit: bool) -> bool:
    """Whether the run was put into its place before, by a sweep that now was gone on with."""
    if not is_run(place.best):
        return False
    metadata = read_json(place.best / METADATA)
    # Only a run that was trained on all rows has no report on the validation data.
    is_refit = "validation" not in metadata["report"]
    return is_refit == refit and metadata["training"]["settings"] == settings_digest(config)


def _judge(directory: Path, config: FitConfig, dataset: Dataset, shared: Shared) -> None:
    """Write what a trial's run says of the held-out rows, as `fit` does when it has trained."""
    judged = _judged(saving.load_run(directory, "float32"), config, dataset, shared)
    if "test" in judged:
        _add_test(directory, judged["test"].report, dataset)
    write_reports(directory, judged, read_history(directory / HISTORY))


def _judged(run: Run, config: FitConfig, dataset: Dataset, shared: Shared) -> dict[str, Judged]:
    """What a run says of the validation and test examples, found as `fit` finds it."""
    precision = running_precision(config.train.precision, run.config.encoder)
    parts = {"validation": dataset.validation, "test": dataset.test}
    judged = {}
    for name, examples in parts.items():
        if examples is None:
            continue
        tokens = run.tokenizer(examples.texts, examples.pairs)
        part = trained_part(
            run.model,
            run.config,
            config.train,
            precision,
            tokens,
            Console(quiet=True),
            shared=shared,
            num_epochs=1,
        )
        judged[name] = Judged(run.labels, examples, part.outputs(tokens))
        part.close()
    return judged


def _add_test(directory: Path, report: dict[str, Any], dataset: Dataset) -> None:
    """Add the test examples, which trials know nothing of, to what is known of a saved run."""
    metadata = read_json(directory / METADATA)
    metadata["report"]["test"] = report
    metadata["data"] = data_facts(dataset)
    for file_name, values in {METADATA: metadata, REPORT: metadata["report"]}.items():
        with written_file(directory / file_name) as file:
            file.write(json_text(values))


def _on_all_rows(
    place: SweepDirectory, config: FitConfig, number: int, dataset: Dataset
) -> tuple[FitConfig, Dataset]:
    """A trial's settings and the rows for training it without any held out."""
    train = config.train
    if train.patience is not None:
        # Nothing is held out by which to stop, so it stops where the trial was at its best; its
        # step size falls to 0 by then.
        best = int(place.find(number).metrics["best_epoch"])
        epochs = max(best, train.unfreeze_from or 1)
        train = dataclasses.replace(train, patience=None, epochs=epochs, max_steps=None)
    rows = dataset.train.joined(dataset.validation)
    return dataclasses.replace(config, train=train), dataclasses.replace(dataset, train=rows)
