import dataclasses
import json
import warnings

import numpy as np
import pytest
from safetensors import SafetensorError

from kerasbert.config import DataConfig, FitConfig, ModelConfig
from kerasbert.config_train import (
    ObjectiveConfig,
    OptimizerConfig,
    RecordConfig,
    TrainConfig,
)
from kerasbert.errors import InputError, InputWarning
from kerasbert.training import unfinished as module
from kerasbert.training.unfinished import Checkpoint, CheckpointTimer, Unfinished, settings_of

CONFIG = FitConfig(data=DataConfig(train="a.csv", label_columns=("rude", "kind")), seeds=(1, 2))
DIGESTS = {"training data": "1f", "base": "2e"}
ARRAYS = {
    "model/0/kernel": np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32),
    "model/1/seed": np.array([1, 2**32 - 1], np.uint32),
    "optimizer/0/iterations": np.array(2**40, np.int64),
    "optimizer/1/scale": np.array(2.0**-149, np.float32),
    "model/2/half": np.array([0.1, -65504], np.float16),
    "model/3/none": np.zeros((0, 4), np.float32),
    "model/4/nan": np.array([np.nan, np.inf, -0.0], np.float32),
    "best/0": np.arange(6, dtype=np.float64).reshape(2, 3),
}
VALUES = {
    "progress": {"epoch": 1, "losses": 0.1 + 0.2},
    "opened": {"encoder/é/kernel": 7},
    "findings": ["look"],
    "trackers": None,
}


def resuming(config=CONFIG):
    return dataclasses.replace(config, resume=True)


def message_of(function, *args):
    with pytest.raises(InputError) as caught:
        function(*args)
    return str(caught.value)


@pytest.fixture
def begun(tmp_path):
    unfinished = Unfinished(tmp_path / "run.unfinished")
    assert unfinished.begin(CONFIG, DIGESTS) is None
    unfinished.close()  # as when its process has ended
    return unfinished


def numbered(number):
    return Checkpoint({"number": np.array(number)}, {"number": number})


def names(unfinished):
    return sorted(path.name for path in unfinished.directory.iterdir() if path.name != "lock")


# One process at a time


@pytest.mark.parametrize("config", [CONFIG, resuming()], ids=["anew", "resuming"])
def test_another_process_is_not_disturbed(begun, config):
    assert begun.begin(resuming(), DIGESTS) is None
    begun.write(1, numbered(1))
    other = Unfinished(begun.directory)
    assert message_of(other.begin, config, DIGESTS) == (
        f"Another process is training in {str(begun.directory)!r} just now. Wait for it, or name "
        "another --output."
    )
    other.remove()
    assert names(begun) == ["checkpoint-0000000001", "settings.json"]
    begun.close()
    assert other.begin(resuming(), DIGESTS).values == {"number": 1}


# There and back


def test_a_checkpoint_comes_back_bit_for_bit(begun):
    begun.write(12, Checkpoint(ARRAYS, VALUES))
    found = Unfinished(begun.directory).begin(resuming(), DIGESTS)
    assert found.values == VALUES
    assert set(found.arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert found.arrays[name].dtype == array.dtype, name
        assert found.arrays[name].shape == array.shape, name
        assert found.arrays[name].tobytes() == array.tobytes(), name


def test_the_order_of_an_arrays_memory_does_not_matter(begun):
    array = np.arange(6.0).reshape(2, 3).T
    begun.write(1, Checkpoint({"a": array}, {}))
    np.testing.assert_array_equal(begun.begin(resuming(), DIGESTS).arrays["a"], array)


def test_the_last_two_are_kept(begun):
    for step in (9, 10, 100, 1000):
        begun.write(step, numbered(step))
    assert names(begun) == ["checkpoint-0000000100", "checkpoint-0000001000", "settings.json"]
    assert begun.begin(resuming(), DIGESTS).values == {"number": 1000}


def test_a_second_one_of_the_same_step_takes_its_place(begun):
    begun.write(5, numbered(1))
    begun.write(5, numbered(2))
    assert names(begun) == ["checkpoint-0000000005", "settings.json"]
    assert begun.begin(resuming(), DIGESTS).values == {"number": 2}


# What was damaged


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-3])


