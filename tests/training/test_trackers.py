import dataclasses
import importlib.util
import sys
import threading
import time

import pytest
import tensorflow as tf

from kerasbert.config import FitConfig
from kerasbert.config_train import RecordConfig
from kerasbert.errors import InputError, InputWarning
from kerasbert.training import tracking
from kerasbert.training.trackers import check_trackers, open_trackers
from tests.test_plots import history

REPORT = {
    "validation": {"loss": 0.4, "macro_f1": 0.8, "roc_auc": None, "count": 7, "labels": []},
    "test": {"loss": 0.5, "macro_f1": 0.7, "roc_auc": 0.9, "count": 9, "labels": []},
}
MLFLOW, TENSORBOARD = RecordConfig(mlflow=True), RecordConfig(tensorboard=True)


@pytest.fixture
def mlflow_client(tmp_path, monkeypatch):
    """MLflow writing to files, which need no database, and telling nobody."""
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "store").as_uri())
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "toys")
    from mlflow import MlflowClient

    return MlflowClient()


def runs(client):
    return client.search_runs([client.get_experiment_by_name("toys").experiment_id])


def scalars(directory):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(directory))
    events.Reload()
    return {
        tag: [(event.step, round(float(tf.make_ndarray(event.tensor_proto)), 4)) for event in found]
        for tag in events.Tags()["tensors"]
        for found in [events.Tensors(tag)]
    }


def test_nothing_to_track():
    before = set(sys.modules)
    with open_trackers(RecordConfig(), None, FitConfig()) as trackers:
        trackers.log(history(1)[0])
        trackers.report(REPORT)
        assert trackers.state() == {}
    assert not {"mlflow", "tensorboard"} & (set(sys.modules) - before)


def test_tensorboard_lays_training_and_validation_over_each_other(tmp_path):
    with open_trackers(TENSORBOARD, tmp_path, FitConfig()) as trackers:
        for row in history(6, epochs=2):
            trackers.log(row)
        trackers.report(REPORT)
    train = scalars(tmp_path / "tensorboard" / "train")
    validation = scalars(tmp_path / "tensorboard" / "validation")
    assert set(train) == {
        *("loss", "accuracy", "learning_rate", "gradient_norm", "epoch_loss", "epoch_accuracy"),
    }
    assert [step for step, _ in train["loss"]] == [1, 2, 3, 4, 5, 6]
    assert train["epoch_accuracy"] == [(1, 0.625), (2, 0.75)]
    assert validation["loss"] == [(3, 1.1), (6, 0.6)]
    assert [step for step, _ in validation["epoch_loss"]] == [1, 2]
    assert validation["final_macro_f1"] == [(0, 0.8)]
    assert scalars(tmp_path / "tensorboard" / "test")["final_loss"] == [(0, 0.5)]


def test_tensorboard_goes_on_where_a_run_was_interrupted(tmp_path):
    rows = history(6)
    with open_trackers(TENSORBOARD, tmp_path, FitConfig()) as trackers:
        trackers.log(rows[0])
        state = trackers.state()
    with open_trackers(TENSORBOARD, tmp_path, FitConfig(), state=state) as trackers:
        trackers.log(rows[1])
    assert [step for step, _ in scalars(tmp_path / "tensorboard" / "train")["loss"]] == [1, 2]


def test_mlflow(mlflow_client, tmp_path):
    with open_trackers(MLFLOW, tmp_path / "my-run", FitConfig()) as trackers:
        for row in history(6, epochs=2):
            trackers.log(row)
        trackers.report(REPORT)
    (run,) = runs(mlflow_client)
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "my-run"
    assert run.data.params["train.batch_size"] == "16"
    assert run.data.params["data.label_columns"] == "('label',)"
    losses = mlflow_client.get_metric_history(run.info.run_id, "train_loss")
    assert [metric.step for metric in losses] == [1, 2, 3, 4, 5, 6]
    val_losses = mlflow_client.get_metric_history(run.info.run_id, "val_loss")
    assert [(metric.step, round(metric.value, 4)) for metric in val_losses] == [(3, 1.1), (6, 0.6)]
    assert run.data.metrics["test_macro_f1"] == 0.7
    assert run.data.metrics["epoch"] == 2
    assert "validation_roc_auc" not in run.data.metrics


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt, "KILLED"), (ValueError, "FAILED")]
)
def test_mlflow_says_how_a_run_ended(error, status, mlflow_client):
    with pytest.raises(error), open_trackers(MLFLOW, None, FitConfig()) as trackers:
        trackers.log(history(1)[0])
        raise error
    (run,) = runs(mlflow_client)
    assert run.info.status == status
    assert "train_loss" in run.data.metrics


