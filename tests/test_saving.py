import dataclasses
import errno
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import h5py
import keras
import numpy as np
import pytest

from kerasbert import run_directory as files
from kerasbert import saving
from kerasbert.config import TRUNCATIONS, ModelConfig
from kerasbert.data.labels import Labels
from kerasbert.data.tokens import Tokenizer
from kerasbert.errors import InputError, InputWarning, TrainingError
from kerasbert.models.base import declared_pooling
from kerasbert.models.classifier import build_classifier
from kerasbert.models.optimization import AdamW, compile_classifier
from kerasbert.models.resolving import resolve_model_config
from kerasbert.run import Run
from tests.conftest import encoder_config, make_tokenizer


def make_run(family="bert", **changes):
    keras.utils.set_random_seed(7)
    # Every piece has its share in the answers, so that another vocabulary shows.
    config = ModelConfig(num_labels=2, max_length=32, base="toy", **{"pooling": "mean"} | changes)
    config = resolve_model_config(config, encoder_config(family))
    model = build_classifier(config, encoder_config=encoder_config(family))
    labels = Labels("binary", ("label",), ("civil", "rude"), (0.5, 0.5))
    return Run(model, config, labels, Tokenizer(make_tokenizer(), 32))


@pytest.fixture(scope="module")
def run():
    return make_run()


