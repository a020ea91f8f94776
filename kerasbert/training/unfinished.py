"""The directory of a run that is not finished: its checkpoints, by which it goes on.

A checkpoint is a directory that is written beside its place and renamed into it, so there is no
half of one. The last two are kept: where the newest cannot be read, after a power cut, say, the
one before it can.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import re
import shutil
import time
import warnings
from pathlib import Path
from typing import Any

import filelock
import numpy as np
import safetensors.numpy
from safetensors import SafetensorError

from kerasbert.config import FitConfig
from kerasbert.config_train import RecordConfig
from kerasbert.errors import InputError, InputWarning
from kerasbert.output_files import take_lock
from kerasbert.run_directory import json_text, read_json

SETTINGS = "settings.json"
HISTORY = "history.csv"
_ARRAYS, _VALUES = "arrays.safetensors", "values.json"
_LOCK = "lock"
_KEPT = 2
# Names of what is removed when a training begins anew.
_OURS = re.compile(r"lock|\.?settings\.json|\.?history\.csv|\.?checkpoint-\d+(\.\d+)?|tensorboard")
# What may differ between a run and its going on: where it is written, and what is watched.
_FREE = ("output", "overwrite", "resume", "record", "keep_lora")
_FREE_OF_TRAINING = ("cache", "cache_dir", "cache_limit")


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A moment of a training: numbers by name, and JSON values."""

    arrays: dict[str, np.ndarray]
    values: dict[str, Any]


