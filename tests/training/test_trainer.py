from io import StringIO

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from kerasbert.errors import InputError, InputWarning, TrainingError
from kerasbert.history import COLUMNS
from kerasbert.models.classifier import build_classifier
from kerasbert.runs import fit_to
from kerasbert.training.callbacks import Steps
from kerasbert.training.fitting import fit_classifier
from kerasbert.training.recorder import Recorder
from kerasbert.training.state import State
from tests.conftest import comments, toy_config, write_csv


def fit(config):
    """Train; the run, and the lines that were shown."""
    shown = StringIO()
    run = fit_classifier(config, console=Console(file=shown, width=150))
    return run, shown.getvalue()


def weights_of(model):
    return [np.array(weight.numpy()) for weight in model.weights]


def encoder_weights(model):
    return [weight.numpy() for weight in model.get_layer("encoder").weights]


def test_the_history_has_a_row_per_step_and_per_epoch(toy_base, comments_csv):
    run, _ = fit(toy_config(toy_base(), comments_csv, epochs=2))
    kinds = [row["kind"] for row in run.history]
    assert kinds == [*["step"] * 4, "epoch"] * 2
    assert all(tuple(row) == COLUMNS for row in run.history)
    assert [row["step"] for row in run.history] == [1, 2, 3, 4, 4, 5, 6, 7, 8, 8]
    steps = [row for row in run.history if row["kind"] == "step"]
    for row in steps:
        assert row["gradient_norm"] > 0
        assert row["examples_per_second"] > 0
        assert row["memory_mb"] > 50
        assert row["val_loss"] is None
    # One step of warming up, then seven down to 0.
    expected = 5e-5 * np.array([8, 7, 6, 5, 4, 3, 2, 1]) / 7
    expected[0] = 5e-5
    np.testing.assert_allclose([row["learning_rate"] for row in steps], expected, rtol=1e-5)
    first, second = (row for row in run.history if row["kind"] == "epoch")
    assert first["loss"] == pytest.approx(np.mean([row["loss"] for row in steps[:4]]))
    assert second["accuracy"] == pytest.approx(np.mean([row["accuracy"] for row in steps[4:]]))
    assert set(run.training) == {
        *("epochs", "steps", "num_trained", "best_epoch", "monitor", "findings", "interrupted"),
        "settings",
    }


def test_patience_stops_and_keeps_the_best_epoch(toy_base, comments_csv, monkeypatch):
    """What is watched is 3, 1, 2, 2: the second epoch is the best, and the fourth the last."""
    values, epochs = [3.0, 1.0, 2.0, 2.0, 0.0], []

    def report(labels, targets, outputs):
        return {"loss": values[len(epochs)], "accuracy": 0.5, "macro_f1": 0.5, "roc_auc": 0.5}

    end_epoch = Recorder.end_epoch

    def keep_weights(self, progress, report):
        end_epoch(self, progress, report)
        epochs.append(weights_of(trained["model"]))

    trained = {}
    init = State.__init__

    def keep_model(self, model, *args):
        trained["model"] = model
        init(self, model, *args)

    monkeypatch.setattr("kerasbert.training.trainer.build_report", report)
    monkeypatch.setattr(Recorder, "end_epoch", keep_weights)
    monkeypatch.setattr(State, "__init__", keep_model)
    run, shown = fit(toy_config(toy_base(), comments_csv, epochs=5, patience=2, head="mlp"))
    assert run.training["epochs"] == 4
    assert run.training["best_epoch"] == 2
    for kept, best, last in zip(weights_of(run.model), epochs[1], epochs[3], strict=True):
        np.testing.assert_array_equal(kept, best)
        assert not np.array_equal(best, last)
    assert "kept: the weights after epoch 2, with the best val_loss, 1.0000" in shown


def test_what_has_no_value_cannot_be_watched(toy_base, comments_csv):
    with pytest.raises(InputError, match="--monitor val_pearson has no value for binary"):
        fit(toy_config(toy_base(), comments_csv, freeze_base=True, monitor="val_pearson"))


