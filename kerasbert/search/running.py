"""One trial: hyperparameters to settings, settings to a classifier, and what it is worth."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any

import keras
from keras_tuner import HyperParameters

from kerasbert import saving
from kerasbert.config import DataConfig, FitConfig
from kerasbert.config_train import MONITORS
from kerasbert.data.dataset import Dataset, read_dataset
from kerasbert.deciding.choosing import undecided
from kerasbert.errors import InputError, TrainingError
from kerasbert.run import Run
from kerasbert.search.place import SweepDirectory, seconds_since
from kerasbert.search.trials import Trial
from kerasbert.training.fitting import fit_classifier
from kerasbert.training.memory import out_of_memory_explained
from kerasbert.training.shared import Shared
from kerasbert.training.unfinished import Unfinished, settings_digest

Suggest = Callable[[HyperParameters, FitConfig], FitConfig]

# What a report has beside numbers of which more or less is better.
_NO_METRICS = ("count", "labels")
# How hyperband says for how long a trial trains, and what it keeps its own books by.
_EPOCHS, _BOOKS = "tuner/epochs", "tuner/"


class TrialRunner:
    """Runs trials one after the other in this process, and writes down what became of them.

    Args:
        config: what holds for all trials.
        suggest: from hyperparameters and `config` to the settings of a trial.
        objective: a key of `MONITORS`.
        place: where results go.
        dataset: of `config`; its test examples are not looked at.
        shared: what trials have in common.
        worker: name of this process; "" where there is only one.
    """

    def __init__(
        self,
        config: FitConfig,
        suggest: Suggest,
        objective: str,
        place: SweepDirectory,
        dataset: Dataset,
        shared: Shared,
        worker: str = "",
    ):
        self._config, self._suggest, self.objective = config, suggest, objective
        self._place, self._shared, self._worker = place, shared, worker
        self._datasets = [_Rows(config.data, config.train.seed, dataset)]

    @property
    def is_higher_better(self) -> bool:
        """The direction of the objective."""
        return MONITORS[self.objective]

    def settings(self, hyperparameters: HyperParameters) -> FitConfig:
        """The settings of a trial.

        Raises:
            InputError: they do not go together.
        """
        config = self._suggest(hyperparameters, self._config)
        if (epochs := hyperparameters.values.get(_EPOCHS)) is not None:
            # From the beginning and not from the shorter trial's weights, whose step size had
            # fallen to 0 by then: so the trial is what `fit` does with the same settings.
            config = dataclasses.replace(
                config, train=dataclasses.replace(config.train, epochs=epochs)
            )
        return dataclasses.replace(
            config, output=None, overwrite=False, resume=False, seeds=None, folds=None
        )

    def run(self, number: int, hyperparameters: HyperParameters) -> Trial:
        """Run a trial, or give what is written of it, if it was finished already.

        What the settings or the training make impossible is a failed trial.

        Raises:
            KeyboardInterrupt: Ctrl-C, or the end of the time; the trial is not finished.
        """
        started = time.time()
        trial = Trial(number, "running", _values(hyperparameters), worker=self._worker)
        try:
            config = self.settings(hyperparameters)
        except InputError as error:
            return self._write(dataclasses.replace(trial, status="failed", error=str(error)))
        if (known := self._finished(number, config)) is not None:
            return known
        self._place.write(trial, config, started)
        try:
            metrics = self._train(number, config)
            score = metrics[self.objective.removeprefix("val_")]
            if score is None:
                raise InputError(f"{self.objective} has no value on these validation data.")
            trial = dataclasses.replace(trial, status="completed", score=score, metrics=metrics)
        except (InputError, TrainingError) as error:
            trial = dataclasses.replace(trial, status="failed", error=str(error))
        trial = dataclasses.replace(trial, seconds=round(seconds_since(started), 2))
        return self._write(trial, config, started)

    def train(self, config: FitConfig, dataset: Dataset | None = None, **options: Any) -> Run:
        """Train by these settings, with nothing left of what was trained before.

        Args:
            config: of a trial.
            dataset: default: the config's, without test examples.
            **options: of `fit_classifier`.
        """
        keras.utils.clear_session()  # else Keras keeps every graph of every trial
        dataset = dataset or self._rows(config).untested
        with out_of_memory_explained(
            config.train.batch_size,
            config.model.max_length,
            gradient_accumulation=config.train.gradient_accumulation,
        ):
            run = fit_classifier(config, dataset, shared=self._shared, **options)
        if run.training["interrupted"]:
            raise KeyboardInterrupt
        return run

    def _train(self, number: int, config: FitConfig) -> dict[str, float | None]:
        """Train, keep the classifier if it is the best so far, and give its numbers."""
        unfinished = None
        if not config.model.freeze_base:  # a head is trained again sooner than written down
            unfinished = self._place.unfinished(number)
            config = dataclasses.replace(config, resume=True)
        run = self.train(config, unfinished=unfinished)
        report = run.report["validation"]
        if not config.decision.is_default:
            # Compared as it was trained, and not by what was then fitted to these very rows.
            judged = run.judged["validation"]
            report = judged.decided_by(undecided(judged.labels)).report
        metrics = {name: value for name, value in report.items() if name not in _NO_METRICS}
        if config.train.patience is not None:
            metrics["best_epoch"] = run.training["best_epoch"]
        score = metrics.get(self.objective.removeprefix("val_"))
        others = [trial for trial in self._place.trials() if trial.score is not None]
        if score is not None and all(self._is_better(score, trial.score) for trial in others):
            # Without what it said of the rows: pages are drawn for the winner alone.
            run = dataclasses.replace(run, judged={})
            saving.save(self._place.run(number), run, overwrite=True)
            self._place.remove_runs(trial.number for trial in others)
        if unfinished is not None:
            Unfinished(unfinished).remove()
        return metrics

    def _is_better(self, score: float, than: float) -> bool:
        return score > than if self.is_higher_better else score < than

    def _finished(self, number: int, config: FitConfig) -> Trial | None:
        """A trial that this process, or one before it, brought to its end with these settings."""
        known = self._place.find(number)
        if known is None or known.status != "completed":
            return None
        before = self._place.config(number)
        return known if settings_digest(before) == settings_digest(config) else None

    def _write(self, trial: Trial, config: FitConfig | None = None, started: float = 0.0) -> Trial:
        self._place.write(trial, config, started)
        return trial

    def dataset(self, config: FitConfig) -> Dataset:
        """The examples of a trial's settings, those of the test included."""
        return self._rows(config).whole

    def _rows(self, config: FitConfig) -> "_Rows":
        for rows in self._datasets:
            if (rows.data, rows.seed) == (config.data, config.train.seed):
                return rows
        seed = config.train.seed
        # The sweep's own and the last: a search over seeds or files would else fill the memory.
        self._datasets[1:] = [_Rows(config.data, seed, read_dataset(config.data, seed))]
        return self._datasets[-1]


class _Rows:
    """A dataset, what it was read by, and the same without the test examples."""

    def __init__(self, data: DataConfig, seed: int, whole: Dataset):
        self.data, self.seed, self.whole = data, seed, whole
        self.untested = dataclasses.replace(whole, test=None)


def _values(hyperparameters: HyperParameters) -> dict[str, Any]:
    """A trial's values by name, without hyperband's books."""
    values = {
        name: value for name, value in hyperparameters.values.items() if not name.startswith(_BOOKS)
    }
    if _EPOCHS in hyperparameters.values:
        values["epochs"] = hyperparameters.values[_EPOCHS]
    return values
