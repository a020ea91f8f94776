"""Trials that fail, time that is over, Ctrl-C: what a sweep makes of them."""

import concurrent.futures
import csv
import dataclasses
import signal
import time

import pytest
import tensorflow as tf
from rich.console import Console

from kerasbert.config_search import Ranges, with_values
from kerasbert.errors import InputError, TrainingError
from kerasbert.run_directory import read_json
from kerasbert.search import running, workers
from kerasbert.search.place import SweepDirectory
from kerasbert.search.running import TrialRunner
from kerasbert.training.interruption import Interruption, interruption
from tests.search.faking import RATES, REAL_TRAIN, score_of, table_of

NAN = "The loss became nan. Try a smaller --learning-rate."


def failing_at(rates, error):
    """A score that there is only for other rates."""

    def score(config):
        if config.train.learning_rate in rates:
            raise error
        return score_of(config)

    return score


@pytest.mark.parametrize(
    "rates",
    [RATES[:1], RATES[-1:], RATES[1:5]],
    ids=["the first", "the last", "four in a row"],
)
def test_a_sweep_goes_on_after_trials_that_fail(rates, fakes, search):
    fakes.score = failing_at(rates, TrainingError(NAN))
    found = search()
    failed = {trial.values["learning_rate"]: trial.error for trial in found.trials if trial.error}
    assert failed == dict.fromkeys(rates, NAN)
    assert {trial.status for trial in found.trials if trial.error} == {"failed"}
    assert len(fakes.trained) == 6
    with open(found.directory / "trials.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == [trial.status for trial in found.trials]
    assert [row["error"] for row in rows] == [trial.error or "" for trial in found.trials]
    assert all(row["val_macro_f1"] == "" for row in rows if row["status"] == "failed")


@pytest.mark.parametrize("tuner", ["random", "bayesian", "hyperband"])
def test_other_searches_go_on_as_well(tuner, fakes, search):
    def score(config):
        if len(fakes.trained) <= 4:
            raise TrainingError(NAN)
        return score_of(config)

    fakes.score = score
    ranges = Ranges(learning_rate=(1e-3, 1.0))
    found = search(tuner=tuner, trials=8, ranges=ranges, epochs=9)
    assert [trial.status for trial in found.trials] == ["failed"] * 4 + ["completed"] * 4
    # Keras Tuner is told as well, which otherwise would learn from their scores.
    state = read_json(found.directory / "state.json")
    assert [trial["status"] for trial in state["trials"]] == ["FAILED"] * 4 + ["COMPLETED"] * 4


def test_no_trial_was_completed(fakes, search, tmp_path):
    def score(config):
        raise TrainingError(f"nothing at {config.train.learning_rate}")

    fakes.score = score
    message = r"None of 3 trials was completed\. The last one: nothing at 0\.03$"
    with pytest.raises(TrainingError, match=message):
        search(trials=3)
    assert (tmp_path / "sweep" / "trials.csv").read_text().count("nothing at") == 3
    assert not (tmp_path / "sweep" / "best.json").exists()
    fakes.score = score_of
    extended = search(trials=4, resume=True)
    assert extended.best.number == 3


def test_settings_that_do_not_go_together_are_a_failed_trial(fakes, search):
    def suggest(hyperparameters, config):
        length = hyperparameters.Choice("max_length", [32, 2])
        return with_values(config, {"max_length": length, "learning_rate": 0.1})

    found = search(ranges=suggest)
    errors = {trial.values["max_length"]: trial.error for trial in found.trials}
    assert errors == {32: None, 2: "`max_length` must be at least 4. Received: max_length=2."}


def test_a_number_that_the_validation_data_do_not_have(fakes, search):
    fakes.score = lambda config: None if config.train.learning_rate == RATES[0] else 0.5
    found = search(trials=3)
    assert found.trials[0].error == "val_macro_f1 has no value on these validation data."
    assert found.best.number == 1


@pytest.mark.parametrize(
    "error", [OSError("No space left on device"), TypeError("a bug"), KeyError("x")]
)
def test_what_is_no_fault_of_the_settings_ends_the_sweep(error, fakes, search, tmp_path):
    fakes.score = failing_at(RATES[1:2], error)
    with pytest.raises(type(error)) as caught:
        search()
    assert caught.value is error
    place = SweepDirectory(tmp_path / "sweep")
    assert [trial.status for trial in place.trials()] == ["completed", "running"]
    fakes.score = score_of
    found = search(resume=True)
    assert [trial.status for trial in found.trials] == ["completed"] * 6
    assert fakes.rates == [*RATES[:2], *RATES[1:]]


def test_a_bug_in_the_search_space(fakes, search):
    def suggest(hyperparameters, config):
        length = hyperparameters.Choice("max_length", [32, 64])
        length = length if length == 32 else "64"
        return with_values(config, {"max_length": length, "learning_rate": 0.1})

    with pytest.raises(TypeError, match="instances of 'str' and 'int'"):
        search(ranges=suggest)


def test_memory_that_runs_out_is_a_failed_trial(fakes, search, monkeypatch):
    def fit_classifier(config, dataset, *, shared, unfinished=None):
        if config.train.learning_rate in RATES[:2]:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return fakes.train(None, config)

    monkeypatch.setattr(TrialRunner, "train", REAL_TRAIN)
    monkeypatch.setattr(running, "fit_classifier", fit_classifier)
    found = search(trials=3)
    assert [trial.status for trial in found.trials] == ["failed", "failed", "completed"]
    assert found.trials[0].error.startswith("Out of memory in a batch of 8 texts of up to 32 piec")


def slow_after(fakes, number):
    """After so many trainings each one waits for Ctrl-C, as a long training does."""

    def score(config):
        if len(fakes.trained) > number:
            asked, until = Interruption(), time.monotonic() + 30
            with interruption(Console(quiet=True), asked):
                while not asked.is_asked and time.monotonic() < until:
                    time.sleep(0.01)
            raise KeyboardInterrupt
        return score_of(config)

    return score


def asleep_after(fakes, number):
    """The same outside of a training's steps, where Ctrl-C ends it at once."""

    def score(config):
        if len(fakes.trained) > number:
            time.sleep(30)
        return score_of(config)

    return score


@pytest.mark.parametrize("waits", [slow_after, asleep_after])
def test_the_time_is_over_in_the_middle_of_a_trial(waits, fakes, search, tmp_path):
    expected = search()
    expected.directory.rename(tmp_path / "whole")
    fakes.trained.clear()
    fakes.score = waits(fakes, 2)
    started = time.monotonic()
    found = search(max_minutes=1.5 / 60)
    assert 1 < time.monotonic() - started < 10
    assert table_of(found.trials[:2]) == table_of(expected.trials[:2])
    last = found.trials[2]
    assert (last.status, last.error) == ("unfinished", None)
    assert found.best.number == 1
    assert "2,unfinished" in (found.directory / "trials.csv").read_text()
    assert (found.directory / "best.json").is_file()
    assert found.report["validation"]["macro_f1"] == found.best.score
    fakes.score = score_of
    whole = search(resume=True)
    assert table_of(whole.trials) == table_of(expected.trials)
    assert whole.config == expected.config
    assert whole.report == expected.report
    assert fakes.rates == [*RATES[:3], *RATES[2:]]


def test_the_time_is_over_where_ctrl_c_says_nothing(fakes, search):
    fakes.score = asleep_after(fakes, 1)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # as a script starts it with &
    try:
        found = search(max_minutes=1 / 60)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
    assert [trial.status for trial in found.trials] == ["completed", "unfinished"]


def test_a_training_that_was_over_anyway_does_not_hear_it(fakes, search, monkeypatch):
    monkeypatch.setattr(workers, "_MOMENT", 0.3)

    def score(config):
        if len(fakes.trained) == 2:
            asked = Interruption()
            with interruption(Console(quiet=True), asked):
                while not asked.is_asked:
                    time.sleep(0.01)
        elif len(fakes.trained) == 3:
            time.sleep(30)
        return score_of(config)

    fakes.score = score
    started = time.monotonic()
    found = search(max_minutes=1 / 60)
    assert time.monotonic() - started < 10
    assert [trial.status for trial in found.trials] == ["completed", "completed", "unfinished"]


def test_there_is_no_time_at_all(fakes, search):
    fakes.score = slow_after(fakes, 0)
    with pytest.raises(TrainingError, match="There was no time for one"):
        search(max_minutes=0.3 / 60)


def test_time_that_is_not_over(fakes, search):
    found = search(max_minutes=0.5 / 60)
    assert {trial.status for trial in found.trials} == {"completed"}
    pressed = []
    before = signal.signal(signal.SIGINT, lambda number, frame: pressed.append(number))
    try:
        time.sleep(0.6)  # until the time would have been over
    finally:
        signal.signal(signal.SIGINT, before)
    assert not pressed


def in_a_thread(call):
    """What a function gives or raises in another thread."""
    with concurrent.futures.ThreadPoolExecutor(1, "notebook") as pool:
        return pool.submit(call).result(60)


def test_only_the_main_thread_can_be_ended(fakes, search, tmp_path, monkeypatch):
    message = "must run in the main thread, where it can be ended. Received: the thread 'notebook_0"
    with pytest.raises(InputError, match=message):
        in_a_thread(lambda: search(max_minutes=1))
    for name, value in ((workers.IP, "127.0.0.1"), (workers.PORT, "1")):
        monkeypatch.setenv(name, value)
    for name in ("worker1", "chief"):
        monkeypatch.setenv(workers.TUNER_ID, name)
        with pytest.raises(InputError, match="and a chief or worker, must run in the main thread"):
            in_a_thread(search)
    assert not (tmp_path / "sweep").exists()


def test_without_a_limit_any_thread_will_do(fakes, search):
    assert len(in_a_thread(search).trials) == 6


def test_ctrl_c_ends_a_sweep_that_goes_on(fakes, search):
    def score(config):
        if len(fakes.trained) == 3:
            signal.raise_signal(signal.SIGINT)
        return score_of(config)

    fakes.score = score
    with pytest.raises(KeyboardInterrupt):
        search()
    found = search(resume=True)
    assert [trial.status for trial in found.trials] == ["completed"] * 6
    assert fakes.rates == [*RATES[:3], *RATES[2:]]


def test_refit_is_on_all_rows_and_once(fakes, search):
    found = search(trials=3, refit=True)
    assert fakes.rates == [*RATES[:3], 3e-2]
    assert fakes.datasets[:3] == [None] * 3
    assert len(fakes.datasets[3].train) == 40
    assert found.report == {}
    assert found.best.score == pytest.approx(0.95)
    search(trials=3, refit=True, resume=True)
    assert len(fakes.trained) == 4
    # Without it the winner is one that has not seen the validation rows.
    assert search(trials=3, resume=True).report["validation"]["macro_f1"] == found.best.score
    search(trials=3, refit=True, resume=True)
    assert len(fakes.trained) == 6


def test_refit_trains_for_as_long_as_the_winner_was_at_its_best(fakes, search):
    search(trials=2, refit=True, patience=3, epochs=7)
    assert [(config.train.epochs, config.train.patience) for config in fakes.trained] == [
        *[(7, 3)] * 2,
        (2, None),
    ]


def test_what_says_where_and_how_often_does_not_reach_a_trial(fakes, search):
    search(trials=2, output="elsewhere", resume=True)
    assert all(config.output is None and not config.resume for config in fakes.trained)


def test_the_winner_has_the_rows_of_its_own_settings(fakes, search):
    def suggest(hyperparameters, config):
        limit = hyperparameters.Choice("limit", [20, 30])
        config = with_values(config, {"learning_rate": limit / 1000})
        return dataclasses.replace(config, data=dataclasses.replace(config.data, limit=limit))

    found = search(ranges=suggest, trials=2, refit=True)
    assert found.best.values == {"limit": 30}
    assert len(fakes.datasets[-1].train) == 30  # and not all rows, which the sweep's own config has
