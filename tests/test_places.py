import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from kerasbert.config import DataConfig, FitConfig, ModelConfig, TrainConfig
from kerasbert.errors import InputError
from kerasbert.places import check_place, choose_output, is_finished, unfinished_beside
from kerasbert.run_directory import is_interrupted
from kerasbert.training.unfinished import Checkpoint, settings_digest

CONFIG = FitConfig(data=DataConfig(train="data/comments.csv"))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def with_(**changes):
    return dataclasses.replace(CONFIG, **changes)


def message_of(function, *args):
    with pytest.raises(InputError) as caught:
        function(*args)
    return str(caught.value)


def make_run(directory, interrupted=None, **training):
    """A directory that looks like a run."""
    directory = Path(directory)
    directory.mkdir(parents=True)
    for name in ("config.json", "model.weights.h5"):
        (directory / name).write_text("{}", encoding="utf-8")
    training = {"training": {"interrupted": interrupted} | training}
    (directory / "metadata.json").write_text(json.dumps(training), encoding="utf-8")
    return directory


def begin(directory, config=CONFIG):
    """What is left beside `directory` of a training that did not end."""
    unfinished = unfinished_beside(directory)
    unfinished.begin(config, {})
    unfinished.close()
    unfinished.write(1, Checkpoint({"weight": np.ones(2, np.float32)}, {}))
    return unfinished.directory


# A name for a run


@pytest.mark.parametrize(
    ("config", "name"),
    [
        (CONFIG, "comments-minilm"),
        (FitConfig(), "sample-minilm"),
        (with_(model=ModelConfig(base="some/where/bert-base")), "comments-bert-base"),
        (FitConfig(data=DataConfig(train="a.b.parquet")), "a.b-minilm"),
    ],
)
def test_a_free_name_is_made_of_data_and_base(config, name):
    assert choose_output(config) == Path("saved_weights") / name
    assert not Path("saved_weights").exists()  # nothing is made yet


def test_a_name_that_is_taken_is_numbered():
    make_run("saved_weights/comments-minilm")
    assert choose_output(CONFIG) == Path("saved_weights/comments-minilm-2")
    make_run("saved_weights/comments-minilm-2")
    make_run("saved_weights/comments-minilm-4")
    assert choose_output(CONFIG) == Path("saved_weights/comments-minilm-3")


def test_the_name_of_a_run_that_is_not_finished_is_taken():
    assert begin("saved_weights/comments-minilm") == Path(
        "saved_weights/comments-minilm.unfinished"
    )
    assert choose_output(CONFIG) == Path("saved_weights/comments-minilm-2")


def test_resume_finds_the_unfinished_run_of_the_same_settings():
    begin("saved_weights/comments-minilm", with_(train=TrainConfig(seed=1)))
    begin("saved_weights/comments-minilm-2", with_(train=TrainConfig(seed=2)))
    for seed, name in ((1, "comments-minilm"), (2, "comments-minilm-2"), (3, "comments-minilm-3")):
        config = with_(train=TrainConfig(seed=seed), resume=True)
        assert choose_output(config) == Path("saved_weights") / name


@pytest.mark.parametrize("data", ["more[1].csv", "more*.csv"])
def test_resume_takes_a_name_by_its_letters(data):
    config = FitConfig(data=DataConfig(train=data))
    output = choose_output(config)
    begin(output, config)
    assert choose_output(dataclasses.replace(config, resume=True)) == output


def test_resume_finds_the_run_that_was_interrupted():
    output = make_run("saved_weights/comments-minilm", {"epoch": 1, "step": 3})
    begin(output)
    assert choose_output(with_(resume=True)) == output


def test_a_name_that_is_given_is_kept():
    assert choose_output(with_(output="runs/one")) == Path("runs/one")
    make_run("runs/one")
    assert message_of(choose_output, with_(output="runs/one")) == (
        f"The output directory {str(Path('runs/one').resolve())!r} is already a run. Name another "
        "one, or pass --overwrite to replace it."
    )