def test_max_steps_end_the_training_within_an_epoch(toy_base, comments_csv):
    run, shown = fit(toy_config(toy_base(), comments_csv, epochs=1, max_steps=6, eval_every=2))
    assert (run.training["steps"], run.training["epochs"]) == (6, 2)
    lines = [line for line in shown.splitlines() if line.startswith("step ")]
    assert [line.split("  ")[0] for line in lines] == ["step 2/6", "step 4/6", "step 6/6"]
    steps = [row for row in run.history if row["kind"] == "step"]
    mean = np.mean([row["loss"] for row in steps[2:4]])
    assert f"loss {mean:.4f}" in lines[1]
    mean = np.mean([row["accuracy"] for row in steps[2:4]])
    assert f"accuracy {mean:.4f}" in lines[1]


SEVERAL_STEPS = {
    "cut short": {"max_steps": 6, "head": "mlp"},
    "accumulated": {"gradient_accumulation": 2, "batch_size": 4, "epochs": 2, "head": "linear"},
}


@pytest.mark.parametrize("settings", SEVERAL_STEPS.values(), ids=SEVERAL_STEPS)
def test_several_steps_in_one_call_are_as_one_by_one(settings, toy_base, comments_csv, monkeypatch):
    """Of four steps in each epoch, three are taken at once, or all."""
    config = toy_config(
        toy_base(), comments_csv, freeze_base=True, dropout=0.5, learning_rate=1e-2, **settings
    )
    runs = {}
    for steps_per_call in (1, 3, 32):
        monkeypatch.setattr("kerasbert.training.parts.STEPS_PER_CALL", steps_per_call)
        runs[steps_per_call], shown = fit(config)
        first = "first step:" if steps_per_call == 1 else f"first {min(steps_per_call, 4)} steps:"
        assert f"after the {first}" in shown
    expected = runs[1]
    same = [name for name in COLUMNS if name not in ("examples_per_second", "memory_mb")]
    for run in runs.values():
        assert run.report == expected.report
        assert run.training == expected.training
        for ours, theirs in zip(weights_of(run.model), weights_of(expected.model), strict=True):
            np.testing.assert_array_equal(ours, theirs)
        for ours, theirs in zip(run.history, expected.history, strict=True):
            assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
    # What a call shares out, or is looked up once for all of it.
    for name in ("examples_per_second", "memory_mb"):
        assert len({row[name] for row in runs[3].history[:3]}) == 1
        assert len({row[name] for row in runs[32].history[:4]}) == 1


@pytest.mark.usefixtures("eager")
def test_the_base_is_opened_on_the_way(toy_base, comments_csv, monkeypatch):
    seen = []
    end_epoch = Recorder.end_epoch

    def look(self, progress, report):
        end_epoch(self, progress, report)
        seen.append([np.array(w) for w in encoder_weights(models[0])])

    models = []
    init = State.__init__

    def keep_model(self, model, *args):
        models.append(model)
        init(self, model, *args)

    monkeypatch.setattr(Recorder, "end_epoch", look)
    monkeypatch.setattr(State, "__init__", keep_model)
    config = toy_config(
        toy_base(blocks=2), comments_csv, epochs=4, batch_size=16, unfreeze_from=2, gradual=True,
        head="linear", learning_rate=1e-3, weight_decay=0.0,
    )  # fmt: skip
    run, shown = fit(config)
    encoder = models[0].get_layer("encoder")
    block_of = {
        variable.path: block
        for block, variables in encoder.blocks().items()
        for variable in variables
    }
    untouched = encoder_weights(build_classifier(run.config))
    moved = [
        {
            block_of[variable.path]
            for variable, before, now in zip(encoder.weights, earlier, later, strict=True)
            if not np.array_equal(before, now)
        }
        for earlier, later in zip([untouched, *seen[:-1]], seen, strict=True)
    ]
    assert moved == [
        set(), {"block 2"}, {"block 1", "block 2"}, {"block 1", "block 2", "embeddings"}
    ]  # fmt: skip
    rates = [row["learning_rate"] for row in run.history if row["kind"] == "step"]
    assert max(rates[:2]) == pytest.approx(1e-2)
    assert max(rates[2:]) == pytest.approx(1e-3)
    assert "frozen features" in shown  # of the first epoch


