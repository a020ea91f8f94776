"""A run's numbers to TensorBoard and MLflow, while it trains."""

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from kerasbert.config import FitConfig
from kerasbert.config_train import RecordConfig
from kerasbert.errors import InputError
from kerasbert.training.tracking import MLflow, TensorBoard

# What each extra installs, by the names that Python imports.
_PACKAGES = {"tensorboard": ("tensorboard",), "mlflow": ("mlflow",)}
# MLflow's own store is a database file, which these read and write.
_DATABASE = ("sqlalchemy", "alembic")
_DATABASES = ("sqlite", "postgresql", "mysql", "mssql")


class Tracker(Protocol):
    """Who is told of a run's numbers."""

    def log(self, row: dict[str, Any]) -> None:
        """Take a row of the history."""

    def report(self, report: dict[str, Any]) -> None:
        """Take the final numbers: a report of `build_report` by data set."""

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, for JSON, so that a resumed run goes on in the same record."""

    def close(self, status: str = "FINISHED") -> None:
        """End the record: `"FINISHED"`, `"FAILED"` or `"KILLED"`."""


def check_trackers(record: RecordConfig) -> None:
    """Refuse trackers that cannot be opened; quick, and loads none of them.

    Raises:
        InputError: what one needs is not installed, or MLflow would not write where it is told to.
    """
    for extra in ("tensorboard", "mlflow"):
        if getattr(record, extra):
            _check_installed(extra, _PACKAGES[extra])
    if not record.mlflow:
        return
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    scheme = uri.partition(":")[0].partition("+")[0] if ":" in uri else ""
    if scheme in _DATABASES or not uri:
        _check_installed("mlflow", _DATABASE)
    is_file_store = bool(uri) and scheme in ("", "file")
    if is_file_store and os.environ.get("MLFLOW_ALLOW_FILE_STORE", "").lower() not in ("true", "1"):
        raise InputError(
            f"MLflow no longer writes to directories. Received: MLFLOW_TRACKING_URI={uri!r}. Name "
            "a database file, such as sqlite:///mlflow.db, or a server, or set "
            "MLFLOW_ALLOW_FILE_STORE=true."
        )


@contextlib.contextmanager
def open_trackers(
    record: RecordConfig,
    directory: Path | None,
    config: FitConfig,
    *,
    state: dict[str, Any] | None = None,
) -> Iterator["Trackers"]:
    """Open the trackers that `record` names, and end their records when the block ends.

    MLflow's record ends as KILLED at an interrupt and as FAILED at any other exception.

    Args:
        record: says which.
        directory: of the run; TensorBoard's logs are in `tensorboard/` there.
        config: of the run; MLflow's params.
        state: what `Trackers.state` gave before the run was interrupted, if it goes on.

    Raises:
        InputError: as `check_trackers`; or TensorBoard has no directory to write to, or MLflow's
            store cannot be reached.
    """
    check_trackers(record)
    if record.tensorboard and directory is None:
        raise InputError(
            "`tensorboard` writes into the run's directory, and this run has none. Leave it out, "
            "or name a directory."
        )
    state = state or {}
    with contextlib.ExitStack() as opened:
        trackers: dict[str, Tracker] = {}
        if record.tensorboard:
            trackers["tensorboard"] = TensorBoard(directory / "tensorboard")
            opened.callback(trackers["tensorboard"].close)
        if record.mlflow:
            name = directory.stem if directory else None  # the run's, without ".unfinished"
            trackers["mlflow"] = MLflow(config, name, state.get("mlflow"))
            opened.push(_ended_as_the_block(trackers["mlflow"]))
        yield Trackers(trackers)


class Trackers:
    """Several trackers, told the same; none is told nothing, at no cost."""

    def __init__(self, trackers: dict[str, Tracker]):
        self._trackers = trackers

    def log(self, row: dict[str, Any]) -> None:
        """Tell them a row of the history."""
        for tracker in self._trackers.values():
            tracker.log(row)

    def report(self, report: dict[str, Any]) -> None:
        """Tell them the final numbers: a report of `build_report` by data set."""
        for tracker in self._trackers.values():
            tracker.report(report)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps, for JSON; `open_trackers` takes it back."""
        return {name: tracker.state() for name, tracker in self._trackers.items()}


def _check_installed(extra: str, packages: tuple[str, ...]) -> None:
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise InputError(
                f"--{extra} needs the package {package!r}, which is not installed: "
                f"pip install 'kerasbert[{extra}]'."
            )


def _ended_as_the_block(tracker: Tracker):
    """What an `ExitStack` calls with the exception that ends its block, or with None."""

    def end(kind: type[BaseException] | None, *_) -> None:
        if kind is None:
            tracker.close()
        else:
            tracker.close("KILLED" if issubclass(kind, KeyboardInterrupt) else "FAILED")

    return end