@pytest.fixture(scope="module")
def saved_once(run, tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "run"
    saving.save(directory, run)
    return directory


@pytest.fixture
def saved(saved_once, tmp_path):
    return shutil.copytree(saved_once, tmp_path / "copy")


def outputs(model):
    ids = np.array([[3, 7, 9, 4], [3, 8, 4, 0]], np.int32)
    batch = {
        "input_ids": ids,
        "attention_mask": (ids > 0).astype(np.int32),
        "token_type_ids": np.zeros_like(ids),
    }
    batch = {tensor.name: batch[tensor.name] for tensor in model.inputs}
    return np.asarray(model(batch, training=False))


def edit(path: Path, **changes):
    values = json.loads(path.read_text())
    path.write_text(json.dumps(values | changes))


def sign(directory: Path):
    """Make the sha256 fit again after a file was changed."""
    names = json.loads((directory / files.METADATA).read_text())["sha256"]
    digests = {name: files.sha256_of(directory / name) for name in names}
    edit(directory / files.METADATA, sha256=digests)


def test_the_directory_holds_what_it_says(saved_once):
    assert sorted(path.name for path in saved_once.iterdir()) == [
        "MODEL_CARD.md",
        "config.json",
        "encoder_config.json",
        "labels.json",
        "metadata.json",
        "model.weights.h5",
        "report.json",
        "tokenizer",
    ]
    pickles = [path for path in saved_once.rglob("*") if path.suffix in (".pkl", ".bin", ".py")]
    assert not pickles


def test_a_loaded_run_answers_the_same(run, saved_once):
    loaded = saving.load_run(saved_once, "float32")
    np.testing.assert_array_equal(outputs(loaded.model), outputs(run.model))
    assert loaded.config == run.config
    assert loaded.labels == run.labels


def test_it_is_checked_in_float32_and_run_in_bfloat16(run, saved_once):
    loaded = saving.load_run(saved_once, "bfloat16")
    assert loaded.running_precision == "bfloat16"
    assert loaded.model.get_layer("encoder").dtype_policy.name == "bfloat16"
    np.testing.assert_allclose(outputs(loaded.model), outputs(run.model), atol=0.01)
    with pytest.raises(InputError, match=r"rounded to bfloat16 .* precision='float32' first"):
        saving.save(saved_once.parent / "again", loaded)
    with pytest.raises(InputError, match=r"`precision` must be one of 'auto', 'float32', "):
        saving.load_run(saved_once, "float16")


@pytest.mark.parametrize("reported", ["float32", "bfloat16"])
def test_it_runs_as_it_was_reported_unless_told_otherwise(reported, run, tmp_path, monkeypatch):
    monkeypatch.setattr("kerasbert.models.running._has_bfloat16", lambda: True)
    saving.save(tmp_path / "run", dataclasses.replace(run, running_precision=reported))
    assert saving.load_run(tmp_path / "run").running_precision == reported
    monkeypatch.setattr("kerasbert.models.running._has_bfloat16", lambda: False)
    assert saving.load_run(tmp_path / "run").running_precision == "float32"


def test_a_model_that_does_not_bear_rounding_runs_in_float32(run, tmp_path, monkeypatch):
    monkeypatch.setattr("kerasbert.models.running._has_bfloat16", lambda: True)
    monkeypatch.setitem(saving.PROBE_TOLERANCE, "bfloat16", 0.0)
    saving.save(tmp_path / "run", dataclasses.replace(run, running_precision="bfloat16"))
    with pytest.warns(InputWarning, match="so it runs in float32"):
        assert saving.load_run(tmp_path / "run").running_precision == "float32"
    with pytest.raises(InputError, match=r"do not bear rounding\. Load it in float32"):
        saving.load_run(tmp_path / "run", "bfloat16")


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_a_base_of_its_own(family, tmp_path):
    run = make_run(family)
    saving.save_base(tmp_path / "base", run)
    config = dataclasses.replace(run.config, base=str(tmp_path / "base"))
    again = build_classifier(dataclasses.replace(config, pooling=None)).get_layer("encoder")
    assert declared_pooling(tmp_path / "base") == "mean"
    for ours, theirs in zip(run.model.get_layer("encoder").weights, again.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(InputError, match="holds files, but no run"):
        saving.save_base(tmp_path / "base", run)


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
def test_what_the_transformers_encoder_saved_is_loaded_natively(family, tmp_path):
    pytest.importorskip("tf_keras")
    theirs = make_run(family, encoder="transformers", pooling="mean")
    saving.save(tmp_path / "run", theirs)
    path = tmp_path / "run" / files.CONFIG
    values = json.loads(path.read_text())
    assert values.pop("encoder") == "transformers"
    path.write_text(json.dumps(values))  # as before there was a native one
    loaded = saving.load_run(tmp_path / "run", "float32")
    assert type(loaded.model.get_layer("encoder")).__name__ == "BertEncoder"
    np.testing.assert_allclose(outputs(loaded.model), outputs(theirs.model), atol=1e-6)


@pytest.mark.parametrize(
    "changes", [{"freeze_base": True}, {"freeze_layers": 2}, {"freeze_embeddings": True}]
)
def test_another_freezing_at_loading_answers_the_same(changes, run, saved_once):
    model = saving.rebuild(saved_once, **changes)
    assert len(model.trainable_weights) < len(run.model.trainable_weights)
    model.load_weights(saved_once / files.WEIGHTS)
    np.testing.assert_array_equal(outputs(model), outputs(run.model))


def test_a_directory_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"is no run: it has no config.json"):
        saving.load_run(tmp_path)
    with pytest.raises(FileNotFoundError, match="There is no run"):
        saving.load_run(tmp_path / "nowhere")


def test_changed_weights_are_refused(saved):
    with h5py.File(saved / files.WEIGHTS, "r+") as file:
        kernel = file["layers/functional/layers/dense/vars/0"]
        kernel[0, 0] += 1
    with pytest.raises(InputError, match="is not the file that was saved: its sha256 is"):
        saving.load_run(saved)


def test_weights_of_another_shape_are_refused(saved):
    edit(saved / files.CONFIG, hidden_units=[12, 13])
    with pytest.raises(InputError, match=r"model.weights.h5 does not fit config.json and"):
        saving.load_run(saved)


def test_weights_that_answer_otherwise_are_refused(saved):
    with h5py.File(saved / files.WEIGHTS, "r+") as file:
        file["layers/functional/layers/dense_2/vars/1"][:] = [3.0, -3.0]
    sign(saved)
    with pytest.raises(InputError, match="the rebuilt model is not the one that was saved"):
        saving.load_run(saved)


def test_a_tokenizer_that_was_exchanged_is_refused(saved):
    path = saved / "tokenizer" / "tokenizer.json"
    values = json.loads(path.read_text())
    vocabulary = values["model"]["vocab"]
    vocabulary["a"], vocabulary["very"] = vocabulary["very"], vocabulary["a"]
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match=r"tokenizer.json is not the file that was saved"):
        saving.load_run(saved)
    sign(saved)
    with pytest.raises(InputError, match="the rebuilt model is not the one that was saved"):
        saving.load_run(saved)


