"""Toy runs in each runtime: what is written answers as Keras does, whatever the run."""

import contextlib
import dataclasses
import io
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasbert
from kerasbert.data.batches import pad
from kerasbert.data.calibration import Calibration
from kerasbert.data.chosen import Chosen
from kerasbert.errors import InputError, InputWarning
from kerasbert.exporting import writing
from kerasbert.exporting.asking import is_export
from kerasbert.exporting.checking import check_answers, check_tokenizer, last_outputs
from kerasbert.exporting.formats import FORMATS, module_of
from kerasbert.run_directory import read_metadata
from kerasbert.saving import load_run
from tests.conftest import comments, write_csv
from tests.exporting.making import save_toy_run, toy_run

for each in ("onnx", "onnxruntime", "tf2onnx", "ai_edge_litert"):
    pytest.importorskip(each)

# One run per runtime, and in them all that a run can be: LoRA, pairs, a calibration, each task.
RUNS = {
    "saved_model": dict(
        task="multiclass", names=("a", "b", "c"), pooling="last", lora_rank=2,
        calibration=Calibration("temperature", (1.7,)),
    ),
    "onnx": dict(
        task="multilabel", names=("rude", "kind"), pooling="pooler",
        calibration=Calibration("isotonic", curves=(((0.2, 0.9), (0.1, 1.0)),) * 2),
    ),
    "litert": dict(
        pair_column="other", pooling="max", calibration=Calibration("temperature", (0.5,)),
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs")
    for format, changes in RUNS.items():
        save_toy_run(directory / format, **changes)
    # As earlier versions wrote it, which knew no such fields.
    path = directory / "saved_model" / "labels.json"
    labels = json.loads(path.read_text(encoding="utf-8"))
    labels = {key: value for key, value in labels.items() if key not in ("unsure_below", "chosen")}
    path.write_text(json.dumps(labels), encoding="utf-8")
    return directory


@pytest.fixture(scope="module")
def rows_csv(tmp_path_factory):
    rows = [(text, int(label == "rude"), int(label == "civil")) for text, label in comments(20)]
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    return write_csv(path, ("text", "rude", "kind"), rows)


@pytest.fixture(scope="module")
def exports(runs, rows_csv, tmp_path_factory):
    """A function from a format to its export, made once; that of ONNX is quantised."""
    directory, made = tmp_path_factory.mktemp("exports"), {}

    def export(format):
        if format not in made:
            more = {"quantize": "int8", "data": rows_csv} if format == "onnx" else {}
            output = directory / format
            made[format] = kerasbert.export_run(runs / format, output, format=format, **more)
        return directory / format, made[format]

    return export


@pytest.mark.parametrize("format", RUNS)
def test_an_export_answers_as_the_run_does_in_every_shape(format, exports, capfd):
    directory, about = exports(format)
    assert "XNNPACK" not in capfd.readouterr().err  # LiteRT's greeting, once in a process
    assert is_export(directory)
    assert about == json.loads((directory / "export.json").read_text(encoding="utf-8"))
    assert len(about["checked"]["probe"]) == 3
    assert set(about["checked"]["shapes"]) == {
        f"{size} x {length}" for size in (1, 2, 5) for length in (3, 17, 32)
    }
    for part in ("probe", "shapes", "calibration"):
        assert 0 <= max(about["checked"][part].values()) < 1e-5


@pytest.mark.parametrize("format", RUNS)
def test_the_script_beside_it_decides_as_a_classifier_does(format, exports, runs, monkeypatch):
    directory, about = exports(format)
    page = (directory / "README.md").read_text(encoding="utf-8")
    assert ("eight bits" in page) == (format == "onnx")
    script = page.partition("```python\n")[2].partition("```")[0]
    assert "kerasbert" not in script
    monkeypatch.chdir(directory)
    with contextlib.redirect_stdout(io.StringIO()):
        exec(script, found := {})
    run = load_run(runs / format, "float32")
    texts = list(zip(*found["texts"], strict=True)) if about["is_pair"] else [found["texts"]]
    batch = pad(run.tokenizer(*map(list, texts)), np.arange(len(found["texts"])), run.input_names)
    if format == "onnx":  # whose numbers were rounded
        expected = last_outputs(module_of(FORMATS[format]).load(directory / about["file"])(batch))
    else:
        expected = run.labels.calibrated(run.forward(batch))
    np.testing.assert_allclose(found["found"], expected, atol=1e-5)
    assert found["decisions"] == run.labels.decode(expected)


def test_what_rounding_costs_is_measured(exports):
    directory, about = exports("onnx")
    assert not (directory / "model.onnx.data").exists()
    models = about["measured"]["models"]
    assert list(models) == ["Keras, float32", "onnx", "onnx, int8"]
    assert about["measured"]["rows"] == 20
    exact, rounded = models["onnx"], models["onnx, int8"]
    assert exact["largest_difference"] < 1e-5 < rounded["largest_difference"]
    assert exact["changed_decisions"] == 0
    assert exact["alone_difference"] < 1e-5 < rounded["alone_difference"]
    assert exact["macro_f1"] == models["Keras, float32"]["macro_f1"]
    assert max(about["quantized"]["probe"].values()) > 1e-5
    assert all(values["ms_per_text"] > 0 for values in models.values())
    assert rounded["megabytes"] == about["megabytes"]
    assert about["megabytes"] == pytest.approx((directory / "model.onnx").stat().st_size / 1e6)


def test_a_tokenizer_that_cuts_otherwise_is_found_out(exports, runs, tmp_path):
    directory, _ = exports("onnx")
    run = load_run(runs / "onnx", "float32")
    written = (directory / "tokenizer" / "tokenizer.json").read_text(encoding="utf-8")
    path = tmp_path / "tokenizer.json"
    path.write_text(written, encoding="utf-8")
    check_tokenizer(path, run)
    spoilt = json.loads(written)
    spoilt["post_processor"] = None  # which puts [CLS] and [SEP] around a text
    path.write_text(json.dumps(spoilt), encoding="utf-8")
    with pytest.raises(InputError, match=r"does not cut 'A short text\.' as the run does"):
        check_tokenizer(path, run)


def test_a_model_that_needs_autograph_can_be_written_for_onnxruntime(tmp_path):
    """As DeBERTa's class does, whose conversion takes ten seconds."""

    autograph = tf.__internal__.autograph

    def at_most(values):
        if tf.reduce_max(values) > 3:  # a tensor, which only AutoGraph can trace
            values = values - 3
        return values

    class _Wrapped(keras.layers.Layer):
        def call(self, values):  # as tf-keras, of which that class is, calls its layers
            return autograph.tf_convert(at_most, autograph.control_status_ctx())(values)

        def compute_output_spec(self, values):
            return keras.KerasTensor(values.shape, values.dtype)

    inputs = keras.Input((None,), dtype="int32", name="input_ids")
    model = keras.Model(inputs, {"scores": _Wrapped()(inputs)})
    module, path = module_of(FORMATS["onnx"]), tmp_path / "model.onnx"
    module.write(model, path)
    batch = {"input_ids": np.array([[1, 2, 5]], np.int32)}
    np.testing.assert_array_equal(module.load(path)(batch)["scores"], [[-2, -1, 2]])


def test_much_that_rounding_costs_is_a_warning():
    exact = {"accuracy": 0.9, "macro_f1": 0.531, "roc_auc": None}
    with pytest.warns(InputWarning, match=r"macro F1 is 0\.512, and 0\.531 before") as caught:
        writing._warn_of_losses(exact, exact | {"accuracy": 0.895, "macro_f1": 0.512})
    assert len(caught) == 1


def test_a_machines_places_are_not_in_labels():
    chosen = Chosen(None, "none", "/home/me/rows.csv", 1, "", (), (1, 1), (1, 1), (1, 1))
    labels = dataclasses.replace(toy_run().labels, chosen=chosen)
    assert writing._without_places(labels).chosen.source == "rows.csv"


def test_a_file_that_answers_otherwise_is_found_out(exports, runs, tmp_path):
    directory, _ = exports("litert")
    run, metadata = load_run(runs / "litert", "float32"), read_metadata(runs / "litert")
    load = module_of(FORMATS["litert"]).load
    call = load(directory / "model.tflite")
    for part, spoil in {
        "probe": lambda values: values | {"uncalibrated": values["uncalibrated"] + 2e-4},
        "shapes": lambda values: values | {"uncalibrated": _no_numbers_for_five(values)},
        "calibration": lambda values: values | {"probabilities": values["uncalibrated"]},
    }.items():
        with pytest.raises(InputError, match=rf"does not answer as the run does: {part} '"):
            check_answers(lambda batch, s=spoil: s(call(batch)), run, metadata, 1e-4)
    # In the file itself, the vectors of all pieces changed places.
    table = np.asarray(run.model.get_layer("encoder").embeddings.word.embeddings)
    written = (directory / "model.tflite").read_bytes()
    assert written.count(table.tobytes()) == 1
    path = tmp_path / "model.tflite"
    path.write_bytes(written.replace(table.tobytes(), table[::-1].tobytes()))
    with pytest.raises(InputError, match=r"probe 'A short text\.' differs by .*, and 1e-04 is"):
        check_answers(load(path), run, metadata, 1e-4)


def _no_numbers_for_five(values):
    raw = values["uncalibrated"]
    return np.full_like(raw, np.nan) if len(raw) == 5 else raw
