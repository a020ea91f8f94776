"""Keras Tuner's ways of choosing the next trial, such that a sweep can be killed at any moment.

Keras Tuner writes its state in several files, one after the other, and leaves out what two of its
searches have beside it. Here all of it goes into one file, which is replaced at once.
"""

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import keras_tuner
import numpy as np
from keras_tuner.engine.trial import Trial
from sklearn.exceptions import ConvergenceWarning

from kerasbert.config_search import SearchConfig
from kerasbert.output_files import written_file

# Keras Tuner gives up after so many failures in a row; a sweep does not.
_NEVER = sys.maxsize


class _Remembered:
    """Mixed into an oracle: all that it knows is written down whenever it changes.

    Attributes:
        state_file: where to; None writes nothing.
        is_exhausted: whether there is no trial left to give out, and none running.
    """

    state_file: Path | None = None
    is_exhausted = False

    @keras_tuner.synchronized
    def create_trial(self, tuner_id):
        trial = super().create_trial(tuner_id)
        if trial.status == "STOPPED" and self.ongoing_trials:
            trial.status = "IDLE"  # a worker may die, and its trial is then to be run by another
        self.is_exhausted = trial.status == "STOPPED"
        self.write()
        return trial

    @keras_tuner.synchronized
    def end_trial(self, trial):
        super().end_trial(trial)
        self.write()

    def write(self) -> None:
        """Write the state to its file."""
        if self.state_file is not None:
            trials = [trial.get_state() for trial in self.trials.values()]
            with written_file(self.state_file) as file:
                json.dump({"oracle": self.get_state(), "trials": trials}, file)

    def restore(self, state: dict[str, Any]) -> None:
        """Go back to a state that was written; what was running then is run again."""
        for values in state["trials"]:
            trial = Trial.from_state(values)
            self.trials[trial.trial_id] = trial
        ours = dict(state["oracle"])
        # The queue is taken from its end.
        running = sorted(ours["ongoing_trials"].values(), reverse=True)
        ours |= {"ongoing_trials": {}, "retry_queue": [*ours["retry_queue"], *running]}
        self.set_state(ours)

    @keras_tuner.synchronized
    def give_back(self, tuner_id: str) -> None:
        """A worker is gone: its trial, if it had one, waits for another."""
        trial = self.ongoing_trials.pop(tuner_id, None)
        self.tuner_ids.discard(tuner_id)
        if trial is not None:
            self._retry_queue.append(trial.trial_id)
            self.is_exhausted = False
            self.write()


class RandomOracle(_Remembered, keras_tuner.oracles.RandomSearchOracle):
    """Values at random."""


class BayesianOracle(_Remembered, keras_tuner.oracles.BayesianOptimizationOracle):
    """Values where a Gaussian process of the finished trials expects the most."""

    def populate_space(self, trial_id):
        # Its state is not in `get_state`; so it is a function of what is.
        self._random_state = np.random.RandomState([self.seed, len(self.trials)])
        with warnings.catch_warnings():  # of few trials, that a kernel's width is at its bound
            warnings.simplefilter("ignore", ConvergenceWarning)
            return super().populate_space(trial_id)


class HyperbandOracle(_Remembered, keras_tuner.oracles.HyperbandOracle):
    """Many short trials, the best of which are trained again for longer."""


class GridOracle(_Remembered, keras_tuner.oracles.GridSearchOracle):
    """Each combination in turn."""

    def populate_space(self, trial_id):
        found = super().populate_space(trial_id)
        if found["status"] == "RUNNING":
            # Else the next combination is given out when this one has ended, and workers wait.
            self._populate_next.append(trial_id)
        return found

    def get_state(self):
        order, trial_id = [], next(iter(self.start_order), None)
        while trial_id is not None:  # the first one is the smallest
            order.append(trial_id)
            trial_id = self._ordered_ids.next(trial_id)
        return {**super().get_state(), "order": order, "populate_next": list(self._populate_next)}

    def set_state(self, state):
        super().set_state(state)
        for trial_id in state["order"]:
            self._ordered_ids.insert(trial_id)
        self._populate_next = list(state["populate_next"])


def build_oracle(
    search: SearchConfig, objective: keras_tuner.Objective, *, epochs: int, seed: int
) -> keras_tuner.Oracle:
    """The oracle that a config asks for.

    Args:
        search: which one, and how many trials.
        objective: its name and direction.
        epochs: the most that hyperband gives a trial.
        seed: of what is drawn.
    """
    settings = {
        "objective": objective,
        "seed": seed + 1,  # to Keras Tuner 0 is no seed
        "max_consecutive_failed_trials": _NEVER,
    }
    if search.tuner == "hyperband":
        # As often as there are trials left.
        oracle = HyperbandOracle(max_epochs=epochs, hyperband_iterations=None, **settings)
        oracle.max_trials = search.trials
    else:
        classes = {"random": RandomOracle, "bayesian": BayesianOracle, "grid": GridOracle}
        oracle = classes[search.tuner](max_trials=search.trials, **settings)
    oracle.verbose = 0
    return oracle