# A place that is given


def test_a_place_that_is_free():
    check_place(CONFIG, "runs/one")
    Path("runs/one").mkdir(parents=True)
    check_place(CONFIG, "runs/one")


def test_a_run_is_replaced_only_when_asked_to():
    make_run("run")
    assert "is already a run" in message_of(check_place, CONFIG, "run")
    check_place(with_(overwrite=True), "run")


def test_other_files_are_never_replaced():
    Path("files").mkdir()
    Path("files/thesis.txt").write_text("years", encoding="utf-8")
    for config in (CONFIG, with_(overwrite=True), with_(resume=True)):
        assert "holds files, but no run" in message_of(check_place, config, "files")


def test_a_training_that_came_to_no_checkpoint_is_not_in_the_way():
    unfinished_beside("run").begin(CONFIG, {})
    check_place(CONFIG, "run")


def test_a_training_that_was_begun_is_said():
    begin("run")
    assert message_of(check_place, CONFIG, "run") == (
        "A run was begun in 'run.unfinished' and not finished. Pass --resume to go on with it, or "
        "--overwrite to begin anew."
    )
    for changes in ({"resume": True}, {"overwrite": True}):
        check_place(with_(**changes), "run")


def test_resume_replaces_a_run_that_was_interrupted():
    make_run("run", {"epoch": 2, "step": 7})
    begin("run")
    check_place(with_(resume=True), "run")
    assert "Pass --resume to go on with it" in message_of(check_place, CONFIG, "run")


def test_resume_of_a_run_that_is_complete_is_no_error():
    make_run("run")
    check_place(with_(resume=True), "run")


def test_resume_takes_no_complete_run_of_other_settings_for_its_own():
    make_run("run", settings=settings_digest(CONFIG))
    check_place(with_(resume=True), "run")
    other = with_(resume=True, train=TrainConfig(epochs=9))
    assert message_of(check_place, other, "run") == (
        "'run' is a complete run of other settings. Name another output, or pass --overwrite as "
        "well, to replace it."
    )
    check_place(dataclasses.replace(other, overwrite=True), "run")


@pytest.mark.parametrize(
    ("changes", "interrupted", "finished"),
    [
        ({"resume": True}, None, True),
        ({"resume": True}, {"epoch": 1, "step": 1}, False),
        ({"resume": True, "overwrite": True}, None, False),
        ({}, None, False),
    ],
)
def test_is_finished(changes, interrupted, finished):
    make_run("run", interrupted)
    assert is_finished(with_(**changes), "run") is finished
    assert not is_finished(with_(**changes), "nothing")


@pytest.mark.parametrize("changes", [{"seeds": (1, 2)}, {"folds": 3}], ids=str)
def test_several_runs_need_a_directory_of_their_own(changes):
    check_place(with_(**changes), "runs")
    Path("runs").mkdir()
    check_place(with_(**changes), "runs")
    make_run("runs/1")
    assert message_of(check_place, with_(**changes, overwrite=True), "runs") == (
        "The output 'runs' of several runs is taken. Name a new directory, or remove it yourself; "
        "--overwrite replaces a single run only."
    )
    begin("runs")
    check_place(with_(**changes, resume=True), "runs")
    assert "Pass --resume to go on with them" in message_of(check_place, with_(**changes), "runs")


# Whether a run was interrupted


def test_is_interrupted():
    assert not is_interrupted("nothing")
    assert not is_interrupted(make_run("whole"))
    assert is_interrupted(make_run("half", {"epoch": 1, "step": 3}))
    # Runs of earlier versions do not say.
    old = make_run("old")
    (old / "metadata.json").write_text("{}", encoding="utf-8")
    assert not is_interrupted(old)


def test_unfinished_stands_beside_the_run():
    assert unfinished_beside("runs/a.b").directory == Path("runs/a.b.unfinished")