def test_the_optimizer_is_not_saved(run, tmp_path):
    compile_classifier(run.model, "binary", AdamW(1e-3))
    saving.save(tmp_path / "run", run)
    stored = []
    with h5py.File(tmp_path / "run" / files.WEIGHTS) as file:
        assert "optimizer" not in file
        file.visititems(lambda name, item: stored.append(getattr(item, "size", 0)))
    # The state of the dropout's random numbers is two numbers beside the weights.
    assert 0 <= sum(stored) - run.model.count_params() <= 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ["rude", "civil"]}, "'names' is ['rude', 'civil'], and the weights were saved"),
        ({"task": "multilabel"}, "'task' is 'multilabel', and the weights were saved with"),
        ({"task": "regression"}, "`thresholds` must be given for binary and multilabel"),
        ({"task": "foo"}, "`task` must be one of"),
        ({"names": ["a", "a"]}, "`names` must be different names"),
        ({"thresholds": [5, 7]}, "`thresholds` must be 2 numbers from 0 to 1"),
        ({"thresholds": [0.5]}, "`thresholds` must be 2 numbers from 0 to 1"),
    ],
)
def test_labels_that_were_changed_are_refused(changes, message, saved):
    edit(saved / files.LABELS, **changes)
    with pytest.raises(InputError, match=re.escape(message)):
        saving.load_run(saved)


def test_thresholds_may_be_set_by_hand(saved):
    edit(saved / files.LABELS, thresholds=[0.5, 0.25])
    assert saving.load_run(saved).labels.thresholds == (0.5, 0.25)


@pytest.mark.parametrize(
    ("name", "key"),
    [
        *((files.METADATA, key) for key in ("sha256", "precision", "probe", "fit", "report")),
        (files.LABELS, "names"),
        (files.CONFIG, "head"),
        (files.ENCODER_CONFIG, "model_type"),
    ],
)
def test_a_key_that_is_missing_is_named(name, key, saved):
    values = json.loads((saved / name).read_text())
    del values[key]
    (saved / name).write_text(json.dumps(values))
    with pytest.raises(InputError, match=re.escape(name)):
        saving.load_run(saved)


@pytest.mark.parametrize(
    "changes",
    [{"num_attention_heads": 5}, {"hidden_act": "foo"}, {"hidden_size": "x"}, {"vocab_size": 99}],
)
def test_an_encoder_config_that_was_changed_is_refused(changes, saved):
    edit(saved / files.ENCODER_CONFIG, **changes)
    with pytest.raises(InputError, match=r"encoder_config\.json"):
        saving.load_run(saved)


@pytest.mark.parametrize(
    "changes", [{"precision": "foo"}, {"probe": "x"}, {"probe": [[1], [2, 3]]}]
)
def test_metadata_that_was_changed_is_refused(changes, saved):
    edit(saved / files.METADATA, **changes)
    with pytest.raises(InputError, match=r"metadata\.json"):
        saving.load_run(saved)


def test_an_interruption_while_the_place_is_taken_leaves_the_earlier_run(run, saved, monkeypatch):
    rename, calls = Path.rename, []

    def interrupted(self, target):
        calls.append(self)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        saving.save(saved, run, overwrite=True)
    monkeypatch.undo()
    saving.load_run(saved)
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_a_link_to_a_run_stays_a_link(run, saved, tmp_path):
    link = tmp_path / "current"
    link.symlink_to(saved)
    saving.save(link, run, overwrite=True)
    assert link.is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "current"]