class Unfinished:
    """A directory `NAME.unfinished` beside the run that it will be.

    Args:
        directory: its place; made when the training begins.
    """

    def __init__(self, directory: str | Path):
        self.directory = Path(directory)
        self._lock = filelock.FileLock(self.directory / _LOCK)

    @property
    def history(self) -> Path:
        """The rows of its steps so far."""
        return self.directory / HISTORY

    @property
    def has_checkpoints(self) -> bool:
        """Whether there is something to go on from."""
        return bool(self._checkpoints())

    def is_of(self, config: FitConfig) -> bool:
        """Whether a training with these settings began here."""
        try:
            found = read_json(self.directory / SETTINGS)["fit"]
        except (FileNotFoundError, InputError, KeyError):
            return False
        return found == settings_of(config)

    def begin(self, config: FitConfig, digests: dict[str, str]) -> Checkpoint | None:
        """Begin a training, or go on with one where `config.resume` says so.

        Args:
            config: its settings.
            digests: of what else decides it, by name: the data, the base.

        Returns:
            The last checkpoint that can be read; None to begin anew.

        Raises:
            InputError: what is here is of another training, or of none; or another process is
                training here. Until `close` or `remove` no other process can.
        """
        settings = {"fit": settings_of(config), "digests": digests}
        path = self.directory / SETTINGS
        self._check_ours()
        self._close_to_others()
        if config.resume and path.is_file():
            self._compare(read_json(path), settings)
            for half in self.directory.glob(".checkpoint-*"):
                shutil.rmtree(half, ignore_errors=True)
            if (checkpoint := self._last()) is not None:
                return checkpoint
        self.remove()
        self._close_to_others()
        # At once, as a half of it would be in the way of going on.
        beside = path.with_name(f".{path.name}")
        beside.write_text(json_text(settings), encoding="utf-8")
        beside.rename(path)
        return None

    def write(self, step: int, checkpoint: Checkpoint) -> None:
        """Write a checkpoint and remove those before the last two.

        Raises:
            OSError: it cannot be written; the ones before it are untouched.
        """
        place = self.directory / f"checkpoint-{step:010d}"
        beside = self.directory / f".{place.name}.{os.getpid()}"
        try:
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir()
            # It writes memory as it lies, whatever the strides.
            arrays = {name: np.asarray(a, order="C") for name, a in checkpoint.arrays.items()}
            safetensors.numpy.save_file(arrays, beside / _ARRAYS)
            (beside / _VALUES).write_text(json_text(checkpoint.values), encoding="utf-8")
            shutil.rmtree(place, ignore_errors=True)  # of the same step, before the epoch's end
            beside.rename(place)
        except (OSError, SafetensorError) as error:  # the latter on a full disk
            shutil.rmtree(beside, ignore_errors=True)
            reason = getattr(error, "strerror", None) or error
            raise OSError(
                f"The checkpoint {place} could not be written: {reason}. Free some space and go on "
                "with --resume."
            ) from None
        for old in self._checkpoints()[:-_KEPT]:
            shutil.rmtree(old, ignore_errors=True)

    def remove(self) -> None:
        """Remove what a training has written here, unless another process trains here now."""
        if not self.directory.is_dir():
            return
        try:
            self._lock.acquire(blocking=False)
        except filelock.Timeout:
            return
        self._lock.release(force=True)
        for path in self.directory.iterdir():
            if path.is_dir() and _OURS.fullmatch(path.name):
                shutil.rmtree(path, ignore_errors=True)
            elif _OURS.fullmatch(path.name):
                path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # what is not ours stays
            self.directory.rmdir()

    def close(self) -> None:
        """Let another process train here."""
        self._lock.release(force=True)

    def _check_ours(self) -> None:
        """Refuse to empty a directory that holds what no training has written."""
        found = self.directory.iterdir() if self.directory.is_dir() else ()
        strange = [path.name for path in found if not _OURS.fullmatch(path.name)]
        if strange or self.directory.is_file():
            raise InputError(
                f"{str(self.directory)!r} is needed for checkpoints, and "
                + (f"holds {min(strange)!r}. " if strange else "is a file. ")
                + "Move it, or name another place."
            )

    def _close_to_others(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)
        take_lock(
            self._lock,
            f"Another process is training in {str(self.directory)!r} just now. Wait for it, or "
            "name another --output.",
        )

    def _checkpoints(self) -> list[Path]:
        return sorted(self.directory.glob("checkpoint-*"))

    def _last(self) -> Checkpoint | None:
        for path in reversed(self._checkpoints()):
            try:
                arrays = safetensors.numpy.load_file(path / _ARRAYS)
                return Checkpoint(arrays, read_json(path / _VALUES))
            except (OSError, InputError, SafetensorError) as error:
                warnings.warn(
                    f"The checkpoint {path} cannot be read ({error}); going on from the one before "
                    "it.",
                    InputWarning,
                    stacklevel=2,
                )
        return None

    def _compare(self, found: dict[str, Any], settings: dict[str, Any]) -> None:
        before, now = found.get("fit", {}), settings["fit"]
        for group, values in now.items():
            for name, value in values.items() if isinstance(values, dict) else [(group, values)]:
                was = before.get(group, {})
                was = was.get(name) if isinstance(values, dict) else was
                if was != value:
                    raise InputError(
                        f"{self.directory} began with {name}={was!r}, and now it is {value!r}. "
                        "Give the same settings, or begin anew without --resume."
                    )
        for name, digest in settings["digests"].items():
            if found.get("digests", {}).get(name) != digest:
                raise InputError(
                    f"{self.directory} began with another {name}: it was changed since. Restore "
                    "it, or begin anew without --resume."
                )


class CheckpointTimer:
    """When the next checkpoint is due: after so many steps, or else minutes.

    Args:
        record: says how many.
    """

    def __init__(self, record: RecordConfig):
        self._record = record
        self.restart()

    def restart(self) -> None:
        """A checkpoint was written."""
        self._started = time.monotonic()

    @property
    def waited(self) -> float:
        """Seconds since the last one."""
        return time.monotonic() - self._started

    def is_due(self, num_steps: int, num_new: int = 1) -> bool:
        """Whether one is due after so many steps of the training, or after one of the last few.

        Args:
            num_steps: of the training so far.
            num_new: of these, the ones that were taken at once.
        """
        if self._record.checkpoint_steps is not None:
            return num_steps % self._record.checkpoint_steps < num_new
        return self.waited >= 60 * self._record.checkpoint_minutes


def settings_of(config: FitConfig) -> dict[str, Any]:
    """What decides the weights, as JSON values."""
    values = dataclasses.asdict(config)
    for name in _FREE:
        values.pop(name)
    for name in _FREE_OF_TRAINING:
        values["train"].pop(name)
    # As JSON has it, where there are no tuples.
    return _plain(values)


def settings_digest(config: FitConfig) -> str:
    """The same in one line, in hexadecimal."""
    return hashlib.sha256(json.dumps(settings_of(config), sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