@pytest.mark.usefixtures("eager")
def test_the_moving_average_is_what_is_validated_and_kept(toy_base, comments_csv):
    settings = {
        **{"head": "linear", "learning_rate": 1e-2, "epochs": 2, "batch_size": 16},
        "precision": "float32",
    }
    plain, _ = fit(toy_config(toy_base(), comments_csv, **settings))
    run, _ = fit(toy_config(toy_base(), comments_csv, ema=0.999, **settings))
    distance = [
        np.abs(average - last).max()
        for average, last in zip(weights_of(run.model), weights_of(plain.model), strict=True)
    ]
    assert min(distance) > 0
    # The training was the same; what it was judged by was not.
    for ours, theirs in zip(run.history, plain.history, strict=True):
        assert ours["loss"] == theirs["loss"]
    assert run.history[-1]["val_loss"] != plain.history[-1]["val_loss"]
    assert run.history[-1]["val_loss"] == pytest.approx(run.report["validation"]["loss"], abs=1e-5)


@pytest.mark.usefixtures("eager")
def test_accumulated_batches_with_batch_normalisation_are_warned_of(toy_base, comments_csv):
    settings = {"gradient_accumulation": 2, "batch_size": 4, "max_steps": 1}
    with pytest.warns(InputWarning, match=r"2 batches accumulated are not one of 8.*--head linear"):
        fit(toy_config(toy_base(), comments_csv, head="mlp", **settings))
    fit(toy_config(toy_base(), comments_csv, head="linear", **settings))  # no warning


@pytest.mark.usefixtures("eager")
def test_out_of_memory_is_one_sentence(toy_base, comments_csv, monkeypatch):
    def allocate(self, batch, logs=None):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(Steps, "on_train_batch_end", allocate)
    with pytest.raises(TrainingError) as caught:
        fit(toy_config(toy_base(), comments_csv))
    assert str(caught.value) == (
        "Out of memory in a batch of 8 texts of up to 15 pieces. Try --batch-size 4 "
        "--gradient-accumulation 2, which takes the same steps but for BatchNormalization."
    )


def test_a_training_that_learns_nothing_says_so(toy_base, tmp_path):
    random = np.random.default_rng(0)
    rows = [(text, random.choice(["civil", "rude"])) for text, _ in comments(400)]
    path = write_csv(tmp_path / "shuffled.csv", ("text", "label"), rows)
    config = toy_config(
        toy_base(), path, head="linear", pooling="mean", learning_rate=1e-2, epochs=2,
        validation_fraction=0.5,
    )  # fmt: skip
    run, shown = fit(config)
    assert run.training["findings"]
    assert f"look: {run.training['findings'][0]}" in shown


def test_a_training_that_learns_is_left_in_peace(toy_base, tmp_path):
    path = write_csv(tmp_path / "comments.csv", ("text", "label"), comments(200))
    settings = {"epochs": 6, "learning_rate": 1e-2, "pooling": "mean", "head": "linear"}
    run, shown = fit(toy_config(toy_base(), path, **settings))
    assert run.report["validation"]["accuracy"] > 0.9
    assert run.training["findings"] == []
    assert "look:" not in shown


def test_logs_of_tensorboard_come_with_the_run(toy_base, comments_csv, tmp_path):
    pytest.importorskip("tensorboard")
    config = toy_config(toy_base(), comments_csv, freeze_base=True, tensorboard=True)
    fit_to(tmp_path / "run", config)
    assert list((tmp_path / "run" / "tensorboard").rglob("events*"))
    assert not (tmp_path / "run.unfinished").exists()


def test_a_run_that_fails_before_its_first_checkpoint_leaves_nothing(
    toy_base, comments_csv, tmp_path
):
    with pytest.raises(InputError):
        fit_to(
            tmp_path / "run",
            toy_config(toy_base(), comments_csv, freeze_base=True, monitor="val_pearson"),
        )
    assert not (tmp_path / "run.unfinished").exists()
