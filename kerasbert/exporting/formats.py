"""The one table of formats: what is written, and what it takes. Loads nothing of it."""

import dataclasses
import importlib
import importlib.util
import sys
from types import ModuleType

from kerasbert.errors import InputError, did_you_mean

QUANTIZATIONS = ("none", "int8")


@dataclasses.dataclass(frozen=True)
class Format:
    """One row of the table.

    Attributes:
        file: the model in an exported directory: a file, or a directory for SavedModel.
        module: of this package, that knows the format: `write`, `load` and, where numbers of eight
            bits can be had, `quantize`.
        packages: what is imported for it, beside TensorFlow and Keras, and the package that has it.
        can_quantize: whether numbers of eight bits can be had.
    """

    name: str
    file: str
    module: str
    packages: dict[str, str] = dataclasses.field(default_factory=dict)
    can_quantize: bool = False


FORMATS = {
    each.name: each
    for each in (
        Format("saved_model", "saved_model", "as_saved_model"),
        Format(
            "onnx",
            "model.onnx",
            "as_onnx",
            {"onnx": "onnx", "onnxruntime": "onnxruntime", "tf2onnx": "tf2onnx"},
            can_quantize=True,
        ),
        Format(
            "litert", "model.tflite", "as_litert", {"ai_edge_litert": "ai-edge-litert"},
            can_quantize=True,
        ),
    )
}  # fmt: skip


def find_format(name: str, quantize: str = "none") -> Format:
    """The row of a format; an `InputError` says that it, or a package for it, cannot be had."""
    if name not in FORMATS:
        raise InputError(
            f"`format` must be one of {', '.join(map(repr, FORMATS))}. Received: format={name!r}."
            f"{did_you_mean(name, FORMATS)}"
        )
    if quantize not in QUANTIZATIONS:
        raise InputError(
            f"`quantize` must be one of {', '.join(map(repr, QUANTIZATIONS))}. Received: "
            f"quantize={quantize!r}."
        )
    found = FORMATS[name]
    if quantize != "none" and not found.can_quantize:
        able = [each.name for each in FORMATS.values() if each.can_quantize]
        raise InputError(
            f"`quantize` must be 'none' for {name}, which has no products of eight bits. Received: "
            f"quantize={quantize!r}. Choose the format {' or '.join(map(repr, able))} for that."
        )
    for module, package in found.packages.items():
        if importlib.util.find_spec(module) is None:
            raise InputError(
                f"The format {name!r} needs the package {package}, which is not installed. Install "
                f"what it takes: pip install 'kerasbert[{name}]'."
            )
    return found


def module_of(found: Format) -> ModuleType:
    """What knows the format; its libraries are loaded with it."""
    return importlib.import_module(f"kerasbert.exporting.{found.module}")


def versions(found: Format) -> dict[str, str]:
    """Of the packages that have a part in the format, as far as they are loaded and say it."""
    # Not asked of what is installed, which may have another name: tensorflow-cpu, onnxruntime-gpu.
    packages = {name: name for name in ("kerasbert", "tensorflow", "keras", "numpy")}
    known = {
        package: getattr(sys.modules.get(module), "__version__", None)
        for module, package in (packages | found.packages).items()
    }
    return {package: version for package, version in known.items() if version}
