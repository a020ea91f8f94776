"""A chief and its workers, and what becomes of a sweep when they are killed."""

import functools
import io
import json
import os
import signal
import socket
import sys
import threading
import time
import types

import keras_tuner
import pytest
from rich.console import Console

from kerasbert import tune
from kerasbert.config_search import SearchConfig
from kerasbert.errors import InputError, TrainingError
from kerasbert.search import sweeping, workers
from kerasbert.search.oracles import build_oracle
from kerasbert.search.workers import IP, PORT, TUNER_ID, Watch, Workers, role, worker_name


@pytest.fixture
def environment(monkeypatch):
    """What a chief writes into the environment is gone after the test."""
    for name in (IP, PORT, TUNER_ID):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


@pytest.fixture
def program(environment, monkeypatch, tmp_path):
    """A function that has workers run this text instead of Python."""

    def run_instead(text):
        path = tmp_path / "worker"
        path.write_text(text)
        path.chmod(0o755)
        monkeypatch.setattr(workers, "sys", types.SimpleNamespace(executable=str(path)))

    return run_instead


def test_all_workers_end_before_the_sweep(program, fakes, search, monkeypatch, tmp_path):
    program("#!/bin/sh\necho out of luck; exit 3\n")
    start = functools.partial(workers.started_workers, count=2, args=[])
    monkeypatch.setattr(
        f"{search.__module__}.sweep", functools.partial(sweeping.sweep, start_workers=start)
    )
    message = r"All workers ended before the sweep did \(exit codes 3, 3\)\. What they said is in"
    started = time.monotonic()
    with pytest.raises(TrainingError, match=message):
        search()
    assert time.monotonic() - started < 30
    logs = (tmp_path / "sweep" / "workers").glob("*.log")
    assert [path.read_text() for path in logs] == ["out of luck\n"] * 2
    assert not fakes.trained


