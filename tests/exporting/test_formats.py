import importlib.metadata
import sys
from types import SimpleNamespace

import pytest

import kerasbert
from kerasbert.errors import InputError
from kerasbert.exporting.formats import FORMATS, find_format, versions


@pytest.mark.parametrize(
    ("format", "quantize", "message"),
    [
        (
            "saved",
            "none",
            r"`format` must be one of 'saved_model', .* Did you mean 'saved_model'\?",
        ),
        ("onnx", "int4", r"`quantize` must be one of 'none', 'int8'\. Received: quantize='int4'"),
        ("saved_model", "int8", "Choose the format 'onnx' or 'litert' for that"),
    ],
)
def test_what_cannot_be_asked_for_is_one_sentence(format, quantize, message):
    with pytest.raises(InputError, match=message):
        find_format(format, quantize)


@pytest.mark.parametrize(
    ("format", "module", "package"),
    [(each.name, *item) for each in FORMATS.values() for item in each.packages.items()],
)
def test_a_package_that_is_missing_is_named(format, module, package, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError) as caught:
        find_format(format)
    assert str(caught.value) == (
        f"The format {format!r} needs the package {package}, which is not installed. Install what "
        f"it takes: pip install 'kerasbert[{format}]'."
    )


def test_versions_are_known_of_packages_that_are_installed_by_another_name(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    monkeypatch.setitem(sys.modules, "onnxruntime", SimpleNamespace(__version__="1.2"))
    monkeypatch.setitem(sys.modules, "tf2onnx", SimpleNamespace())
    found = versions(FORMATS["onnx"])
    assert found["kerasbert"] == kerasbert.__version__
    assert found["onnxruntime"] == "1.2"
    assert "tf2onnx" not in found