def remove(path):
    path.unlink()


@pytest.mark.parametrize("name", ["arrays.safetensors", "values.json"])
@pytest.mark.parametrize("damage", [cut_off, remove])
def test_where_the_newest_is_damaged_the_one_before_it_serves(begun, name, damage):
    begun.write(1, numbered(1))
    begun.write(2, numbered(2))
    newest = begun.directory / "checkpoint-0000000002"
    damage(newest / name)
    with pytest.warns(InputWarning) as caught:
        assert begun.begin(resuming(), DIGESTS).values == {"number": 1}
    (warning,) = caught
    text = str(warning.message)
    assert text.startswith(f"The checkpoint {newest} cannot be read (")
    assert text.endswith("); going on from the one before it.")


def test_where_both_are_damaged_it_begins_anew(begun):
    for step in (1, 2):
        begun.write(step, numbered(step))
        cut_off(begun.directory / f"checkpoint-{step:010d}" / "values.json")
    with pytest.warns(InputWarning) as caught:
        assert begun.begin(resuming(), DIGESTS) is None
    assert len(caught) == 2
    assert names(begun) == ["settings.json"]


def test_half_written_ones_are_passed_over_and_removed(begun):
    begun.write(1, numbered(1))
    half = begun.directory / ".checkpoint-0000000002.4711"
    half.mkdir()
    (half / "arrays.safetensors").write_bytes(b"half")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert begun.begin(resuming(), DIGESTS).values == {"number": 1}
    assert names(begun) == ["checkpoint-0000000001", "settings.json"]


def test_a_checkpoint_that_cannot_be_written_leaves_those_before_it(begun, monkeypatch):
    begun.write(1, numbered(1))

    def full(arrays, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.safetensors.numpy, "save_file", full)
    with pytest.raises(OSError) as caught:
        begun.write(2, numbered(2))
    place = begun.directory / "checkpoint-0000000002"
    assert str(caught.value) == (
        f"The checkpoint {place} could not be written: No space left on device. Free some space "
        "and go on with --resume."
    )
    assert names(begun) == ["checkpoint-0000000001", "settings.json"]


# Beginning and going on


def test_without_resume_what_was_there_is_removed(begun):
    begun.write(1, numbered(1))
    begun.history.write_text("rows", encoding="utf-8")
    assert begun.begin(CONFIG, DIGESTS) is None
    assert names(begun) == ["settings.json"]


def test_resume_where_nothing_began_begins(tmp_path):
    unfinished = Unfinished(tmp_path / "a" / "b.unfinished")
    assert unfinished.begin(resuming(), DIGESTS) is None
    assert names(unfinished) == ["settings.json"]
    # And before the first checkpoint there is nothing to go on with.
    assert unfinished.begin(resuming(), DIGESTS) is None


def test_removed_it_is_gone(begun):
    begun.remove()
    assert not begun.directory.exists()
    begun.remove()


@pytest.mark.parametrize(
    ("changes", "was", "now"),
    [
        ({"train": TrainConfig(batch_size=4)}, "batch_size=16", "4"),
        ({"model": ModelConfig(head="linear")}, "head='mlp'", "'linear'"),
        ({"data": DataConfig(train="b.csv", label_columns=("rude", "kind"))}, "train='a.csv'",
         "'b.csv'"),
        ({"data": DataConfig(train="a.csv", label_columns=("rude",))},
         "label_columns=['rude', 'kind']", "['rude']"),
        ({"optimizer": OptimizerConfig(warmup=0.25)}, "warmup=0.1", "0.25"),
        ({"objective": ObjectiveConfig(class_weight="balanced")}, "class_weight='none'",
         "'balanced'"),
        ({"seeds": None}, "seeds=[1, 2]", "None"),
    ],
)  # fmt: skip
def test_a_setting_that_was_changed_is_named(begun, changes, was, now):
    begun.write(1, numbered(1))
    changed = dataclasses.replace(CONFIG, **changes)
    assert message_of(begun.begin, resuming(changed), DIGESTS) == (
        f"{begun.directory} began with {was}, and now it is {now}. Give the same settings, or "
        "begin anew without --resume."
    )
    assert not begun.is_of(changed)
    assert "checkpoint-0000000001" in names(begun)


