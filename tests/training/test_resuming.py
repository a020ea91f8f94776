"""A run that was killed goes on, and ends with the very weights of one that was not."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest

from kerasbert.errors import InputError
from kerasbert.history import read_history
from kerasbert.inference import load
from kerasbert.places import unfinished_beside
from kerasbert.runs import fit_to
from kerasbert.training.fitting import fit_classifier
from kerasbert.training.recorder import Recorder
from kerasbert.training.unfinished import Unfinished
from tests.conftest import comments, toy_config, write_csv


class Killed(BaseException):
    """Stands for SIGKILL: nothing but what is on disk survives it."""


def kill_at(monkeypatch, step):
    """Kill at this step of the training, once its row is written."""
    take_step = Recorder.step

    def step_then_die(self, progress, **numbers):
        take_step(self, progress, **numbers)
        if progress.num_steps == step:
            raise Killed

    monkeypatch.setattr(Recorder, "step", step_then_die)


def assert_same_weights(ours, theirs):
    for one, other in zip(ours.model.weights, theirs.model.weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), err_msg=one.path)


# Settings, and the steps at which the run is killed: 4 make an epoch.
WAYS = {
    "nothing frozen": ({"head": "classification"}, (3,)),
    "frozen base, batch normalisation": ({"freeze_base": True, "head": "mlp"}, (3, 5)),
    "opened on the way, averaged": (
        {"unfreeze_from": 2, "ema": 0.9, "layer_decay": 0.5, "head": "linear"},
        (6,),
    ),
    "accumulated, the best kept": (
        {
            **{"gradient_accumulation": 2, "batch_size": 4, "head": "linear"},
            **{"patience": 1, "schedule": "cosine"},
        },
        (5,),
    ),
    "lora": ({"lora_rank": 2, "freeze_layers": 1, "head": "linear"}, (5,)),
}


@pytest.mark.parametrize(("settings", "killed"), WAYS.values(), ids=WAYS)
def test_the_weights_of_a_run_that_was_never_killed(
    settings, killed, toy_base, comments_csv, tmp_path, monkeypatch
):
    settings = {"epochs": 2, "checkpoint_steps": 2} | settings
    config = toy_config(toy_base(), comments_csv, resume=True, **settings)
    expected = fit_classifier(config)
    for step in killed:
        with monkeypatch.context() as patches, pytest.raises(Killed):
            kill_at(patches, step)
            fit_classifier(config, unfinished=tmp_path / "run.unfinished")
    run = fit_classifier(config, unfinished=tmp_path / "run.unfinished")
    assert_same_weights(run, expected)
    assert run.report == expected.report
    assert run.training == expected.training
    for column in ("kind", "epoch", "step", "loss", "learning_rate", "gradient_norm", "val_loss"):
        assert [row[column] for row in run.history] == [row[column] for row in expected.history]
    assert read_history(tmp_path / "run.unfinished" / "history.csv") == run.history


def test_of_several_steps_in_one_call_the_checkpoint_is_of_the_last(
    toy_base, comments_csv, tmp_path, monkeypatch
):
    """Three steps at once, and then the one that is left of each epoch."""
    settings = {"epochs": 2, "checkpoint_steps": 2, "freeze_base": True, "head": "mlp"}
    config = toy_config(toy_base(), comments_csv, resume=True, **settings)
    expected = fit_classifier(config)
    monkeypatch.setattr("kerasbert.training.parts.STEPS_PER_CALL", 3)
    unfinished = Unfinished(tmp_path / "run.unfinished")
    # Killed at the step, and what was kept by then: of a call that is not over there is nothing.
    for step, kept in ((2, []), (4, [3]), (6, [3, 4]), (8, [4, 7])):
        with monkeypatch.context() as patches, pytest.raises(Killed):
            kill_at(patches, step)
            fit_classifier(config, unfinished=unfinished.directory)
        names = sorted(path.name for path in unfinished.directory.glob("checkpoint-*"))
        assert [int(name.split("-")[1].split(".")[0]) for name in names] == kept
    run = fit_classifier(config, unfinished=unfinished.directory)
    assert_same_weights(run, expected)
    assert run.training == expected.training
    for column in ("kind", "epoch", "step", "loss", "gradient_norm", "val_loss"):
        assert [row[column] for row in run.history] == [row[column] for row in expected.history]
    assert read_history(unfinished.history) == run.history


def test_a_checkpoint_each_time_some_minutes_are_over(
    toy_base, comments_csv, tmp_path, monkeypatch
):
    monkeypatch.setattr("kerasbert.training.parts.STEPS_PER_CALL", 1)
    config = toy_config(toy_base(), comments_csv, freeze_base=True, checkpoint_minutes=0.0)
    fit_classifier(config, unfinished=tmp_path / "run.unfinished")
    assert len(list((tmp_path / "run.unfinished").glob("checkpoint-*"))) == 2


def test_other_settings_or_data_are_not_gone_on_with(toy_base, comments_csv, tmp_path):
    directory = tmp_path / "run.unfinished"
    settings = {"checkpoint_steps": 2, "resume": True, "freeze_base": True}
    fit_classifier(toy_config(toy_base(), comments_csv, **settings), unfinished=directory)
    with pytest.raises(InputError, match=r"began with epochs=1, and now it is 5"):
        changed = toy_config(toy_base(), comments_csv, epochs=5, **settings)
        fit_classifier(changed, unfinished=directory)
    write_csv(tmp_path / "comments.csv", ("text", "label"), comments(36))
    with pytest.raises(InputError, match="began with another data: it was changed since"):
        fit_classifier(toy_config(toy_base(), comments_csv, **settings), unfinished=directory)


def test_ctrl_c_saves_what_is_best_and_the_run_goes_on(
    toy_base, comments_csv, tmp_path, monkeypatch
):
    config = toy_config(toy_base(), comments_csv, epochs=3, freeze_base=True, checkpoint_steps=100)
    expected = fit_classifier(config)
    monkeypatch.setattr("kerasbert.training.parts.STEPS_PER_CALL", 2)
    take_step = Recorder.step

    def press_ctrl_c(self, progress, **numbers):
        take_step(self, progress, **numbers)
        if progress.num_steps == 5:  # the first of two in one call, which is then counted whole
            signal.raise_signal(signal.SIGINT)

    output = tmp_path / "run"
    with monkeypatch.context() as patches:
        patches.setattr(Recorder, "step", press_ctrl_c)
        stopped = fit_to(output, config)
    assert stopped.training["interrupted"] == {"epoch": 2, "step": 6}
    assert stopped.training["best_epoch"] == 1
    assert json.loads((output / "metadata.json").read_text())["training"] == stopped.training
    assert load(output).run.training["interrupted"] == {"epoch": 2, "step": 6}
    assert len(stopped.history) == 7  # six steps and an epoch
    with pytest.raises(InputError, match=r"was begun in .* Pass --resume"):
        fit_to(output, toy_config(toy_base(), comments_csv, epochs=3, freeze_base=True))

    again = toy_config(
        toy_base(), comments_csv, epochs=3, freeze_base=True, checkpoint_steps=100, resume=True
    )
    run = fit_to(output, again)
    assert run.training["interrupted"] is None
    assert_same_weights(run, expected)
    assert not unfinished_beside(output).directory.exists()
    assert load(output).run.training["interrupted"] is None
    # Nothing is left to be done, and it says the same.
    assert fit_to(output, again).report == run.report


@pytest.mark.usefixtures("eager")
def test_ctrl_c_in_the_first_epoch_saves_the_weights_as_they_are(
    toy_base, comments_csv, monkeypatch
):
    take_step = Recorder.step

    def press_ctrl_c(self, progress, **numbers):
        take_step(self, progress, **numbers)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Recorder, "step", press_ctrl_c)
    run = fit_classifier(toy_config(toy_base(), comments_csv))
    assert run.training["interrupted"] == {"epoch": 1, "step": 1}
    assert run.training["best_epoch"] is None
    assert run.report["validation"]["count"] == 8


# Each attempt is a process of its own, begun by one that has loaded all and done nothing yet: Linux
# copies it in no time, where TensorFlow takes seconds to load.
KILLED_FOR_REAL = """
import json, os, signal, sys
from kerasbert import _runtime
_runtime.quiet()
import safetensors.numpy
from kerasbert import fit, runs
from kerasbert.training.recorder import Recorder

