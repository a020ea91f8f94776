"""A run that was killed goes on, and ends with the very weights of one that was not."""

import json
import shutil
import signal

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
from tests import forking
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


def copy_at(monkeypatch, step, directory, copy):
    """Copy at this step what there is on disk, which is all that a kill would leave of the run."""
    take_step = Recorder.step

    def step_then_copy(self, progress, **numbers):
        take_step(self, progress, **numbers)
        if progress.num_steps == step:
            shutil.copytree(directory, copy)

    monkeypatch.setattr(Recorder, "step", step_then_copy)


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
    base = toy_base(blocks=1 + settings.get("freeze_layers", 0))  # one is open
    config = toy_config(base, comments_csv, resume=True, **settings)
    unfinished, (first, *later) = tmp_path / "run.unfinished", killed
    with monkeypatch.context() as patches:
        copy_at(patches, first, tmp_path / "whole.unfinished", unfinished)
        expected = fit_classifier(config, unfinished=tmp_path / "whole.unfinished")
    for step in later:
        with monkeypatch.context() as patches, pytest.raises(Killed):
            kill_at(patches, step)
            fit_classifier(config, unfinished=unfinished)
    run = fit_classifier(config, unfinished=unfinished)
    assert_same_weights(run, expected)
    assert run.report == expected.report
    assert run.training == expected.training
    for column in ("kind", "epoch", "step", "loss", "learning_rate", "gradient_norm", "val_loss"):
        assert [row[column] for row in run.history] == [row[column] for row in expected.history]
    assert read_history(unfinished / "history.csv") == run.history


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


def test_kill_9_in_an_epoch_between_two_and_while_a_checkpoint_is_written(
    toy_base, comments_csv, tmp_path
):
    settings = {"epochs": 3, "checkpoint_steps": 1, "head": "classification"}
    expected = fit_classifier(toy_config(toy_base(), comments_csv, **settings))
    place, log = tmp_path / "place", tmp_path / "log"
    place.mkdir()
    command = [
        *("--train", comments_csv, "--base", str(toy_base()), "--max-length", "32"),
        *("--batch-size", "8", "--epochs", "3", "--head", "classification"),
        *("--checkpoint-steps", "1", "--output", str(place / "run"), "--resume"),
    ]
    step, ends = int(np.random.default_rng().integers(1, 4)), []
    for attempt in (("step", step), ("epoch", 1), ("checkpoint", 2), ("", 0)):
        process = forking.start(forking.fit_until, *attempt, command, log=log)
        process.join(240)
        ends.append((process.exitcode, [path.name for path in place.iterdir()]))
    said = log.read_text()
    assert ends == [(-signal.SIGKILL, ["run.unfinished"])] * 3 + [(0, ["run"])], said
    # The first step's checkpoint is written once its row is.
    assert said.count("going on after step") == 2 + (step > 1)
    assert_same_weights(load(place / "run", precision="float32").run, expected)
    assert (place / "run" / "history.png").is_file()
