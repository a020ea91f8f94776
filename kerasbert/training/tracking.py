"""TensorBoard and MLflow, each told of a run's numbers row by row."""

import dataclasses
import os
import time
import warnings
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from kerasbert.config import FitConfig
from kerasbert.errors import InputError, InputWarning

# Columns of the history that are numbers of their own, not where the row stands.
_STEP_NUMBERS = (
    "loss", "accuracy", "learning_rate", "gradient_norm", "examples_per_second", "memory_mb",
)  # fmt: skip
_VALIDATION = ("loss", "accuracy", "macro_f1", "roc_auc", "pearson")
_SEND_EVERY = 10.0  # seconds; nobody looks more often, and each sending is one request
_MOST_METRICS, _MOST_PARAMS, _LONGEST_PARAM = 1000, 100, 6000  # MLflow's limits of a request


class TensorBoard:
    """Event files: one curve each for training and validation, in the same chart.

    The charts `loss`, `accuracy` and so on count steps, `epoch_loss` and `epoch_accuracy` epochs,
    as those of Keras do.

    Args:
        directory: holds one directory of event files for each data set.
    """

    def __init__(self, directory: Path):
        self._directory = directory
        self._writers: dict[str, Any] = {}

    def log(self, row: dict[str, Any]) -> None:
        if row["kind"] == "step":
            self._write("train", row["step"], {key: row.get(key) for key in _STEP_NUMBERS})
            return
        validation = {key: row.get(f"val_{key}") for key in _VALIDATION}
        self._write("validation", row["step"], validation)
        for data_set, numbers in {"train": row, "validation": validation}.items():
            by_epoch = {f"epoch_{key}": numbers.get(key) for key in ("loss", "accuracy")}
            self._write(data_set, row["epoch"], by_epoch)
        self._flush()

    def report(self, report: dict[str, Any]) -> None:
        for data_set, numbers in report.items():
            self._write(data_set, 0, {f"final_{key}": n for key, n in _final(numbers).items()})
        self._flush()

    def state(self) -> dict[str, Any]:
        return {}  # a second event file in the same directory goes on with the same curves

    def close(self, status: str = "FINISHED") -> None:
        for writer in self._writers.values():
            writer.close()

    def _write(self, data_set: str, step: int, numbers: dict[str, float | None]) -> None:
        import tensorflow as tf

        numbers = {key: number for key, number in numbers.items() if number is not None}
        if not numbers:
            return
        if data_set not in self._writers:
            directory = str(self._directory / data_set)
            self._writers[data_set] = tf.summary.create_file_writer(directory)
        with self._writers[data_set].as_default():
            for key, number in numbers.items():
                tf.summary.scalar(key, number, step=step)

    def _flush(self) -> None:
        for writer in self._writers.values():
            writer.flush()


class MLflow:
    """A run of MLflow: params, numbers by step, the final numbers.

    `MLFLOW_TRACKING_URI` and `MLFLOW_EXPERIMENT_NAME` say where, as they do for MLflow's own
    functions. Numbers are sent by a thread, so that a slow server does not slow the training; what
    it refuses is sent again with what comes next.

    Args:
        config: its fields, with their groups' names before them, are the params.
        name: of the run; None lets MLflow make one up.
        state: of the run to go on with, if MLflow still has it.

    Raises:
        InputError: the store cannot be reached, or refuses the run.
    """

    def __init__(self, config: FitConfig, name: str | None, state: dict[str, Any] | None = None):
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException

        self._refusals = (MlflowException, OSError)  # a full disk is the latter
        self._waiting: list[Any] = []
        self._sending: Future | None = None
        self._sent_at = time.monotonic()
        self._has_warned = False
        try:
            self._client = MlflowClient()
            self._run_id = self._known_run(state)
            if self._run_id is None:
                experiment = _experiment(self._client)
                self._run_id = self._client.create_run(experiment, run_name=name).info.run_id
                self._log_params(config)
            else:  # its params cannot be changed, and --resume is one
                self._client.update_run(self._run_id, status="RUNNING")
        except MlflowException as error:
            raise InputError(f"MLflow cannot record the run: {_first_line(error)}") from error
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mlflow")

    def log(self, row: dict[str, Any]) -> None:
        if row["kind"] == "step":
            numbers = {f"train_{key}": row.get(key) for key in _STEP_NUMBERS}
        else:
            numbers = {f"train_epoch_{key}": row.get(key) for key in ("loss", "accuracy")}
            numbers |= {f"val_{key}": row.get(f"val_{key}") for key in _VALIDATION}
            numbers["epoch"] = row["epoch"]
        self._add(numbers, row["step"])
        if time.monotonic() - self._sent_at > _SEND_EVERY:
            self._send()

    def report(self, report: dict[str, Any]) -> None:
        for data_set, numbers in report.items():
            final = {f"{data_set}_{key}": number for key, number in _final(numbers).items()}
            self._add(final, 0)
        self._send()

    def state(self) -> dict[str, Any]:
        return {"run_id": self._run_id}

    def close(self, status: str = "FINISHED") -> None:
        self._thread.shutdown()  # waits for what is being sent
        self._send_now()
        try:
            self._client.set_terminated(self._run_id, status)
        except self._refusals as error:
            self._warn(error)

    def _known_run(self, state: dict[str, Any] | None) -> str | None:
        from mlflow.exceptions import MlflowException

        if not state:
            return None
        try:
            run = self._client.get_run(state["run_id"])
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise
        return run.info.run_id if run.info.lifecycle_stage == "active" else None

    def _log_params(self, config: FitConfig) -> None:
        from mlflow.entities import Param

        params = [Param(*param) for param in _flat(dataclasses.asdict(config)).items()]
        for start in range(0, len(params), _MOST_PARAMS):
            self._client.log_batch(self._run_id, params=params[start : start + _MOST_PARAMS])

    def _add(self, numbers: dict[str, float | None], step: int) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        self._waiting += [
            Metric(key, float(number), now, step)
            for key, number in numbers.items()
            if number is not None
        ]

    def _send(self) -> None:
        if self._sending is None or self._sending.done():
            self._sent_at = time.monotonic()
            self._sending = self._thread.submit(self._send_now)

    def _send_now(self) -> None:
        while batch := self._waiting[:_MOST_METRICS]:
            try:
                self._client.log_batch(self._run_id, metrics=batch)
            except self._refusals as error:
                self._warn(error)
                return
            del self._waiting[: len(batch)]  # others only append

    def _warn(self, error: Exception) -> None:
        # A server that is away must not cost a training.
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"MLflow lacks numbers of this run: {_first_line(error)}",
                InputWarning,
                stacklevel=2,
            )


def _experiment(client: Any) -> str:
    if number := os.environ.get("MLFLOW_EXPERIMENT_ID"):
        return number
    name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or "Default"
    found = client.get_experiment_by_name(name)
    return found.experiment_id if found else client.create_experiment(name)


def _final(report: dict[str, Any]) -> dict[str, float]:
    """The numbers of a report that are one number each."""
    return {key: number for key, number in report.items() if isinstance(number, (int, float))}


def _flat(settings: dict[str, Any], before: str = "") -> dict[str, str]:
    flat = {}
    for key, value in settings.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{before}{key}.")
        else:
            flat[before + key] = str(value)[:_LONGEST_PARAM]
    return flat


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