attempts, args = json.loads(sys.argv[1]), sys.argv[2:]
die = lambda: os.kill(os.getpid(), signal.SIGKILL)
take_step, end_epoch, save_file = Recorder.step, Recorder.end_epoch, safetensors.numpy.save_file
written = 0

def step(self, progress, **numbers):
    take_step(self, progress, **numbers)
    if kind == "step" and progress.num_steps == number:
        die()

def between(self, progress, report):
    end_epoch(self, progress, report)
    if kind == "epoch" and progress.epoch == number:
        die()

def half(arrays, path):
    global written
    written += 1
    save_file(arrays, path)
    if kind == "checkpoint" and written == number:
        os.truncate(path, os.path.getsize(path) // 2)
        die()

Recorder.step, Recorder.end_epoch, safetensors.numpy.save_file = step, between, half
for kind, number in attempts:
    child = os.fork()
    if not child:
        fit.main(args)
        break
    _, status = os.waitpid(child, 0)
    print(json.dumps([os.waitstatus_to_exitcode(status), os.listdir()]))
"""


def test_kill_9_in_an_epoch_between_two_and_while_a_checkpoint_is_written(
    toy_base, comments_csv, tmp_path
):
    settings = {"epochs": 3, "checkpoint_steps": 1, "head": "classification"}
    expected = fit_classifier(toy_config(toy_base(), comments_csv, **settings))
    command = [
        *("--train", comments_csv, "--base", str(toy_base()), "--max-length", "32"),
        *("--batch-size", "8", "--epochs", "3", "--head", "classification"),
        *("--checkpoint-steps", "1", "--output", "run", "--resume"),
    ]
    step = int(np.random.default_rng().integers(1, 4))
    attempts = [("step", step), ("epoch", 1), ("checkpoint", 2), ("", 0)]
    place = tmp_path / "place"
    place.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", KILLED_FOR_REAL, json.dumps(attempts), *command],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=place,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    ends = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert ends == [[-signal.SIGKILL, ["run.unfinished"]]] * 3 + [[0, ["run"]]], done.stderr
    # The first step's checkpoint is written once its row is.
    assert done.stderr.count("going on after step") == 2 + (step > 1)
    assert_same_weights(load(place / "run", precision="float32").run, expected)
    assert (place / "run" / "history.png").is_file()
