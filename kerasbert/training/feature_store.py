"""Rows of numbers per text, kept on disk under the text's key and mapped into memory.

A store is a directory of shards. A shard is a directory that is written beside its place, renamed
into it, and never changed, so several processes can use one store: each reads what is there when
it looks, and adds shards of its own. What one removes to make room stays mapped in another. The
worst that happens is that two compute the same rows.
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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import filelock
import numpy as np

from kerasbert.errors import InputWarning
from kerasbert.run_directory import json_text, read_json

KEY = np.dtype("S16")
# Marks a directory as a store; its date is that of the last use.
_MARK = "kerasbert-features"
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
        _mark(directory)
        self.shards: list[Shard] = []
        for path in directory.glob(".*"):  # what an interrupted process was writing
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > _ABANDONED:
                    shutil.rmtree(path, ignore_errors=True)
        self._read: set[str] = set()
        self._read_new()

    @contextlib.contextmanager
    def updated(self, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
        """While no other process adds to the directory, and with what others have added.

        Args:
            on_wait: called if another one is adding to it now.
        """
        lock = filelock.FileLock(self.directory / "lock")
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            on_wait()
            lock.acquire()
        try:
            self._read_new()
            yield
        finally:
            lock.release()

    def find(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """As the function `find`, in this store's shards."""
        return find(self.shards, keys)

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
            beside.mkdir(parents=True)  # the store may have been removed to make room
            sums = {}
            arrays = (shard.keys, shard.offsets, shard.rows)
            for name, array in zip(_FILES, arrays, strict=True):
                np.save(beside / name, array)
                sums[name] = _checksum(beside / name)
            (beside / "sums.json").write_text(json_text(sums), encoding="utf-8")
            place = beside.rename(self.directory / f"shard-{beside.name[1:]}")
            self._read.add(place.name)
            shard = _open_shard(place) or shard
        except OSError as error:
            shutil.rmtree(beside, ignore_errors=True)
            warnings.warn(
                f"{self.directory} cannot be written ({error.strerror or error}), so "
                f"{shard.rows.nbytes:,} bytes of features are kept in memory instead. Name "
                "another --cache-dir.",
                InputWarning,
                stacklevel=2,
            )
        self.shards.append(shard)

    def _read_new(self) -> None:
        for path in sorted(self.directory.glob("shard-*")):
            if path.name not in self._read and (shard := _open_shard(path)) is not None:
                self.shards.append(shard)
                self._read.add(path.name)

    def close(self) -> None:
        """Give up the memory, and a directory that was to be removed."""
        self.shards.clear()
        if self._temporary is not None:
            self._temporary.cleanup()


def find(shards: list[Shard], keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the rows of each key are: the shard's number, -1 for none, and the text's in it."""
    shard_of = np.full(len(keys), -1)
    text_in = np.zeros(len(keys), np.int64)
    for number, shard in enumerate(shards):
        texts = np.minimum(np.searchsorted(shard.keys, keys), len(shard.keys) - 1)
        is_here = shard.keys[texts] == keys
        shard_of[is_here], text_in[is_here] = number, texts[is_here]
    return shard_of, text_in


def gathered(shards: list[Shard], shard_of: np.ndarray, text_in: np.ndarray) -> np.ndarray:
    """The first row of each of n texts, which `find` found, as one array (n, width).

    Nothing more than these rows is read.
    """
    numbers = np.unique(shard_of)
    if len(numbers) == 1:  # a batch of rows taken one by one costs as much as a small head's step
        return _first_rows(shards[numbers[0]], text_in)
    rows = np.empty((len(shard_of), shards[numbers[0]].rows.shape[1]), np.float32)
    for number in numbers:
        is_here = shard_of == number
        rows[is_here] = _first_rows(shards[number], text_in[is_here])
    return rows


def _first_rows(shard: Shard, texts: np.ndarray) -> np.ndarray:
    # A view without what `np.memmap` does beyond mapping, which costs more than the rows.
    return shard.rows.view(np.ndarray)[shard.offsets[texts]]


def make_room(parent: Path, num_bytes: int, limit: int, own: Path) -> None:
    """Remove stores below `parent`, the one not used for longest first, until there is room.

    If that is not enough, shards of `own` go as well, the oldest first. Whoever has mapped what is
    removed can read it to the end.

    Args:
        parent: the directory of stores.
        num_bytes: what is to be added, at most `limit`.
        limit: what all stores may hold, in bytes.
        own: the store that is added to.
    """
    stores = [path for path in parent.iterdir() if (path / _MARK).is_file()]
    others = sorted((path for path in stores if path != own), key=lambda path: _date(path / _MARK))
    shards = sorted(own.glob("shard-*"), key=_date)
    sizes = {path: _size(path) for path in (*others, *shards)}
    for path in (*others, *shards):
        if sum(sizes.values()) + num_bytes <= limit:
            return
        shutil.rmtree(path, ignore_errors=True)
        del sizes[path]


def _mark(directory: Path) -> None:
    for _ in range(10):  # another process may be removing it this moment
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            directory.mkdir(parents=True, exist_ok=True)
            (directory / _MARK).touch()
            return
    raise OSError(f"the directory {directory} could not be made")


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
    except OSError as error:
        warnings.warn(
            f"The cached features in {path} cannot be read ({error.strerror or error}); they are "
            "computed again.",
            InputWarning,
            stacklevel=2,
        )
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


def _date(path: Path) -> float:
    with contextlib.suppress(FileNotFoundError):
        return path.stat().st_mtime
    return 0.0
