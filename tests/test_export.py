"""The door: `python -m kerasbert.export`."""

import json
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import pytest

from kerasbert import export
from kerasbert.exporting import writing
from tests.conftest import check_refused, write_csv
from tests.exporting.making import save_toy_run


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return save_toy_run(
        tmp_path_factory.mktemp("export") / "run", task="regression", names=("label",),
        family="roberta", pair_column="other", target_mean=3.0, target_scale=0.5,
    )  # fmt: skip


@pytest.fixture(scope="module")
def rows_csv(tmp_path_factory):
    rows = [(f"you are kind {n}", "a good dog", n / 3) for n in range(9)]
    path = tmp_path_factory.mktemp("rows") / "rows.csv"
    return write_csv(path, ("text", "other", "label"), rows)


def test_a_run_is_exported_beside_its_files_and_replaced_when_asked(command, run, rows_csv):
    code, out, err = command(export, run, "--data", rows_csv)
    assert (code, err) == (0, "")
    assert "saved_model: largest difference to Keras in float32: " in out
    assert "pearson" in out
    output = run / "export_saved_model"
    assert f"wrote {output}, " in out
    assert sorted(path.name for path in output.iterdir()) == [
        "README.md",
        "export.json",
        "labels.json",
        "saved_model",
        "tokenizer",
    ]
    about = json.loads((output / "export.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in about["inputs"]] == ["attention_mask", "input_ids"]
    assert about["outputs"] == [{"name": "scores", "dtype": "float32", "shape": ["batch", 1]}]
    # In units of the scores' spread, and each weight once.
    assert max(about["checked"]["probe"].values()) < 1e-5
    weights = sum(path.stat().st_size for path in (output / "saved_model/variables").iterdir())
    assert weights < 1.5 * (run / "model.weights.h5").stat().st_size
    check_refused(command(export, run), "is already a saved export. Name another one, or pass")
    check_refused(command(export, run, "--output", run), "holds files, but no saved export.")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--format", "tflite"], "`format` must be one of 'saved_model', 'onnx', 'litert'."),
        (["--quantize", "int8"], "`quantize` must be 'none' for saved_model"),
        pytest.param(
            ["--quantize", "int8", "--format", "onnx"],
            "measured on labelled rows, and those that",
            marks=pytest.mark.skipif(not find_spec("onnxruntime"), reason="an extra"),
        ),
        (["--data", "missing.csv"], "The file 'missing.csv' does not exist."),
        (["--fromat", "onnx"], "Did you mean --format?"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(args, message, command, run, tmp_path):
    output = tmp_path / "out"
    check_refused(command(export, run, *args, "--output", output), message)
    assert not output.exists()


def test_rows_in_the_output_are_not_removed(command, run, rows_csv, tmp_path):
    for name in ("export.json", "labels.json"):
        (tmp_path / name).write_text("{}", encoding="utf-8")
    data = tmp_path / "rows.csv"
    data.write_bytes(Path(rows_csv).read_bytes())
    done = command(export, run, "--data", data, "--output", tmp_path, "--overwrite")
    check_refused(done, "which is replaced. Move them, or name another --output.")
    assert data.is_file()


def test_there_must_be_a_run(command, tmp_path):
    check_refused(command(export, tmp_path / "none"), "There is no run")


@pytest.mark.parametrize(
    ("step", "message"),
    [
        ("write", "cannot hold this model, with kerasbert 0.1.0, tensorflow 2"),
        ("load", "cannot hold this model, with kerasbert 0.1.0, tensorflow 2"),
        ("call", "There is no Erfc here. Choose another format."),
        ("memory", "Memory does not suffice to write the format 'saved_model'"),
        ("import", "A package of the format 'saved_model' cannot be loaded: "),
        ("silent", "AssertionError. Choose another format."),
        ("answer", "does not answer as the run does: probe 'A short text.' differs by"),
    ],
)
def test_what_a_runtime_cannot_do_leaves_nothing(
    step, message, command, run, tmp_path, monkeypatch
):
    """Converters and runtimes that fail, and one that answers wrongly."""

    errors = {"memory": MemoryError(), "import": ImportError("lib.so"), "silent": AssertionError()}
    failing = "write" if step in errors else step

    def fail(name):
        if failing == name:
            raise errors.get(step, RuntimeError("There is no Erfc here."))

    def call(batch):
        fail("call")
        return {"scores": [[0.0]] * len(batch["input_ids"])}

    def load(_):
        fail("load")
        return call

    module = SimpleNamespace(write=lambda *_: fail("write"), load=load)
    monkeypatch.setattr(writing, "module_of", lambda _: module)
    check_refused(command(export, run, "--output", tmp_path / "out"), message)
    assert not list(tmp_path.iterdir())
