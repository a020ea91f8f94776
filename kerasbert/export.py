"""`python -m kerasbert.export`: a trained classifier for another runtime, checked there."""

import dataclasses
from typing import Annotated

import tyro
from rich.console import Console

from kerasbert import _cli, _runtime
from kerasbert.config_checks import one_of
from kerasbert.exporting.asking import read_request
from kerasbert.exporting.formats import FORMATS, QUANTIZATIONS


@dataclasses.dataclass(frozen=True)
class ExportConfig:
    """Write a run as a SavedModel, as ONNX or for LiteRT, and compare its answers in that runtime.

    Batch and length are free. The directory has the model, its tokenizer, labels.json, export.json
    (inputs, outputs, what was checked) and README.md, which says how to call it.
    """

    # Directory that `python -m kerasbert.fit` wrote.
    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]

    # saved_model: TensorFlow. onnx: onnxruntime, an extra. litert: LiteRT's interpreter, an extra.
    format: Annotated[str, one_of(*FORMATS)] = "saved_model"

    # Directory to write. Default: export_FORMAT in the run's directory.
    output: str | None = None

    # int8: weights of eight bits, for onnx and litert. What that costs is measured.
    quantize: Annotated[str, one_of(*QUANTIZATIONS)] = "none"

    # File of labelled rows (.csv, .parquet, .jsonl) to compare accuracy and speed with Keras's on.
    # Default: none, and for int8 the rows that the run was validated on.
    data: str | None = None

    # Character encoding of CSV and JSON lines files.
    encoding: str = "utf-8"

    # Replace an export that stands there.
    overwrite: bool = False


def main(args: list[str]) -> None:
    """Export as `args` say, and print what was checked and measured."""
    config = _cli.parse(ExportConfig, "export", args)
    request = read_request(
        config.run,
        config.output,
        format=config.format,
        quantize=config.quantize,
        data=config.data,
        encoding=config.encoding,
        overwrite=config.overwrite,
    )

    _runtime.quiet()
    from kerasbert.exporting.measuring import measured_table
    from kerasbert.exporting.writing import write_export

    about = write_export(request)
    shown = {key: value for key, value in about["checked"].items() if key != "tolerance"}
    for what, found in (("", shown), (" int8", about.get("quantized"))):
        if found:
            largest = {key: max(values.values()) for key, values in found.items() if values}
            said = f"{largest['probe']:.1e} on the probe's texts, "
            said += f"{largest['shapes']:.1e} in batches of random pieces"
            if "calibration" in largest:
                said += f", {largest['calibration']:.1e} by the calibration"
            print(f"{config.format}{what}: largest difference to Keras in float32: {said}")
    if measured := about.get("measured"):
        title = f"{measured['source']}, {measured['rows']:,} rows"
        Console().print(measured_table(measured["models"], title), highlight=False)
    print(f"wrote {request.output}, {about['megabytes']:.1f} MB")


if __name__ == "__main__":
    _cli.run(main)
