"""Long columns in little memory: arrays and texts that move to disk when they grow large.

A file of ten million comments is gigabytes as Python strings, and gigabytes again as word pieces.
Here both are flat arrays with offsets; beyond `IN_MEMORY` bytes they are written to a temporary
file, without a name, and mapped, so the system keeps in memory what is in use.
"""

import tempfile
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

IN_MEMORY = 256_000_000  # bytes per column


class Spool:
    """An array that grows at its end.

    Args:
        dtype: of the array.
        in_memory: bytes up to which it stays in memory.
    """

    def __init__(self, dtype: str, in_memory: int | None = None):
        self._dtype = np.dtype(dtype)
        self._in_memory = IN_MEMORY if in_memory is None else in_memory
        self._chunks: list[np.ndarray] = []
        self._num_bytes = 0
        self._file = None

    def append(self, values: np.ndarray) -> None:
        """Add values at the end."""
        values = np.ascontiguousarray(values, self._dtype)
        self._num_bytes += values.nbytes
        self._chunks.append(values)
        if self._num_bytes > self._in_memory:
            self._flush()

    def finish(self) -> np.ndarray:
        """The whole array, of one axis; mapped from disk if it had grown large."""
        if self._file is None:
            return np.concatenate(self._chunks) if self._chunks else np.zeros(0, self._dtype)
        self._flush()
        self._file.flush()
        return np.memmap(self._file, self._dtype, mode="r")

    def _flush(self) -> None:
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="kerasbert-")
            for chunk in self._chunks:
                self._file.write(chunk.data)
        except OSError as error:
            raise OSError(
                f"{self._num_bytes / 1e6:,.0f} MB of texts do not fit into "
                f"{tempfile.gettempdir()}: {error.strerror}. Free some space, or name "
                "another directory with TMPDIR."
            ) from None
        self._chunks.clear()


class Texts(Sequence[str]):
    """Strings, end to end as UTF-8; made by `Texts.of` or a `TextsBuilder`.

    Args:
        data: bytes, uint8 of one axis.
        starts: where each text begins, int64 of shape (n,).
        ends: where it ends.
    """

    def __init__(self, data: np.ndarray, starts: np.ndarray, ends: np.ndarray):
        self._data, self._starts, self._ends = data, starts, ends

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Texts":
        """From any strings."""
        if isinstance(texts, cls):
            return texts
        builder = TextsBuilder()
        for text in texts:
            builder.append(text)
        return builder.finish()

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return list(self.take(np.arange(len(self))[index]))
        # A lone surrogate is no text, and the tokenizer says so; until then it is carried along.
        data = self._data[self._starts[index] : self._ends[index]]
        return data.tobytes().decode("utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        return (self[index] for index in range(len(self)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None

    def __repr__(self) -> str:
        return f"Texts of {len(self):,} strings, {self[:3]!r:.80}"

    def take(self, indices: Sequence[int] | np.ndarray) -> "Texts":
        """The texts at `indices`, in that order; nothing is copied."""
        indices = np.asarray(indices, np.int64)
        return Texts(self._data, self._starts[indices], self._ends[indices])


class TextsBuilder:
    """Strings added one by one."""

    def __init__(self):
        self._data, self._ends = Spool("uint8"), Spool("int64")
        self._pending: list[bytes] = []
        self._pending_bytes = self._num_bytes = 0
        self._pending_ends: list[int] = []

    def append(self, text: str) -> None:
        """Add a string at the end."""
        data = text.encode("utf-8", "surrogatepass")
        self._pending.append(data)
        self._num_bytes += len(data)
        self._pending_bytes += len(data)
        self._pending_ends.append(self._num_bytes)
        if self._pending_bytes > 1 << 20:
            self._flush()

    def finish(self) -> Texts:
        """All strings."""
        self._flush()
        ends = self._ends.finish()
        return Texts(self._data.finish(), np.concatenate([[0], ends[:-1]])[: len(ends)], ends)

    def _flush(self) -> None:
        self._data.append(np.frombuffer(b"".join(self._pending), np.uint8))
        self._ends.append(np.array(self._pending_ends, np.int64))
        self._pending.clear()
        self._pending_ends.clear()
        self._pending_bytes = 0
