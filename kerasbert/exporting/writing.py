"""A saved run to a directory for another runtime, checked before it stands there."""

import dataclasses
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import keras

from kerasbert import run_directory as files
from kerasbert.config_json import read_config
from kerasbert.data.examples import Examples
from kerasbert.data.labels import Labels
from kerasbert.deciding.rows import held_out_rows, read_labelled, where_they_were
from kerasbert.errors import InputError
from kerasbert.exporting.checking import TOLERANCE, Call, check_answers
from kerasbert.exporting.formats import Format, find_format, module_of, versions
from kerasbert.exporting.graph import UNCALIBRATED, exported_model
from kerasbert.exporting.measuring import measure
from kerasbert.exporting.using import usage
from kerasbert.run import Run
from kerasbert.saving import load_run

ABOUT, USAGE = "export.json", "README.md"
_SMALL_FILES_BYTES = 10_000_000
Done = TypeVar("Done")


def is_export(directory: str | Path) -> bool:
    """Whether `directory` looks like one that `export_run` wrote."""
    return (Path(directory) / ABOUT).is_file() and (Path(directory) / files.LABELS).is_file()


def export_run(
    directory: str | Path,
    output: str | Path | None = None,
    *,
    format: str = "saved_model",
    quantize: str = "none",
    data: str | Path | None = None,
    encoding: str = "utf-8",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write a saved run for another runtime, and check it there, or write nothing.

    Args:
        directory: where `save` wrote the run.
        output: the directory to write: the model, its tokenizer, labels.json, export.json, and a
            README.md that says how it is called. Default: export_FORMAT in the run's directory.
        format: `"saved_model"`, `"onnx"` or `"litert"`.
        quantize: `"int8"` for weights of eight bits, with `"onnx"` and `"litert"`.
        data: file of labelled rows to measure it on. Default: none, but for `"int8"` the rows that
            the run was validated on.
        encoding: of that file.
        overwrite: replace an export that is there already.

    Returns:
        What export.json holds.

    Raises:
        FileNotFoundError: there is no such run, or file.
        InputError: it is no run; the format, or a package for it, cannot be had; the format cannot
            hold this model; or the exported model does not answer as the run does.
        OSError: the files cannot be written; what was there before is untouched.
    """
    found = find_format(format, quantize)
    directory = files.check_run(directory)
    is_quantized = quantize != "none"
    name = f"export_{format}_int8" if is_quantized else f"export_{format}"
    output = directory / name if output is None else Path(output)
    files.check_output(output, overwrite, kind="saved export", is_kind=is_export)
    metadata = files.read_metadata(directory)
    examples = _rows_to_measure_on(directory, metadata, data, encoding, is_quantized)
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            "Models are exported with TensorFlow. Received: the backend "
            f"{keras.backend.backend()!r}. Run it without KERAS_BACKEND."
        )
    run = load_run(directory, "float32")
    num_bytes = 4 * run.model.count_params() + _SMALL_FILES_BYTES
    with (
        files.written_whole(output, num_bytes) as beside,
        tempfile.TemporaryDirectory(prefix="kerasbert-") as temporary,
    ):
        about = _write_model(beside, Path(temporary), found, run, metadata, examples, is_quantized)
        run.tokenizer.save(beside / files.TOKENIZER)
        shutil.copyfile(directory / files.LABELS, beside / files.LABELS)
        (beside / USAGE).write_text(usage(about), encoding="utf-8")
        (beside / ABOUT).write_text(files.json_text(about), encoding="utf-8")
    return about | {"directory": str(output)}


def _rows_to_measure_on(
    directory: Path, metadata: dict[str, Any], data, encoding: str, is_quantized: bool
) -> Examples | None:
    if data is None and not is_quantized:
        return None
    labels = read_config(Labels, directory / files.LABELS)
    if data is not None:
        examples = read_labelled(data, labels, metadata, encoding)
        labels.encode(examples)  # cells that do not fit are told before the work
        return examples
    known = held_out_rows(labels, metadata)
    if "validation" not in known:
        raise InputError(
            "What int8 costs is measured on labelled rows, and those that the run was validated on "
            f"cannot be had again: {where_they_were(metadata)} Name others with --data FILE."
        )
    return known["validation"]


def _write_model(
    beside: Path,
    temporary: Path,
    found: Format,
    run: Run,
    metadata: dict[str, Any],
    examples: Examples | None,
    is_quantized: bool,
) -> dict[str, Any]:
    """Write the model and check it; gives what there is to say of it."""
    module, model = module_of(found), exported_model(run)
    plain = (temporary if is_quantized else beside) / found.file
    _do("cannot hold this model", found, lambda: module.write(model, plain))
    call = _do("cannot run this model", found, lambda: module.load(plain))
    checked = _do(
        "cannot run this model", found, lambda: check_answers(call, run, metadata, TOLERANCE)
    )
    about = _about(found, run, model, metadata) | {"checked": {"tolerance": TOLERANCE} | checked}
    calls, sizes = {"Keras, float32": _keras_call(run)}, [4 * run.model.count_params()]
    calls[found.name], sizes = call, [*sizes, _size(plain)]
    if is_quantized:
        path = beside / found.file
        _do("cannot round this model", found, lambda: module.quantize(model, plain, path))
        rounded = _do("cannot run this model", found, lambda: module.load(path))
        differences = _do(
            "cannot run this model",
            found,
            lambda: check_answers(rounded, run, metadata, float("inf")),
        )
        about |= {"quantized": {"to": "int8", **differences}}
        calls[f"{found.name}, int8"], sizes = rounded, [*sizes, _size(path)]
    if examples is not None:
        measured = measure(calls, run, examples)
        for values, size in zip(measured.values(), sizes, strict=True):
            values["megabytes"] = size / 1e6
        about["measured"] = {"rows": len(examples), "source": examples.source, "models": measured}
    about["megabytes"] = sizes[-1] / 1e6
    return about


def _do(problem: str, found: Format, work: Callable[[], Done]) -> Done:
    """Let a converter or a runtime work; what it raises becomes a sentence."""
    try:
        return work()
    except (InputError, OSError):
        raise
    except Exception as error:  # they raise whatever they like
        reason = " ".join(str(error).split()).partition(". ")[0].rstrip(".")
        named = ", ".join(f"{package} {version}" for package, version in versions(found).items())
        raise InputError(
            f"The format {found.name!r} {problem}, with {named}: {type(error).__name__}: "
            f"{reason:.300}. Choose another format."
        ) from error


def _about(found: Format, run: Run, model: keras.Model, metadata: dict[str, Any]) -> dict[str, Any]:
    sizes = ["batch", "length"]
    labels, calibration = run.labels, run.labels.calibration
    return {
        "format": found.name,
        "file": found.file,
        "task": labels.task,
        "inputs": [{"name": name, "dtype": "int32", "shape": sizes} for name in run.input_names],
        "outputs": [
            {"name": name, "dtype": "float32", "shape": ["batch", len(labels.names)]}
            for name in sorted(model.output, key=lambda name: name == UNCALIBRATED)
        ],
        "labels": list(labels.names),
        "calibration": None if calibration is None else dataclasses.asdict(calibration),
        "is_pair": run.pair_column is not None,
        "max_length": run.tokenizer.max_length,
        "truncation": run.tokenizer.truncation,
        "pad_id": run.tokenizer.pad_id,
        "weights_sha256": metadata["sha256"].get(files.WEIGHTS),
        "versions": versions(found),
    }


def _keras_call(run: Run) -> Call:
    def call(batch):
        return {"outputs": run.labels.calibrated(run.forward(batch))}

    return call


def _size(path: Path) -> int:
    """Bytes of a file, or of all files of a directory."""
    return sum(each.stat().st_size for each in (path, *path.rglob("*")) if each.is_file())
