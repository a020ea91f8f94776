"""Keras Tuner's loop, in which each trial is a training."""

import time
from pathlib import Path

import keras_tuner
from keras_tuner.engine.base_tuner import BaseTuner

from kerasbert.search.running import TrialRunner
from kerasbert.search.trials import Trial


class Tuner(BaseTuner):
    """Asks an oracle for trials and runs them.

    Args:
        oracle: from `build_oracle`. Its space is what `runner` asks for.
        runner: of the trials.
        directory: where Keras Tuner may write; emptied.
        on_trial: called with the number of a trial when it begins, and when it has ended.
    """

    def __init__(self, oracle, runner: TrialRunner, directory: Path, on_trial):
        self._runner, self._on_trial = runner, on_trial
        self._trial: Trial | None = None
        self._waits = False
        super().__init__(
            oracle,
            hypermodel=runner.settings,
            directory=str(directory.parent),
            project_name=directory.name,
            overwrite=True,
        )

    @property
    def hyperparameters(self) -> list:
        """What is searched."""
        return self.oracle.get_space().space

    @property
    def log_scaled(self) -> list[str]:
        """Names of the hyperparameters that are searched on a logarithmic scale."""
        return [hp.name for hp in self.hyperparameters if getattr(hp, "sampling", None) == "log"]

    def pre_create_trial(self):
        if self._waits:
            time.sleep(0.5)  # Keras Tuner asks again at once
        self._waits = True

    def on_trial_begin(self, trial):
        self._waits = False
        self._on_trial(int(trial.trial_id))

    def run_trial(self, trial):
        try:
            self._trial = self._runner.run(int(trial.trial_id), trial.hyperparameters)
        except Exception as error:  # Keras Tuner would call a bug, or a full disk, a failed trial
            raise keras_tuner.errors.FatalError(str(error)) from error
        if self._trial.score is not None:
            return {self.oracle.objective.name: self._trial.score}
        worst = float("-inf") if self._runner.is_higher_better else float("inf")
        return {self.oracle.objective.name: worst}

    def on_trial_end(self, trial):
        if self._trial.status == "failed":
            trial.status, trial.message = "FAILED", self._trial.error
        super().on_trial_end(trial)
        self._waits = False
        self._on_trial(self._trial.number)
