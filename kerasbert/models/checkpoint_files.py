"""The tensors of a Hugging Face directory, under PyTorch's names, whatever wrote them."""

import contextlib
import functools
import re
from collections.abc import Callable
from pathlib import Path

import h5py
import ml_dtypes  # noqa: F401, teaches NumPy the bfloat16 that files may hold
import numpy as np
import safetensors

from kerasbert.errors import InputError
from kerasbert.run_directory import read_json

WHOLE, SHARDED = "model.safetensors", "model.safetensors.index.json"

# By name, read when called; float32, as PyTorch has them.
Tensors = dict[str, Callable[[], np.ndarray]]


def open_tensors(directory: Path, files: contextlib.ExitStack) -> Tensors:
    """All tensors of a directory, whichever of the layouts it has."""
    if (directory / WHOLE).is_file() or (directory / SHARDED).is_file():
        names = [WHOLE]
        if not (directory / WHOLE).is_file():
            names = _shard_names(directory)
        tensors: Tensors = {}
        for name in names:
            file = files.enter_context(safetensors.safe_open(directory / name, framework="np"))
            is_tensorflow = (file.metadata() or {}).get("format") == "tf"
            for key in file.offset_keys():
                read = functools.partial(_read_safetensor, file, key)
                tensors |= _from_tensorflow(key, read) if is_tensorflow else {_modern(key): read}
        return tensors
    file = files.enter_context(h5py.File(directory / "tf_model.h5", "r"))
    tensors = {}

    def visit(path, item):
        if isinstance(item, h5py.Dataset):
            # "bert/tf_bert_model/bert/encoder/...:0": the group, the model's name, the weight's
            tensors.update(
                _from_tensorflow(path.split("/", 2)[-1], lambda: np.asarray(item, np.float32))
            )

    file.visititems(visit)
    return tensors


def _shard_names(directory: Path) -> list[str]:
    shards = read_json(directory / SHARDED).get("weight_map")
    names = set(shards.values()) if isinstance(shards, dict) else {None}
    # A shard lies beside its index; a path would lead elsewhere.
    if not names or not all(isinstance(name, str) and Path(name).name == name for name in names):
        raise InputError(
            f"{directory / SHARDED}: expected 'weight_map' to be an object from weights to names "
            "of files beside it."
        )
    return sorted(names)


def _read_safetensor(file, key: str) -> np.ndarray:
    kind = file.get_slice(key).get_dtype()
    if kind not in ("F64", "F32", "F16", "BF16"):
        raise InputError(
            f"The base's weight {key!r} is of the type {kind}. Expected float32, float16 or "
            "bfloat16."
        )
    return np.asarray(file.get_tensor(key), np.float32)


def _modern(name: str) -> str:
    """The name that PyTorch files of 2018 would have today."""
    name = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", name)
    return re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", name)


def _from_tensorflow(path: str, read: Callable[[], np.ndarray]) -> Tensors:
    """A tensor of transformers' TensorFlow classes under PyTorch's name, and turned as there."""
    *parts, suffix = path.partition(":")[0].replace("layer_._", "layer/").split("/")
    theirs = {"kernel": "weight", "gamma": "weight", "embeddings": "weight", "beta": "bias"}
    name = ".".join([*parts, theirs.get(suffix, suffix)])
    return {name: (lambda: read().T) if suffix == "kernel" else read}
