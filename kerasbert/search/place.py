"""The directory of a sweep: what each trial was and gave, and the best one's run.

Several processes may work in it: each writes the files of its own trials, whole or not at all.
"""

import dataclasses
import glob
import itertools
import json
import shutil
import time
from pathlib import Path
from typing import Any

import filelock

from kerasbert.config import FitConfig
from kerasbert.config_json import from_dict
from kerasbert.errors import InputError
from kerasbert.output_files import take_lock, written_file
from kerasbert.run_directory import check_output, json_text, read_json
from kerasbert.search.trials import Trial

BEST = "best"
BEST_CONFIG = "best.json"
TABLE = "trials.csv"
PICTURE = "sweep.png"
_SETTINGS, _LOCK = "settings.json", "lock"


class SweepDirectory:
    """The files of a sweep, by name.

    Args:
        path: made by `begin`.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.state = self.path / "state.json"
        self.best = self.path / BEST
        self._lock: filelock.FileLock | None = None
        self._read: dict[Path, tuple[float, dict]] = {}

    def begin(self, settings: dict[str, Any], *, resume: bool) -> bool:
        """Begin a sweep here, or go on with one; until `close` no other process can.

        Args:
            settings: what decides the trials, as JSON values.
            resume: whether to go on where there is something to go on with.

        Returns:
            Whether it goes on.

        Raises:
            InputError: the place is taken, the sweep there is another one, or a process is at it.
            OSError: it cannot be written.
        """
        found = self.path / _SETTINGS
        goes_on = resume and found.is_file()
        if not goes_on:
            self._check_free()
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = filelock.FileLock(self.path / _LOCK)
        take_lock(
            self._lock,
            f"Another process runs the sweep in {str(self.path)!r} just now. Wait for it, or name "
            "another --output.",
        )
        if goes_on:
            _compare(read_json(found), settings, self.path)
        else:
            with written_file(found) as file:
                file.write(json_text(settings))
        return goes_on

    def join(self, settings: dict[str, Any]) -> None:
        """Take part, as a worker, in a sweep that another process begins; waits until it has.

        Raises:
            InputError: it has other settings.
        """
        found = self.path / _SETTINGS
        while not found.is_file():
            time.sleep(0.5)
        _compare(read_json(found), settings, self.path)

    def is_of(self, settings: dict[str, Any]) -> bool:
        """Whether a sweep with these settings was begun here."""
        try:
            return read_json(self.path / _SETTINGS) == settings
        except (FileNotFoundError, InputError):
            return False

    def close(self) -> None:
        """Let another process go on here."""
        if self._lock is not None:
            self._lock.release()

    def run(self, number: int) -> Path:
        """Where a trial's classifier is kept while it is the best."""
        return self._trial(number) / "run"

    def unfinished(self, number: int) -> Path:
        """Where a trial's checkpoints are."""
        return self._trial(number) / "unfinished"

    def write(self, trial: Trial, config: FitConfig | None = None, started: float = 0.0) -> None:
        """Write down what is known of a trial.

        Args:
            trial: as it is now.
            config: its settings, as JSON values; None where its hyperparameters give none.
            started: when it began, in seconds since 1970.
        """
        self._trial(trial.number).mkdir(parents=True, exist_ok=True)
        values = {"trial": dataclasses.asdict(trial), "started": started}
        values["config"] = None if config is None else dataclasses.asdict(config)
        with written_file(self._trial(trial.number) / "trial.json") as file:
            file.write(json_text(values))

    def trials(self) -> list[Trial]:
        """All trials that were begun, in order."""
        return [Trial(**values["trial"]) for values in self._values()]

    def started(self) -> dict[int, float]:
        """When each trial began, in seconds since 1970, by number."""
        return {values["trial"]["number"]: values["started"] for values in self._values()}

    def config(self, number: int) -> FitConfig:
        """The settings of a trial."""
        return from_dict(FitConfig, self._value(self._trial(number) / "trial.json")["config"])

    def find(self, number: int) -> Trial | None:
        """A trial, if it was begun."""
        path = self._trial(number) / "trial.json"
        return Trial(**self._value(path)["trial"]) if path.is_file() else None

    def remove_runs(self, numbers) -> None:
        """Remove classifiers that are not the best any more."""
        for number in numbers:
            shutil.rmtree(self.run(number), ignore_errors=True)

    def _trial(self, number: int) -> Path:
        return self.path / "trials" / f"{number:03d}"

    def _values(self) -> list[dict]:
        paths = sorted(
            (self.path / "trials").glob("*/trial.json"), key=lambda p: int(p.parent.name)
        )
        return [self._value(path) for path in paths]

    def _value(self, path: Path) -> dict:
        """What a file holds; it is read again only if it was replaced."""
        changed = path.stat().st_mtime_ns
        if path not in self._read or self._read[path][0] != changed:
            self._read[path] = changed, json.loads(path.read_text(encoding="utf-8"))
        return self._read[path][1]

    def _check_free(self) -> None:
        if (self.path / _SETTINGS).is_file():
            raise InputError(
                f"{str(self.path)!r} holds a sweep. Pass --resume to go on with it, or name a new "
                "directory."
            )
        if not self.path.is_dir():
            check_output(self.path)
        elif any(path.name != _LOCK for path in self.path.iterdir()):
            raise InputError(
                f"The output directory {str(self.path)!r} holds files. Name a new directory."
            )


def choose_directory(config: FitConfig, settings: dict[str, Any]) -> SweepDirectory:
    """The directory that was named, or a free one under `saved_weights/`.

    With `config.resume` and no name it is that of a sweep with the same settings.
    """
    if config.output is not None:
        return SweepDirectory(config.output)
    data = Path(config.data.train).stem if config.data.train else "sample"
    name, parent = f"{data}-{Path(config.model.base).name}-sweep", Path("saved_weights")
    if config.resume:
        for path in sorted(parent.glob(f"{glob.escape(name)}*")):
            if SweepDirectory(path).is_of(settings):
                return SweepDirectory(path)
    for number in itertools.count(1):
        directory = SweepDirectory(parent / (name if number == 1 else f"{name}-{number}"))
        if not directory.path.exists():
            return directory


def seconds_since(started: float) -> float:
    """Seconds since a moment that `time.time` gave."""
    return max(0.0, time.time() - started)


def _compare(before: dict, now: dict, path: Path, name: str = "") -> None:
    """Refuse to go on with other settings, and name the first that differs."""
    for key in before | now:
        was, value = before.get(key), now.get(key)
        if isinstance(was, dict) and isinstance(value, dict):
            _compare(was, value, path, key)
        elif was != value and name == "files":
            raise InputError(
                f"The sweep in {str(path)!r} began with another {key}: it was changed since. "
                "Restore it, or name a new directory."
            )
        elif was != value:
            raise InputError(
                f"The sweep in {str(path)!r} began with {key}={was!r}, and now it is {value!r}. "
                "Give the same settings, or name a new directory."
            )
