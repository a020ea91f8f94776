"""Pretrained bases, read from their files once for all models of a process."""

from pathlib import Path

import keras
import numpy as np

from kerasbert.models.base import find_base
from kerasbert.models.encoder import Encoder


class Bases:
    """Finds bases and reads their weights.

    Args:
        keep: keep them in memory, for the next model.
    """

    def __init__(self, keep: bool = True):
        self._keep = keep
        self._directories: dict[str, Path] = {}
        self._weights: dict[tuple, tuple[tuple[str, ...], list[np.ndarray]]] = {}

    def find(self, name: str) -> Path:
        """As `find_base`, which looks through a file of weights each time that it is asked."""
        if name not in self._directories:
            self._directories[name] = find_base(name)
        return self._directories[name]

    def load(self, encoder: Encoder, directory: Path) -> None:
        """As `encoder.load_pretrained(directory)`."""
        key = directory, type(encoder), encoder.pooler, encoder.dtype_policy.name
        if key in self._weights:
            encoder.left_out, values = self._weights[key]
            for variable, value in zip(encoder.pretrained_weights, values, strict=True):
                variable.assign(value)
            return
        encoder.load_pretrained(directory)
        if not self._keep:
            return
        values = [keras.ops.convert_to_numpy(v) for v in encoder.pretrained_weights]
        self._weights[key] = encoder.left_out, [np.array(value) for value in values]
