import numpy as np
import pytest

from kerasbert.config import FitConfig, ModelConfig
from kerasbert.config_train import ObjectiveConfig, OptimizerConfig, TrainConfig
from kerasbert.data.labels import Labels
from kerasbert.errors import InputError, InputWarning
from kerasbert.models.losses import ClassLoss
from kerasbert.models.schedules import WarmupThenDecay
from kerasbert.training.plan import plan_training

LABELS = Labels("binary", ("label",), ("civil", "rude"), (0.5, 0.5))
TARGETS = np.array([0, 0, 0, 1] * 9 + [0], np.int32)  # 37


def plan(objective=None, optimizer=None, head="linear", **train):
    train = {"learning_rate": 1.0, "epochs": 3, "batch_size": 16} | train
    config = FitConfig(
        model=ModelConfig(head=head),
        train=TrainConfig(**train),
        objective=objective or ObjectiveConfig(),
        optimizer=optimizer or OptimizerConfig(),
    )
    return plan_training(config, LABELS, TARGETS, num_blocks=2)


@pytest.mark.parametrize(("batch_size", "accumulation"), [(16, 1), (4, 4), (1, 16)])
def test_steps_are_those_of_the_large_batch(batch_size, accumulation):
    found = plan(batch_size=batch_size, gradient_accumulation=accumulation)
    # 37 examples in steps of at most 16.
    assert (found.steps_per_epoch, found.num_steps, found.num_epochs) == (3, 9, 3)
    assert found.examples_per_step == pytest.approx(37 / 3)
    assert [found.steps_in(epoch) for epoch in range(3)] == [3, 3, 3]


def test_of_batch_normalisation_accumulated_batches_are_not_the_large_one():
    with pytest.warns(InputWarning) as caught:
        plan(head="mlp", batch_size=4, gradient_accumulation=3)
    (warning,) = caught
    assert str(warning.message) == (
        "The mlp head's BatchNormalization takes mean and variance over each batch of 4 texts, so "
        "3 batches accumulated are not one of 12. They are the same with --head linear or "
        "classification."
    )
    plan(head="mlp", batch_size=4)  # of which nothing is said


@pytest.mark.parametrize(
    ("max_steps", "steps"), [(1, [1]), (3, [3]), (4, [3, 1]), (7, [3, 3, 1]), (20, [3] * 6 + [2])]
)
def test_so_many_steps_whatever_the_epochs_say(max_steps, steps):
    found = plan(max_steps=max_steps)
    assert found.num_steps == max_steps == sum(steps)
    assert [found.steps_in(epoch) for epoch in range(found.num_epochs)] == steps
    rates = np.asarray(found.schedule(np.arange(max_steps + 1)))
    assert (rates[:-1] > 0).all() and rates[-1] == pytest.approx(0, abs=1e-7)


def test_the_schedule_is_the_configs():
    found = plan(optimizer=OptimizerConfig(schedule="constant", warmup=0.5))
    assert found.schedule.get_config() == WarmupThenDecay(1.0, 9, "constant", 0.5).get_config()


def test_the_loss_is_the_objectives():
    found = plan(ObjectiveConfig(class_weight="balanced", loss="focal", focal_gamma=1.0)).loss
    assert isinstance(found, ClassLoss)
    assert found.gamma == 1.0
    # 28 and 9 of 37.
    np.testing.assert_allclose(found.class_weights, [37 / 56, 37 / 18])
    assert plan().loss.class_weights is None


def test_a_training_that_ends_before_the_base_is_opened_is_refused():
    with pytest.raises(InputError, match="`unfreeze_from` must be at most 2, the number of epochs"):
        plan(unfreeze_from=3, max_steps=6)
    assert plan(unfreeze_from=3, max_steps=7).num_epochs == 3


@pytest.mark.parametrize(
    ("labels", "monitor"),
    [(LABELS, "val_pearson"), (Labels("regression", ("score",), ("score",), None), "val_accuracy")],
    ids=["binary", "regression"],
)
def test_what_has_no_value_is_not_watched(labels, monitor):
    config = FitConfig(train=TrainConfig(learning_rate=1.0, monitor=monitor))
    with pytest.raises(InputError, match=f"--monitor {monitor} has no value for {labels.task}"):
        plan_training(config, labels, TARGETS.astype(float), num_blocks=2)