def test_what_started_workers_are_told(program, monkeypatch, tmp_path):
    for name in ("TF_NUM_INTRAOP_THREADS", "TF_FORCE_GPU_ALLOW_GROWTH"):
        monkeypatch.delenv(name, raising=False)
    program('#!/bin/sh\nenv | grep -E "KERAS|TF_NUM|TF_FORCE"; echo "$@"\n')
    with workers.started_workers(tmp_path, 2, ["--trials", "3"]) as processes:
        assert [process.wait(30) for process in processes] == [0, 0]
        assert role() == "chief"
        port = os.environ[PORT]
    told = (tmp_path / "workers" / "worker2.log").read_text().splitlines()
    assert told[-1] == "-m kerasbert.tune --trials 3"
    values = dict(line.split("=") for line in told[:-1])
    assert values[TUNER_ID] == "worker2"
    assert (values[IP], values[PORT]) == ("127.0.0.1", port)
    assert values["KERASBERT_CHIEF_PROCESS"] == str(os.getpid())
    assert values["TF_NUM_INTRAOP_THREADS"] == str(max(1, os.cpu_count() // 2))
    assert values["TF_FORCE_GPU_ALLOW_GROWTH"] == "true"


@pytest.mark.parametrize("before", [{}, {IP: "10.0.0.1", PORT: "7", TUNER_ID: "worker3"}])
def test_a_process_is_a_chief_only_while_its_workers_are_started(before, program, tmp_path):
    program("#!/bin/sh\n")
    os.environ.update(before)
    with pytest.raises(KeyError), workers.started_workers(tmp_path, 1, []):
        assert role() == "chief"
        raise KeyError
    assert {name: os.environ[name] for name in (IP, PORT, TUNER_ID) if name in os.environ} == before


def test_a_sweep_after_one_with_workers(program, fakes, search, monkeypatch):
    program("#!/bin/sh\n")
    start = functools.partial(workers.started_workers, count=1, args=[])
    with monkeypatch.context() as patch:
        patch.setattr(
            f"{search.__module__}.sweep", functools.partial(sweeping.sweep, start_workers=start)
        )
        with pytest.raises(TrainingError, match="All workers ended"):
            search()
    found = search(resume=True)
    assert [trial.status for trial in found.trials] == ["completed"] * 6


def test_roles(environment, monkeypatch):
    assert (role(), worker_name()) == ("alone", "")
    monkeypatch.setenv(IP, "127.0.0.1")
    with pytest.raises(InputError, match=f"has {IP}, and not {TUNER_ID}. Set all three, or none"):
        role()
    monkeypatch.setenv(TUNER_ID, "worker7")
    monkeypatch.setenv(PORT, "8000")
    assert (role(), worker_name()) == ("worker", "worker7")
    monkeypatch.setenv(TUNER_ID, "chief")
    assert (role(), worker_name()) == ("chief", "")


def test_a_chief_and_its_workers_need_a_name_in_common(environment, monkeypatch, comments_csv):
    for name, value in ((IP, "127.0.0.1"), (PORT, "8000"), (TUNER_ID, "chief")):
        monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match="Name the sweep's directory with --output, the same for"):
        tune.main(["--train", comments_csv])


def test_who_is_alive(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_MOMENT", 0.1)
    ours, theirs = Workers(tmp_path), Workers(tmp_path)
    assert not ours.is_alive("worker1")
    with ours.present("worker1"):
        assert theirs.is_alive("worker1")
        assert not theirs.is_alive("worker2")
        with pytest.raises(InputError, match="There is a worker 'worker1' already"):
            theirs.present("worker1").__enter__()
    assert not theirs.is_alive("worker1")


def test_a_worker_ends_with_the_chief_that_started_it(tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_SECONDS", 0.05)
    monkeypatch.setenv("KERASBERT_CHIEF_PROCESS", str(os.getppid()))
    with Workers(tmp_path).present("worker1"):
        time.sleep(0.2)
    monkeypatch.setenv("KERASBERT_CHIEF_PROCESS", str(os.getpid()))
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), Workers(tmp_path).present("worker1"):
        time.sleep(20)
    assert time.monotonic() - started < 10
    assert not Workers(tmp_path).is_alive("worker1")


@pytest.fixture
def oracle(tmp_path):
    """An oracle of three trials, in whose directory Keras Tuner may write."""
    objective = keras_tuner.Objective("val_macro_f1", "max")
    oracle = build_oracle(SearchConfig(trials=3), objective, epochs=1, seed=0)
    oracle._set_project_dir(str(tmp_path), "oracle")
    oracle.hyperparameters.Float("learning_rate", 1e-5, 1e-2, sampling="log")
    oracle.state_file = tmp_path / "state.json"
    return oracle


def test_workers_of_a_grid_do_not_wait_for_one_another(tmp_path):
    objective = keras_tuner.Objective("val_macro_f1", "max")
    oracle = build_oracle(SearchConfig(tuner="grid", trials=9), objective, epochs=1, seed=0)
    oracle._set_project_dir(str(tmp_path), "oracle")
    oracle.hyperparameters.Choice("batch_size", [4, 8, 16, 32])
    trials = [oracle.create_trial(f"worker{number}") for number in range(4)]
    sizes = [trial.hyperparameters.values["batch_size"] for trial in trials]
    assert sizes == [4, 8, 16, 32]
    for trial in reversed(trials):
        finish(oracle, trial)
    assert oracle.create_trial("worker1").status == "STOPPED"


def finish(oracle, trial):
    oracle.update_trial(trial.trial_id, {"val_macro_f1": 0.5})
    trial.status = "COMPLETED"
    oracle.end_trial(trial)


def test_the_trial_of_a_worker_that_is_gone_is_given_to_another(oracle):
    lost = oracle.create_trial("worker1")
    for _ in range(2):
        finish(oracle, oracle.create_trial("worker2"))
    # All trials are given out, but one of them may come back.
    assert oracle.create_trial("worker2").status == "IDLE"
    assert not oracle.is_exhausted
    oracle.give_back("worker1")
    assert not oracle.ongoing_trials
    assert json.loads(oracle.state_file.read_text())["oracle"]["retry_queue"] == [lost.trial_id]
    again = oracle.create_trial("worker2")
    assert again.trial_id == lost.trial_id
    assert again.hyperparameters.values == lost.hyperparameters.values
    finish(oracle, again)
    assert oracle.create_trial("worker2").status == "STOPPED"
    assert oracle.is_exhausted
    assert not oracle.tuner_ids
    oracle.give_back("worker9")  # nobody that it knows


def test_several_trials_that_ran_when_the_chief_was_killed(oracle, tmp_path):
    trials = [oracle.create_trial(f"worker{number}") for number in (1, 2, 3)]
    state = json.loads(oracle.state_file.read_text())
    restored = build_oracle(SearchConfig(trials=3), oracle.objective, epochs=1, seed=0)
    restored._set_project_dir(str(tmp_path), "restored")
    restored.restore(state)
    found = [restored.create_trial(f"worker{number}") for number in (7, 8, 9)]
    assert [trial.trial_id for trial in found] == [trial.trial_id for trial in trials]
    assert restored.create_trial("worker1").status == "IDLE"


def watched(oracle, directory, until=float("inf"), processes=()):
    """A chief's watch, which looks often, and how long it served."""
    watch = Watch(oracle, Workers(directory), list(processes), until, lambda: None)
    started = time.monotonic()
    watch.serve(lambda: time.sleep(20))
    return time.monotonic() - started


def test_a_chief_watches(oracle, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_SECONDS", 0.05)
    gone = oracle.create_trial("worker1")

    def work():
        with Workers(tmp_path).present("worker2"):
            while (trial := oracle.create_trial("worker2")).status != "STOPPED":
                if trial.status == "RUNNING":
                    finish(oracle, trial)
                time.sleep(0.05)

    thread = threading.Thread(target=work)
    thread.start()
    assert watched(oracle, tmp_path) < 10
    thread.join()
    assert {trial.status for trial in oracle.trials.values()} == {"COMPLETED"}
    assert len(oracle.trials) == 3
    assert oracle.end_order.count(gone.trial_id) == 1


def test_a_chief_ends_when_the_time_is_over_and_nobody_works(oracle, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_SECONDS", 0.05)
    oracle.create_trial("worker1")
    assert 0.3 < watched(oracle, tmp_path, time.monotonic() + 0.4) < 10
    assert not oracle.is_exhausted


def test_ctrl_c_ends_a_chief(oracle, tmp_path):
    def press():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Watch(oracle, Workers(tmp_path), [], float("inf"), lambda: None).serve(press)


def test_a_port_that_is_taken(fakes, search, environment, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for name, value in ((IP, "127.0.0.1"), (PORT, port), (TUNER_ID, "chief")):
            monkeypatch.setenv(name, value)
        message = f"The chief cannot listen at 127.0.0.1:{port}: .* Choose another {PORT}, and "
        with pytest.raises(InputError, match=message):
            search()


@pytest.mark.parametrize("is_begun", [False, True])
@pytest.mark.parametrize("hears_ctrl_c", [False, True])
def test_a_worker_that_waits_for_a_chief(
    is_begun, hears_ctrl_c, fakes, search, environment, monkeypatch, tmp_path
):
    """It says so, and waits no longer than it may."""
    if is_begun:
        search()
    trained = len(fakes.trained)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = nobody.getsockname()
    for name, value in ((IP, address[0]), (PORT, str(address[1])), (TUNER_ID, "worker1")):
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("KERASBERT_CHIEF_PROCESS", str(os.getppid()))
    console = Console(file=io.StringIO())
    monkeypatch.setattr(
        f"{search.__module__}.sweep", functools.partial(sweeping.sweep, console=console)
    )
    handler = signal.default_int_handler if hears_ctrl_c else signal.SIG_IGN
    before, started = signal.signal(signal.SIGINT, handler), time.monotonic()
    try:
        assert search(max_minutes=1 / 60) is None
        assert signal.getsignal(signal.SIGINT) is handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert 0.9 < time.monotonic() - started < 10
    assert console.file.getvalue() == f"waiting for the chief at 127.0.0.1:{address[1]}\n"
    assert len(fakes.trained) == trained
    assert is_begun or not (tmp_path / "sweep").exists()


def test_another_error_of_a_chief_stays_what_it_is(oracle, tmp_path):
    def search():
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        Watch(oracle, Workers(tmp_path), [], float("inf"), lambda: None).serve(search)


def test_an_error_of_a_look_ends_a_chief(oracle, tmp_path, monkeypatch):
    monkeypatch.setattr(workers, "_SECONDS", 0.05)
    oracle.create_trial("worker1")
    error, started = OSError("No space left on device"), time.monotonic()

    def look():
        raise error

    with pytest.raises(OSError, match="No space left") as caught:
        Watch(oracle, Workers(tmp_path), [], float("inf"), look).serve(lambda: time.sleep(20))
    assert caught.value is error
    assert time.monotonic() - started < 10


@pytest.mark.parametrize("is_inner", [False, True])
def test_a_block_within_another_where_ctrl_c_says_nothing(is_inner, monkeypatch):
    monkeypatch.setattr(workers, "_MOMENT", 0.2)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with (
            pytest.raises(KeyboardInterrupt),
            workers.interruptible() as end_outer,
            workers.interruptible() as end_inner,
        ):
            started = time.monotonic()
            threading.Timer(0.2, end_inner if is_inner else end_outer).start()
            time.sleep(10)
        assert time.monotonic() - started < 5
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)
