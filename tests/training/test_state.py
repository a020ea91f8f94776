import dataclasses

import keras
import numpy as np
import pytest

from kerasbert.config import FitConfig, ModelConfig
from kerasbert.config_train import OptimizerConfig, TrainConfig
from kerasbert.data.labels import Labels
from kerasbert.models.classifier import build_classifier
from kerasbert.models.optimization import compile_classifier
from kerasbert.training.plan import plan_training
from kerasbert.training.state import Progress, State
from kerasbert.training.unfinished import Unfinished
from tests.conftest import encoder_config

LABELS = Labels("binary", ("label",), ("civil", "rude"), (0.5, 0.5))
TARGETS = np.array([0, 1] * 4, np.int32)
IDS = np.random.default_rng(0).integers(5, 30, (8, 4)).astype(np.int32)
BATCH = {"input_ids": IDS, "attention_mask": IDS * 0 + 1, "token_type_ids": IDS * 0}
CONFIG = FitConfig(
    model=ModelConfig(max_length=32, freeze_layers=1, pooling="mean", head="classification"),
    train=TrainConfig(learning_rate=1e-2, batch_size=8, epochs=9, gradient_accumulation=2),
    optimizer=OptimizerConfig(ema=0.9, warmup=0.0),
)


def make(config=CONFIG, seed=7):
    keras.utils.set_random_seed(seed)
    model = build_classifier(config.model, encoder_config=encoder_config("bert"))
    state = State(model, config, plan_training(config, LABELS, TARGETS, num_blocks=2))
    compile_classifier(model, "binary", state.optimizer)
    model.run_eagerly = True
    return model, state


def train(model, state, batches):
    """With dropout, so that random states move as well."""
    state.adamw.open(model.trainable_variables)
    for _ in range(batches):
        model.train_on_batch(BATCH, TARGETS)


def values(model, state):
    variables = [*model.variables, *state.optimizer.variables]
    return [np.array(variable) for variable in variables]


def assert_equal(arrays, others):
    for array, other in zip(arrays, others, strict=True):
        np.testing.assert_array_equal(array, other)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_from_a_checkpoint_the_training_goes_on_bit_for_bit(precision, tmp_path):
    accumulation = 1 if precision == "mixed_float16" else 2
    config = dataclasses.replace(
        CONFIG,
        train=dataclasses.replace(
            CONFIG.train, precision=precision, gradient_accumulation=accumulation
        ),
    )
    model, state = make(config)
    train(model, state, 3)  # in the middle of a step, where batches are accumulated
    state.keep_best()
    progress = Progress(epoch=1, step=1, num_steps=1, losses=0.1 + 0.2, best_epoch=1)
    unfinished = Unfinished(tmp_path / "run.unfinished")
    unfinished.begin(config, {})
    unfinished.write(1, state.checkpoint(progress, findings=["look"]))
    best = model.get_weights()
    train(model, state, 3)
    expected = values(model, state)

    again, other = make(config, seed=8)  # other weights, other random states
    # What is frozen is the base's, which is found again.
    for weight, original in zip(again.weights, model.weights, strict=True):
        if not original.trainable:
            weight.assign(original)
    checkpoint = unfinished.begin(dataclasses.replace(config, resume=True), {})
    assert checkpoint.values["findings"] == ["look"]
    assert other.restore(checkpoint) == progress
    assert list(other.adamw.opened_at) == list(state.adamw.opened_at)
    train(again, other, 3)
    assert_equal(values(again, other), expected)
    other.restore_best()
    assert_equal(again.get_weights(), best)


def test_the_averages_stand_in_for_the_weights_and_go_again():
    model, state = make()
    train(model, state, 4)
    before = model.get_weights()
    averages = [average.numpy() for _, average in state.adamw.averages()]
    with pytest.raises(ValueError, match="wrong"), state.averaged():
        assert_equal([weight.numpy() for weight in model.trainable_weights], averages)
        raise ValueError("wrong")
    assert_equal(model.get_weights(), before)
    state.use_averages()
    assert_equal([weight.numpy() for weight in model.trainable_weights], averages)


def test_the_best_weights_are_those_kept_last():
    model, state = make()
    before = model.get_weights()
    state.restore_best()  # none were kept
    assert_equal(model.get_weights(), before)
    state.keep_best()
    train(model, state, 2)
    kept = model.get_weights()
    assert any((a != b).any() for a, b in zip(before, kept, strict=True))
    state.keep_best()
    train(model, state, 2)
    state.restore_best()
    assert_equal(model.get_weights(), kept)


@pytest.mark.parametrize(("monitor", "values"), [("val_loss", [2, 1]), ("val_accuracy", [1, 2])])
def test_better_is_less_loss_and_more_of_the_rest(monitor, values):
    worse, better = values
    progress = Progress()
    assert progress.is_better(worse, monitor)  # the first is the best so far
    progress.best_epoch, progress.best_value = 1, worse
    assert progress.is_better(better, monitor)
    assert not progress.is_better(worse, monitor)  # only as good
    progress.best_value = better
    assert not progress.is_better(worse, monitor)


def test_an_epoch_begins_with_nothing():
    progress = Progress(2, 3, 7, 1.5, 0.5, 9.0, 8, 1, 0.25)
    progress.begin_epoch()
    assert progress == Progress(2, 0, 7, 0.0, 0.0, 0.0, 8, 1, 0.25)


def test_a_checkpoint_stays_as_it_was():
    model, state = make()
    state.adamw.open(model.trainable_variables[:1])
    checkpoint = state.checkpoint(Progress())
    before = {name: array.copy() for name, array in checkpoint.arrays.items()}
    train(model, state, 2)
    assert checkpoint.values["opened_at"].count(None) == len(model.trainable_variables) - 1
    assert set(checkpoint.arrays) == set(before)
    assert_equal(checkpoint.arrays.values(), before.values())
