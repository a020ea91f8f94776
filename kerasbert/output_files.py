"""One file, written whole or not at all, and refused before the work if it cannot be written."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import filelock

from kerasbert.errors import InputError


def check_output_file(
    path: str | Path,
    suffix: str,
    overwrite: bool = False,
    *,
    inputs: Sequence[str | Path] = (),
    name: str = "output",
) -> Path:
    """Refuse a path that `written_file` could not, or should not, write to.

    Args:
        path: the file.
        suffix: how it must end.
        overwrite: whether it may be there already.
        inputs: files that are read, none of which it may be; `overwrite` does not mean them.
        name: of the setting that names the file, for messages.

    Raises:
        FileNotFoundError: its directory does not exist.
        InputError: it is a directory or one of `inputs`, has another ending than `suffix`, or is
            there already and `overwrite` is False.
        PermissionError: its directory cannot be written to.
    """
    path = Path(path)
    if path.suffix.lower() != suffix:
        raise InputError(f"`{name}` must end in {suffix}. Received: {name}={str(path)!r}.")
    if path.is_dir():
        raise InputError(f"The output {str(path)!r} is a directory. Expected a file in it.")
    if any(is_same_file(path, given) for given in inputs):
        raise InputError(
            f"`{name}` must be another file than those that are read. Received: "
            f"{name}={str(path)!r}."
        )
    if path.exists() and not overwrite:
        raise InputError(f"{path} exists already. Name another, or pass --overwrite.")
    parent = path.absolute().parent
    if not parent.is_dir():
        raise FileNotFoundError(f"There is no directory {str(parent)!r} to write to.")
    if not os.access(parent, os.W_OK):
        raise PermissionError(f"The directory {str(parent)!r} cannot be written to.")
    return path


def is_same_file(one: str | Path, other: str | Path) -> bool:
    """Whether two paths are of one file, by whatever name or link; of one that is not there too."""
    one, other = Path(one), Path(other)
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()


@contextlib.contextmanager
def written_file(path: Path) -> Iterator[TextIO]:
    """Open a file to write text to; it stands in its place when the block ends without an error."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # No translation of line ends: the csv module writes its own.
        with open(beside, "w", encoding="utf-8", newline="") as file:
            yield file
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def take_lock(lock: filelock.FileLock, refusal: str, seconds: float = 0) -> None:
    """Take a lock, which the system gives back however this process ends.

    Args:
        lock: of a file.
        refusal: what to say where another process has it.
        seconds: to wait for it.

    Raises:
        InputError: another process has it.
    """
    try:
        lock.acquire(timeout=seconds)
    except filelock.Timeout:
        raise InputError(refusal) from None
