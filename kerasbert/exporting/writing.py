"""A saved run to a directory for another runtime, checked before it stands there."""

import contextlib
import dataclasses
import math
import tempfile
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras

from kerasbert import run_directory as files
from kerasbert.data.labels import Labels
from kerasbert.errors import InputError, InputWarning
from kerasbert.exporting.asking import ABOUT, Request, read_request
from kerasbert.exporting.checking import TOLERANCE, Call, check_answers, check_tokenizer
from kerasbert.exporting.formats import Format, module_of, versions
from kerasbert.exporting.graph import exported_model, output_names
from kerasbert.exporting.measuring import measure
from kerasbert.exporting.using import usage
from kerasbert.run import Run
from kerasbert.saving import load_run

_USAGE = "README.md"
_SMALL_FILES_BYTES = 10_000_000
# What int8 may cost of a score before a warning says so.
_MUCH = 0.01


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
    return write_export(
        read_request(
            directory,
            output,
            format=format,
            quantize=quantize,
            data=data,
            encoding=encoding,
            overwrite=overwrite,
        )
    )


def write_export(request: Request) -> dict[str, Any]:
    """Write what was asked for; as `export_run`."""
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            "Models are exported with TensorFlow. Received: the backend "
            f"{keras.backend.backend()!r}. Run it without KERAS_BACKEND."
        )
    run = load_run(request.directory, "float32")
    # Before it is rounded it lies there, too.
    copies = 2 if request.is_quantized else 1
    num_bytes = copies * 4 * run.model.count_params() + _SMALL_FILES_BYTES
    with files.written_whole(request.output, num_bytes) as beside:
        about = _write_model(beside, request, run)
        run.tokenizer.save(beside / files.TOKENIZER)
        check_tokenizer(beside / files.TOKENIZER / "tokenizer.json", run)
        labels = files.json_text(dataclasses.asdict(_without_places(run.labels)))
        (beside / files.LABELS).write_text(labels, encoding="utf-8")
        (beside / _USAGE).write_text(usage(about), encoding="utf-8")
        (beside / ABOUT).write_text(files.json_text(about), encoding="utf-8")
    return about


def _write_model(beside: Path, request: Request, run: Run) -> dict[str, Any]:
    """Write the model, check and measure it; gives what there is to say of it."""
    found, path = request.format, beside / request.format.file
    calls, sizes = {"Keras, float32": _keras_call(run)}, [4 * run.model.count_params()]
    with tempfile.TemporaryDirectory(dir=beside) as temporary:
        plain = Path(temporary) / path.name if request.is_quantized else path
        with _told(found):
            module, model = module_of(found), exported_model(run)
            module.write(model, plain)
            calls[found.name] = _told_call(module.load(plain), found)
        about = _about(found, run, request.metadata)
        checked = check_answers(calls[found.name], run, request.metadata, TOLERANCE)
        about |= {"checked": {"tolerance": TOLERANCE} | checked}
        sizes.append(_size(plain))
        if request.is_quantized:
            rounded = f"{found.name}, int8"
            with _told(found):
                module.quantize(model, plain, path)
                calls[rounded] = _told_call(module.load(path), found)
            about |= {"quantized": check_answers(calls[rounded], run, request.metadata, math.inf)}
            sizes.append(_size(path))
        if request.examples is not None:
            measured = measure(calls, run, request.examples)
            for values, size in zip(measured.values(), sizes, strict=True):
                values["megabytes"] = size / 1e6
            source, rows = request.examples.source, len(request.examples)
            about |= {"measured": {"source": Path(source).name, "rows": rows, "models": measured}}
            if request.is_quantized:
                _warn_of_losses(measured["Keras, float32"], measured[rounded])
    return about | {"megabytes": sizes[-1] / 1e6}


def _warn_of_losses(exact: dict[str, Any], rounded: dict[str, Any]) -> None:
    """Say where rounding costs more than it usually does."""
    for key, what in (("accuracy", "accuracy"), ("macro_f1", "macro F1"), ("pearson", "Pearson")):
        if exact.get(key) is None or rounded.get(key) is None:
            continue
        if rounded[key] < exact[key] - _MUCH:
            warnings.warn(
                f"Rounding to int8 costs much here: {what} is {rounded[key]:.3f}, and "
                f"{exact[key]:.3f} before. Use the format without --quantize, or the other one's.",
                InputWarning,
                stacklevel=2,
            )


def _without_places(labels: Labels) -> Labels:
    """Labels that do not say where on a machine the rows lay that they were chosen on."""
    if labels.chosen is None:
        return labels
    chosen = dataclasses.replace(labels.chosen, source=Path(labels.chosen.source).name)
    return dataclasses.replace(labels, chosen=chosen)


def _told_call(call: Call, found: Format) -> Call:
    def told(batch):
        with _told(found):
            return call(batch)

    return told


@contextlib.contextmanager
def _told(found: Format) -> Iterator[None]:
    """Let a converter and a runtime work; what they raise becomes a sentence."""
    try:
        yield
    except (InputError, OSError):
        raise
    except MemoryError:
        raise InputError(
            f"Memory does not suffice to write the format {found.name!r}, which needs many times "
            "the size of the weights. Close other programs, or use a machine with more."
        ) from None
    except ImportError as error:
        raise InputError(
            f"A package of the format {found.name!r} cannot be loaded: {error}. Install it anew: "
            f"pip install --force-reinstall {' '.join(found.packages.values()) or 'tensorflow'}."
        ) from error
    except Exception as error:  # they raise whatever they like
        reason = textwrap.shorten(str(error), 300, placeholder="...").rstrip(".")
        reason = reason or type(error).__name__
        named = ", ".join(f"{package} {version}" for package, version in versions(found).items())
        raise InputError(
            f"The format {found.name!r} cannot hold this model, with {named}: "
            f"{reason}. Choose another format."
        ) from error


def _about(found: Format, run: Run, metadata: dict[str, Any]) -> dict[str, Any]:
    """What can be said before anything is written."""
    labels, calibration = run.labels, run.labels.calibration
    return {
        "format": found.name,
        "file": found.file,
        "task": labels.task,
        "labels": list(labels.names),
        "inputs": [
            {"name": name, "dtype": "int32", "shape": ["batch", "length"]}
            for name in run.input_names
        ],
        "outputs": [
            {"name": name, "dtype": "float32", "shape": ["batch", len(labels.names)]}
            for name in output_names(labels)
        ],
        "calibration": None if calibration is None else calibration.method,
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
