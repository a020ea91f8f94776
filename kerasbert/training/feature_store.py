"""Rows of numbers per text, kept on disk under the text's key and mapped into memory.

A store is a directory of shards. A shard is a directory that is written beside its place, renamed
into it, and never changed, so several processes can use one store: each reads what is there when
it looks, and adds shards of its own. The worst that happens is that two compute the same rows.
"""

import contextlib
import dataclasses
import os
import shutil
import tempfile
import time
import uuid
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kerasbert.errors import InputWarning
from kerasbert.run_directory import json_text, read_json

KEY = np.dtype("S16")
_USED = "used"  # its date is that of the last use of the store
_FILES = ("keys.npy", "offsets.npy", "rows.npy")
_MAPPED = 4_000_000  # bytes; smaller arrays are read
_ABANDONED = 24 * 3600  # seconds


@dataclasses.dataclass(frozen=True)
class Shard:
    """Keys in order, shape (n,); the rows of text i are `rows[offsets[i] : offsets[i + 1]]`."""

    keys: np.ndarray
    offsets: np.ndarray
    rows: np.ndarray


class FeatureStore:
    """A directory of shards, or, with `directory=None`, shards in a directory that is removed.

    Args:
        directory: made where it is not there. A shard in it that is cut off or was altered is
            removed, and a warning says so.
    """

    def __init__(self, directory: Path | None):
        self._temporary = None
        if directory is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="kerasbert-")
            directory = Path(self._temporary.name)
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        (directory / _USED).touch()
        self.shards: list[Shard] = []
        for path in directory.glob(".*"):  # what an interrupted process was writing
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED:
                    shutil.rmtree(path, ignore_errors=True)
        for path in sorted(directory.glob("shard-*")):
            if (shard := _open_shard(path)) is not None:
                self.shards.append(shard)

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the rows of each key are: the shard's number, -1 for none, and the text in it."""
        shard_of = np.full(len(keys), -1)
        text_in = np.zeros(len(keys), np.int64)
        for number, shard in enumerate(self.shards):
            texts = np.minimum(np.searchsorted(shard.keys, keys), len(shard.keys) - 1)
            is_here = shard.keys[texts] == keys
            shard_of[is_here], text_in[is_here] = number, texts[is_here]
        return shard_of, text_in

    def add(self, keys: np.ndarray, rows: Sequence[np.ndarray]) -> None:
        """Add a shard.

        Args:
            keys: of shape (n,).
            rows: n arrays of shape (any number, width), float32.
        """
        order = np.argsort(keys)
        rows = [rows[index] for index in order]
        offsets = np.concatenate([[0], np.cumsum([len(part) for part in rows])])
        shard = Shard(keys[order], offsets.astype(np.int64), np.concatenate(rows))
        beside = self.directory / f".{uuid.uuid4().hex}"
        try:
            beside.mkdir()
            sums = {}
            arrays = (shard.keys, shard.offsets, shard.rows)
            for name, array in zip(_FILES, arrays, strict=True):
                np.save(beside / name, array)
                sums[name] = _checksum(beside / name)
            (beside / "sums.json").write_text(json_text(sums), encoding="utf-8")
            place = beside.rename(self.directory / f"shard-{beside.name[1:]}")
            shard = _open_shard(place) or shard
        except OSError as error:
            shutil.rmtree(beside, ignore_errors=True)
            warnings.warn(
                f"{self.directory} cannot be written ({error.strerror}), so {shard.rows.nbytes:,} "
                "bytes of features are kept in memory instead. Name another --cache-dir.",
                InputWarning,
                stacklevel=2,
            )
        self.shards.append(shard)

    def close(self) -> None:
        """Give up the memory, and a directory that was to be removed."""
        self.shards.clear()
        if self._temporary is not None:
            self._temporary.cleanup()


def make_room(parent: Path, num_bytes: int, limit: int, keep: Path) -> None:
    """Remove stores below `parent`, the one not used for longest first, until there is room.

    Args:
        parent: the directory of stores.
        num_bytes: what is to be added.
        limit: what all stores may hold, in bytes.
        keep: the store that stays.
    """
    stores = [path for path in parent.iterdir() if (path / _USED).is_file()]
    sizes = {path: _size(path) for path in stores}
    for path in sorted(stores, key=_last_use):
        if sum(sizes.values()) + num_bytes <= limit:
            return
        if path != keep:
            # What another process has mapped stays readable to it until it ends.
            shutil.rmtree(path, ignore_errors=True)
            del sizes[path]


def _open_shard(path: Path) -> Shard | None:
    try:
        sums = read_json(path / "sums.json")
        for name in _FILES:
            if _checksum(path / name) != sums[name]:
                raise ValueError(f"{name} is not what was written")
        keys, offsets = np.load(path / "keys.npy"), np.load(path / "offsets.npy")
        # Each mapping holds a file open, of which a process has about a thousand.
        is_large = (path / "rows.npy").stat().st_size > _MAPPED
        rows = np.load(path / "rows.npy", mmap_mode="r" if is_large else None)
        return Shard(keys, offsets, rows)
    except FileNotFoundError:  # another process is removing it, or was interrupted while it did
        shutil.rmtree(path, ignore_errors=True)
        return None
    except (ValueError, KeyError) as error:
        warnings.warn(
            f"The cached features in {path} are damaged ({error}); they are computed again.",
            InputWarning,
            stacklevel=2,
        )
        shutil.rmtree(path, ignore_errors=True)
        return None


def _checksum(path: Path) -> int:
    checksum = 0
    with open(path, "rb") as file:
        while chunk := file.read(1 << 22):
            checksum = zlib.crc32(chunk, checksum)
    return checksum


def _size(directory: Path) -> int:
    size = 0
    for folder, _, names in os.walk(directory):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # moved or removed by another process
                size += Path(folder, name).stat().st_size
    return size


def _last_use(store: Path) -> float:
    with contextlib.suppress(FileNotFoundError):
        return (store / _USED).stat().st_mtime
    return 0.0