@pytest.mark.parametrize("name", DIGESTS)
def test_data_that_were_changed_are_named(begun, name):
    begun.write(1, numbered(1))
    assert message_of(begun.begin, resuming(), DIGESTS | {name: "other"}) == (
        f"{begun.directory} began with another {name}: it was changed since. Restore it, or begin "
        "anew without --resume."
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"output": "elsewhere"},
        {"overwrite": True},
        {"record": RecordConfig(eval_every=3, checkpoint_steps=7)},
        {"train": TrainConfig(cache=False, cache_dir="elsewhere", cache_limit=1.0)},
    ],
)
def test_where_it_is_written_and_what_is_watched_may_change(begun, changes):
    begun.write(1, numbered(1))
    changed = dataclasses.replace(CONFIG, **changes)
    assert begun.is_of(changed)
    assert begun.begin(resuming(changed), DIGESTS).values == {"number": 1}


def test_settings_are_as_json_has_them():
    values = settings_of(CONFIG)
    assert json.loads(json.dumps(values)) == values
    assert values["data"]["label_columns"] == ["rude", "kind"]
    free = {"output", "overwrite", "resume", "record", "keep_lora"}
    assert not free & set(values)


def test_what_is_no_beginning_is_of_no_config(tmp_path):
    unfinished = Unfinished(tmp_path)
    assert not unfinished.is_of(CONFIG)
    for content in ("{", "[]", "{}"):
        (tmp_path / "settings.json").write_text(content, encoding="utf-8")
        assert not unfinished.is_of(CONFIG)


# When one is due


def test_a_checkpoint_is_due_after_so_many_steps():
    timer = CheckpointTimer(RecordConfig(checkpoint_steps=3, checkpoint_minutes=0.0))
    assert [timer.is_due(step) for step in range(1, 8)] == [False, False, True] * 2 + [False]


def test_a_checkpoint_is_due_where_it_was_for_one_of_several_steps():
    timer = CheckpointTimer(RecordConfig(checkpoint_steps=5, checkpoint_minutes=0.0))
    # Steps 1 to 3, 4 to 6, 7 to 9 and 10 to 12.
    assert [timer.is_due(step, 3) for step in (3, 6, 9, 12)] == [False, True, False, True]
    assert timer.is_due(4, 4) is False
    assert timer.is_due(32, 32) is True


def test_a_checkpoint_is_due_after_so_many_minutes(monkeypatch):
    now = 100.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    timer = CheckpointTimer(RecordConfig(checkpoint_minutes=2.0))
    assert not timer.is_due(1)
    now = 219.9
    assert not timer.is_due(2)
    now = 220.0
    assert timer.is_due(3)
    timer.restart()
    assert not timer.is_due(4)


def test_what_no_training_has_written_is_not_removed(tmp_path):
    directory = tmp_path / "mine"
    directory.mkdir()
    (directory / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds 'thesis"):
        Unfinished(directory).begin(FitConfig(), {})
    assert (directory / "thesis.txt").read_text() == "years of work"


def test_settings_of_which_the_writing_was_cut_off_are_not_in_the_way(tmp_path):
    unfinished = Unfinished(tmp_path / "run.unfinished")
    unfinished.directory.mkdir()
    (unfinished.directory / ".settings.json").write_text('{"fit"')
    assert unfinished.begin(FitConfig(resume=True), {}) is None
    assert unfinished.is_of(FitConfig())


def test_a_full_disk_as_safetensors_says_it(tmp_path, monkeypatch):
    def fail(*_):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    unfinished = Unfinished(tmp_path / "run.unfinished")
    unfinished.begin(FitConfig(), {})
    monkeypatch.setattr("safetensors.numpy.save_file", fail)
    with pytest.raises(OSError, match=r"No space left on device .* --resume"):
        unfinished.write(1, Checkpoint({"a": np.zeros(1)}, {}))
    assert not list(unfinished.directory.glob("*checkpoint*"))
