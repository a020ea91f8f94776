"""A sweep that is killed at any moment goes on, and ends with the table of one that was not."""

import json

import keras_tuner
import pytest

from kerasbert.config_search import Ranges, SearchConfig
from kerasbert.errors import InputError, TrainingError
from kerasbert.search.oracles import _Remembered, build_oracle
from kerasbert.search.place import SweepDirectory
from tests.search.faking import RATES, Fakes, score_of, table_of


class Killed(BaseException):
    """Stands for SIGKILL: nothing but what is on disk survives it."""


class Clock:
    """Kills at a moment of a sweep; without one it counts them."""

    def __init__(self, monkeypatch):
        self.moments, self.last = 0, None
        for owner, name in (
            (_Remembered, "write"),  # a trial was given out, or has ended
            (SweepDirectory, "write"),  # it begins, or its result is known
            (Fakes, "train"),
            (Fakes, "save"),
        ):
            monkeypatch.setattr(owner, name, self._around(getattr(owner, name)))

    def _around(self, function):
        def with_moments(*args, **options):
            self._pass()
            result = function(*args, **options)
            self._pass()
            return result

        return with_moments

    def _pass(self):
        self.moments += 1
        if self.moments == self.last:
            raise Killed

    def restart(self, last=None):
        self.moments, self.last = 0, last


def fails_at_times(config):
    if config.train.learning_rate > 0.05:
        raise TrainingError("The loss became nan.")
    return score_of(config)


TWO = Ranges(learning_rate=(1e-3, 1.0), batch_size=(4, 8))
# Number of trials, space, and the moments at which to kill. A trial has 8 to 12 of them, so that
# all are among them, of one trial or another.
WAYS = {
    "random": (4, TWO, range(1, 43)),
    "grid": (6, Ranges(learning_rate=RATES[2:], batch_size=(4, 8)), range(1, 60, 7)),
    "hyperband": (9, TWO, range(1, 94, 11)),
    # Its fourth trial is the first that a model of the others chose; that takes half a second.
    "bayesian": (5, Ranges(learning_rate=(1e-3, 1.0)), (33, 42)),
}


@pytest.mark.parametrize("tuner", WAYS)
def test_the_table_of_a_sweep_that_was_never_killed(tuner, fakes, search, tmp_path, monkeypatch):
    trials, ranges, moments = WAYS[tuner]
    settings = {"tuner": tuner, "trials": trials, "ranges": ranges, "epochs": 9}
    fakes.score = fails_at_times
    clock = Clock(monkeypatch)
    expected = search(**settings)
    assert len(expected.trials) == trials
    assert {trial.status for trial in expected.trials} == {"completed", "failed"}
    place = SweepDirectory(tmp_path / "sweep")
    assert max(moments) <= clock.moments
    for moment in moments:
        (tmp_path / "sweep").rename(tmp_path / f"before-{moment}")
        clock.restart(moment)
        with pytest.raises(Killed):
            search(**settings)
        finished = {t.number for t in place.trials() if t.status == "completed"}
        clock.restart()
        fakes.trained.clear()
        found = search(**settings, resume=True)
        assert table_of(found.trials) == table_of(expected.trials), moment
        again = {place.config(number) for number in finished} & set(fakes.trained)
        assert not again, moment
        assert (found.best.number, found.config) == (expected.best.number, expected.config)
        assert found.report == expected.report


def test_what_a_bayesian_search_draws_is_a_function_of_what_is_kept(monkeypatch):
    drawn = keras_tuner.oracles.BayesianOptimizationOracle
    monkeypatch.setattr(drawn, "populate_space", lambda oracle, _: oracle._random_state.uniform())
    objective = keras_tuner.Objective("val_macro_f1", "max")
    search = SearchConfig(tuner="bayesian")
    ours, theirs = (build_oracle(search, objective, epochs=1, seed=0) for _ in range(2))
    first = ours.populate_space("0")
    assert theirs.populate_space("0") == ours.populate_space("0") == first
    theirs.trials["0"] = None
    assert theirs.populate_space("1") != first
    assert build_oracle(search, objective, epochs=1, seed=1).populate_space("0") != first


def test_more_trials_than_before_extend_a_sweep(fakes, search):
    settings = {"tuner": "random", "ranges": TWO}
    expected = search(**settings, trials=6)
    expected.directory.rename(expected.directory.with_name("whole"))
    fakes.trained.clear()
    begun = search(**settings, trials=4)
    assert table_of(begun.trials) == table_of(expected.trials[:4])
    extended = search(**settings, trials=6, resume=True)
    assert table_of(extended.trials) == table_of(expected.trials)
    assert len(fakes.trained) == 6
    assert extended.report == expected.report
    assert fakes.trained == [SweepDirectory(extended.directory).config(n) for n in range(6)]
    again = search(**settings, trials=6, resume=True)
    assert table_of(again.trials) == table_of(expected.trials)
    assert search(**settings, trials=4, resume=True).trials == again.trials
    assert len(fakes.trained) == 6


def test_another_sweep_is_not_gone_on_with(fakes, search, tmp_path):
    search(trials=2)
    with pytest.raises(InputError, match=r"holds a sweep\. Pass --resume to go on with it"):
        search(trials=2)
    for changes, message in (
        ({"max_length": 16}, "began with max_length=32, and now it is 16"),
        ({"tuner": "random"}, "began with tuner='grid', and now it is 'random'"),
        ({"objective": "val_loss"}, "began with objective=None, and now it is 'val_loss'"),
        ({"ranges": TWO}, r"began with learning_rate=\[0.001, .*\], and now it is \[0.001, 1.0\]"),
        ({"ranges": lambda hp, config: config}, "began with space="),
    ):
        with pytest.raises(InputError, match=message):
            search(trials=2, resume=True, **changes)
    assert len(fakes.trained) == 2
    (tmp_path / "comments.csv").write_text("text,label\nnice,civil\nfool,rude\n")
    with pytest.raises(InputError, match="began with another training file: it was changed since"):
        search(trials=2, resume=True)


def test_the_second_process_in_a_directory(fakes, search, tmp_path):
    found = search(trials=2)
    place = SweepDirectory(tmp_path / "sweep")
    settings = json.loads((found.directory / "settings.json").read_text())
    assert place.begin(settings, resume=True)
    with pytest.raises(InputError, match="Another process runs the sweep in"):
        search(trials=2, resume=True)
    place.close()
    search(trials=2, resume=True)


def test_a_directory_of_something_else(fakes, search, tmp_path):
    (tmp_path / "sweep").mkdir()
    (tmp_path / "sweep" / "notes.txt").touch()
    for resume in (False, True):
        with pytest.raises(InputError, match=r"holds files\. Name a new directory"):
            search(resume=resume)
    assert [path.name for path in (tmp_path / "sweep").iterdir()] == ["notes.txt"]