def test_mlflow_goes_on_in_the_same_run(mlflow_client):
    rows = history(3)
    with pytest.raises(ValueError), open_trackers(MLFLOW, None, FitConfig()) as trackers:
        trackers.log(rows[0])
        state = trackers.state()
        raise ValueError
    resumed = dataclasses.replace(FitConfig(), resume=True)
    with open_trackers(MLFLOW, None, resumed, state=state) as trackers:
        assert trackers.state() == state
        assert runs(mlflow_client)[0].info.status == "RUNNING"
        trackers.log(rows[0])  # a checkpoint may be older than what was logged
        trackers.log(rows[1])
    (run,) = runs(mlflow_client)
    assert run.info.status == "FINISHED"
    losses = mlflow_client.get_metric_history(run.info.run_id, "train_loss")
    assert {metric.step for metric in losses} == {1, 2}

    mlflow_client.delete_run(run.info.run_id)
    with open_trackers(MLFLOW, None, resumed, state=state) as trackers:
        assert trackers.state() != state
    with open_trackers(MLFLOW, None, resumed, state={"mlflow": {"run_id": "0" * 32}}) as trackers:
        assert trackers.state() != state


def test_mlflow_takes_many_numbers_at_once(mlflow_client):
    with open_trackers(MLFLOW, None, FitConfig()) as trackers:
        for row in history(500):
            trackers.log(row)
    (run,) = runs(mlflow_client)
    assert len(mlflow_client.get_metric_history(run.info.run_id, "gradient_norm")) == 0
    assert len(mlflow_client.get_metric_history(run.info.run_id, "train_gradient_norm")) == 500


def test_a_slow_or_broken_server_neither_slows_nor_stops_the_training(mlflow_client, monkeypatch):
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException

    monkeypatch.setattr(tracking, "_SEND_EVERY", 0.0)
    answer, fails, log_batch = threading.Event(), [True], MlflowClient.log_batch

    def unwilling(self, run_id, metrics=(), params=()):
        if metrics:
            answer.wait(5)
            if fails.pop() if fails else False:
                raise MlflowException("The server is away.\nTry again.")
        return log_batch(self, run_id, metrics=metrics, params=params)

    monkeypatch.setattr(MlflowClient, "log_batch", unwilling)
    with (
        pytest.warns(InputWarning, match=r"lacks numbers of this run: The server is away\.$"),
        open_trackers(MLFLOW, None, FitConfig()) as trackers,
    ):
        started = time.perf_counter()
        for row in history(50):
            trackers.log(row)
        assert time.perf_counter() - started < 2
        answer.set()
    (run,) = runs(mlflow_client)
    assert len(mlflow_client.get_metric_history(run.info.run_id, "train_loss")) == 50


def test_mlflow_that_cannot_be_reached(mlflow_client, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://somewhere")
    with (
        pytest.raises(InputError, match=r"MLflow cannot record the run: .*nonsense"),
        open_trackers(MLFLOW, None, FitConfig()),
    ):
        pass


@pytest.mark.parametrize("missing", ["tensorboard", "mlflow"])
def test_what_is_not_installed(missing, monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == missing else find_spec(name)
    )
    with pytest.raises(InputError) as caught:
        check_trackers(RecordConfig(**{missing: True}))
    assert str(caught.value) == (
        f"--{missing} needs the package {missing!r}, which is not installed: "
        f"pip install 'kerasbert[{missing}]'."
    )
    check_trackers(RecordConfig())


@pytest.mark.parametrize("uri", [None, "sqlite:///mlflow.db", "postgresql+psycopg://host/db"])
def test_a_database_needs_what_writes_it(uri, monkeypatch):
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    if uri:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "alembic" else find_spec("json")
    )
    with pytest.raises(InputError, match=r"needs the package 'alembic'.*kerasbert\[mlflow\]"):
        check_trackers(MLFLOW)


def test_directories_are_refused_before_mlflow_does(monkeypatch):
    monkeypatch.delenv("MLFLOW_ALLOW_FILE_STORE", raising=False)
    for uri in ("file:///tmp/runs", "mlruns"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
        with pytest.raises(InputError, match="MLFLOW_ALLOW_FILE_STORE=true"):
            check_trackers(MLFLOW)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://example.org")
    check_trackers(MLFLOW)


def test_tensorboard_needs_a_directory():
    with (
        pytest.raises(InputError, match="this run has none"),
        open_trackers(TENSORBOARD, None, FitConfig()),
    ):
        pass
