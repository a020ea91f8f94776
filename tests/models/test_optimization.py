import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasbert.models.optimization import FusedAdam, WarmupThenLinearDecay

STEPS = 20
WIDE = keras.initializers.RandomNormal(stddev=1.0)  # for gradients that need clipping


def trained_weights(optimizer_class, **settings):
    """Weights of a small model after 20 steps on the same batches, pieces in them repeated."""
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [
            keras.Input((3,), dtype="int32"),
            keras.layers.Embedding(5, 4),
            keras.layers.Flatten(),
            keras.layers.Dense(2, activation="softmax", kernel_initializer=WIDE),
        ]
    )
    settings = {"global_clipnorm": 1.0} | settings
    optimizer = optimizer_class(WarmupThenLinearDecay(1e-2, STEPS), **settings)
    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
    random = np.random.default_rng(0)
    for _ in range(STEPS):
        model.train_on_batch(random.integers(0, 5, (4, 3)), random.integers(0, 2, 4))
    return [weight.numpy() for weight in model.weights], model.optimizer


SETTINGS = {
    "clipped to 1": {},
    "clipped to 0.3": {"global_clipnorm": 0.3},
    "two steps accumulated": {"gradient_accumulation_steps": 2},
    "other rates": {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
    "amsgrad": {"amsgrad": True},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_the_weights_of_keras_adam(settings):
    fused, optimizer = trained_weights(FusedAdam, **settings)
    expected, expected_optimizer = trained_weights(keras.optimizers.Adam, **settings)
    for ours, theirs in zip(fused, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    # Momentums too, so that a training could go on with either.
    for ours, theirs in zip(optimizer.variables, expected_optimizer.variables, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=0, atol=1e-6)


def test_clipping_to_1_changes_the_weights():
    clipped, unclipped = (
        trained_weights(FusedAdam)[0],
        trained_weights(FusedAdam, global_clipnorm=None)[0],
    )
    assert all(np.abs(a - b).max() > 1e-4 for a, b in zip(clipped, unclipped, strict=True))


def test_a_piece_that_is_there_twice_without_clipping():
    table = keras.Variable([[1.0], [1.0], [1.0]])
    optimizer = FusedAdam(0.1, beta_2=0.5)
    for gradients in ([1.0, 3.0], [1.0, -1.0]):
        rows = tf.IndexedSlices(tf.constant(gradients)[:, None], tf.constant([0, 0]), (3, 1))
        optimizer.apply([rows], [table])
    # Gradients 4 and 0. Momentum: 0.4, then 0.36, over 1 - 0.9^2; velocity: 8, then 4, over
    # 1 - 0.5^2. The second step is 0.1 * (0.36 / 0.19) / sqrt(4 / 0.75), the first 0.1.
    second = 0.1 * (0.36 / 0.19) / math.sqrt(4 / 0.75)
    np.testing.assert_allclose(table.numpy()[:, 0], [0.9 - second, 1, 1], atol=1e-6)


def test_the_first_step_is_the_learning_rate():
    variable = keras.Variable([1.0, 1.0])
    optimizer = FusedAdam(0.1)
    optimizer.apply([keras.ops.convert_to_tensor([4.0, -0.5])], [variable])
    np.testing.assert_allclose(variable.numpy(), [0.9, 1.1], atol=1e-6)


def test_serialised_there_and_back():
    optimizer = FusedAdam(WarmupThenLinearDecay(1e-3, 40), beta_1=0.8, global_clipnorm=1.0)
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again) is FusedAdam
    assert again.get_config() == optimizer.get_config()
    assert (again.beta_1, again.global_clipnorm) == (0.8, 1.0)
    schedule = again.get_config()["learning_rate"]
    assert schedule["config"] == {"peak": 1e-3, "num_steps": 40}


def test_the_learning_rate_rises_and_falls():
    schedule = WarmupThenLinearDecay(0.5, 20)
    rates = [float(schedule(step)) for step in (0, 1, 2, 11, 19, 20, 25)]
    # Two steps of warming up, then 18 down: 9 of them are left at step 11.
    np.testing.assert_allclose(rates, [0.25, 0.5, 0.5, 0.25, 0.5 / 18, 0, 0], atol=1e-6)


def test_a_schedule_of_one_step():
    assert float(WarmupThenLinearDecay(0.5, 1)(0)) == 0.5