def test_a_name_that_is_too_long_is_refused_before_the_work(tmp_path):
    with pytest.raises(OSError, match=r"cannot be written: File name too long\. Name another"):
        files.check_output(tmp_path / ("x" * 255))


def test_a_file_that_is_gone_is_missed(saved):
    (saved / "tokenizer" / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"is not whole: tokenizer/tokenizer\.json is missing"):
        saving.load_run(saved)


def test_another_pooling_in_the_config_is_refused(saved):
    edit(saved / files.CONFIG, pooling="max")
    with pytest.raises(InputError, match="the rebuilt model is not the one that was saved"):
        saving.load_run(saved)


@pytest.mark.parametrize("truncation", TRUNCATIONS)
def test_a_loaded_run_cuts_pairs_as_it_was_trained(truncation, tmp_path):
    tokenizer = Tokenizer(make_tokenizer(), 32, truncation)
    run = dataclasses.replace(make_run(truncation=truncation), tokenizer=tokenizer)
    saving.save(tmp_path / "run", run)
    loaded = saving.load_run(tmp_path / "run")
    assert loaded.tokenizer.truncation == loaded.config.truncation == truncation
    pair = ["dog " * 60], ["cat " * 20]
    np.testing.assert_array_equal(loaded.tokenizer(*pair).input_ids, tokenizer(*pair).input_ids)
    # Room for 29 beside three special pieces.
    kept = int((loaded.tokenizer(*pair).token_type_ids == 0).sum()) - 2
    assert kept == {"longest_first": 15, "proportional": 22}[truncation]


def test_an_unknown_key_in_the_config_is_refused(saved):
    edit(saved / files.CONFIG, poolng="cls")
    with pytest.raises(InputError, match=r"Unknown key 'poolng'. Did you mean 'pooling'\?"):
        saving.load_run(saved)


@pytest.mark.parametrize("name", [files.CONFIG, files.LABELS, files.METADATA])
def test_a_file_that_is_not_json_is_refused(name, saved):
    (saved / name).write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        saving.load_run(saved)


def test_saving_over_a_run_must_be_asked_for(run, saved):
    with pytest.raises(InputError, match="is already a run"):
        saving.save(saved, run)
    saving.save(saved, run, overwrite=True)
    assert files.is_run(saved)


def test_other_files_are_never_replaced(run, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds files, but no run"):
        saving.save(tmp_path, run, overwrite=True)
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("during", ["save_weights", "tokenizer"])
def test_a_full_disk_leaves_the_earlier_run(during, run, saved, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    owner = type(run.model) if during == "save_weights" else Tokenizer
    monkeypatch.setattr(owner, "save_weights" if during == "save_weights" else "save", fail)
    before = files.sha256_of(saved / files.METADATA)
    with pytest.raises(OSError, match="No space left on device"):
        saving.save(saved, run, overwrite=True)
    assert files.sha256_of(saved / files.METADATA) == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def test_the_room_on_the_disk_is_asked_for_first(run, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1_000_000))
    with pytest.raises(OSError, match=r"4 MB are needed and 1 MB are free. Nothing was left"):
        saving.save(tmp_path / "run", run)
    assert not list(tmp_path.iterdir())


def test_a_model_of_nan_is_not_saved(tmp_path):
    run = make_run()
    head = run.model.get_layer("head")
    head.set_weights([np.full_like(weight, np.nan) for weight in head.get_weights()])
    with pytest.raises(TrainingError, match="not a number"):
        saving.save(tmp_path / "run", run)
    assert not list(tmp_path.iterdir())


def test_a_probe_of_mixed_precision_has_its_own_tolerance(run, tmp_path):
    config = dataclasses.replace(run.config)
    model = build_classifier(config, encoder_config=encoder_config("bert"), dtype="mixed_bfloat16")
    half = dataclasses.replace(run, model=model, precision="mixed_bfloat16")
    saving.save(tmp_path / "run", half)
    loaded = saving.load_run(tmp_path / "run")
    assert np.abs(outputs(loaded.model) - outputs(model)).max() < 0.02
