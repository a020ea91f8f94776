"""What an export is asked to do, checked before TensorFlow is loaded."""

import dataclasses
from pathlib import Path
from typing import Any

from kerasbert import run_directory as files
from kerasbert.config_json import read_config
from kerasbert.data.examples import Examples
from kerasbert.data.labels import Labels
from kerasbert.deciding.rows import held_out_rows, read_labelled, where_they_were
from kerasbert.errors import InputError
from kerasbert.exporting.formats import Format, find_format

ABOUT = "export.json"


@dataclasses.dataclass(frozen=True)
class Request:
    """What to write, and where.

    Attributes:
        directory: of the run.
        output: the directory to write.
        format: what to write.
        is_quantized: whether weights have eight bits.
        metadata: the run's.
        examples: labelled rows to measure it on, if there are any.
    """

    directory: Path
    output: Path
    format: Format
    is_quantized: bool
    metadata: dict[str, Any]
    examples: Examples | None


def read_request(
    directory: str | Path,
    output: str | Path | None,
    *,
    format: str,
    quantize: str,
    data: str | Path | None,
    encoding: str,
    overwrite: bool,
) -> Request:
    """Check what an export is asked for, as `kerasbert.export_run` has it, and read its rows.

    Raises:
        FileNotFoundError, InputError, OSError: as `kerasbert.export_run`.
    """
    found = find_format(format, quantize)
    directory = files.check_run(directory)
    is_quantized = quantize != "none"
    name = f"export_{format}_{quantize}" if is_quantized else f"export_{format}"
    output = directory / name if output is None else Path(output)
    files.check_output(output, overwrite, kind="saved export", is_kind=is_export)
    if data is not None and Path(data).resolve().is_relative_to(output.resolve()):
        raise InputError(
            f"The rows {str(data)!r} lie in the output {str(output)!r}, which is replaced. Move "
            "them, or name another --output."
        )
    metadata = files.read_metadata(directory)
    labels = read_config(Labels, directory / files.LABELS)
    examples = None
    if data is not None:
        examples = read_labelled(data, labels, metadata, encoding)
    elif is_quantized:
        examples = _validation_rows(labels, metadata)
    if examples is not None:
        labels.encode(examples)  # cells that do not fit are told before the work
    return Request(directory, output, found, is_quantized, metadata, examples)


def is_export(directory: str | Path) -> bool:
    """Whether `directory` looks like one that an export wrote."""
    return all((Path(directory) / name).is_file() for name in (ABOUT, files.LABELS))


def _validation_rows(labels: Labels, metadata: dict[str, Any]) -> Examples:
    known = held_out_rows(labels, metadata)
    if "validation" not in known:
        raise InputError(
            "What int8 costs is measured on labelled rows, and those that the run was validated on "
            f"cannot be had again: {where_they_were(metadata)} Name others with --data FILE."
        )
    return known["validation"]
