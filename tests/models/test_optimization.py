import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasbert.config import ModelConfig
from kerasbert.config_train import OptimizerConfig
from kerasbert.models.classifier import build_classifier
from kerasbert.models.optimization import (
    AdamW,
    build_optimizer,
    default_learning_rate,
    layer_rates,
    scale_losses,
)
from kerasbert.models.schedules import WarmupThenDecay
from tests.conftest import encoder_config

STEPS = 12
WIDE = keras.initializers.RandomNormal(stddev=1.0)  # for gradients that need clipping


def trained_weights(optimizer):
    """Weights of a small model after 12 steps on the same batches."""
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [
            keras.Input((3, 5)),
            keras.layers.Dense(4, kernel_initializer=WIDE),
            keras.layers.LayerNormalization(),
            keras.layers.Flatten(),
            keras.layers.Dense(2, activation="softmax", kernel_initializer=WIDE),
        ]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", jit_compile=False)
    random = np.random.default_rng(0)
    for _ in range(STEPS):
        model.train_on_batch(random.normal(size=(4, 3, 5)), random.integers(0, 2, 4))
    return [weight.numpy() for weight in model.weights]


def schedule():
    return WarmupThenDecay(1e-2, STEPS)


def steps_of(optimizer, gradients, starts=(1.0,), names="abc"):
    """Variables of one number each, after a step with each row of gradients."""
    variables = [
        keras.Variable([start], name=name) for start, name in zip(starts, names, strict=False)
    ]
    for row in gradients:
        row = [keras.ops.convert_to_tensor([float(each)]) for each in np.atleast_1d(row)]
        optimizer.apply(row, variables)
    return variables


def numbers(variables):
    return np.array([variable.numpy() for variable in variables]).ravel()


# The numbers of Keras


SETTINGS = {
    "not clipped": {},
    "clipped and decayed": {
        **{"clip_norm": 0.3, "weight_decay": 0.5},
        **{"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-3},
    },
    # Keras's schedules count batches, so a fixed step size.
    "two batches accumulated": {
        "gradient_accumulation_steps": 2,
        "clip_norm": 1.0,
        "weight_decay": 0.5,
        "learning_rate": 1e-2,
    },
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_the_weights_of_keras(settings):
    settings = {"learning_rate": schedule()} | settings
    ours = AdamW(**settings)
    settings["global_clipnorm"] = settings.pop("clip_norm", None)
    if "weight_decay" in settings:
        theirs = keras.optimizers.AdamW(**settings)
        theirs.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    else:
        theirs = keras.optimizers.Adam(**settings)
    for weight, expected in zip(trained_weights(ours), trained_weights(theirs), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=0, atol=2e-6)
    # The averages of the gradients too, so that a training could go on with either.
    kept = [variable for variable in ours.variables if variable.name != "gradient_norm"]
    for variable, expected in zip(kept, theirs.variables, strict=True):
        np.testing.assert_allclose(variable.numpy(), expected.numpy(), rtol=1e-5, atol=2e-6)


def test_a_piece_that_is_there_twice():
    table = keras.Variable([[1.0], [1.0], [1.0]])
    optimizer = AdamW(0.1, beta_2=0.5)
    for gradients in ([1.0, 3.0], [1.0, -1.0]):
        rows = tf.IndexedSlices(tf.constant(gradients)[:, None], tf.constant([0, 0]), (3, 1))
        optimizer.apply([rows], [table])
    # Gradients 4 and 0. Momentum: 0.4, then 0.36, over 1 - 0.9^2; velocity: 8, then 4, over
    # 1 - 0.5^2. The second step is 0.1 * (0.36 / 0.19) / sqrt(4 / 0.75), the first 0.1.
    second = 0.1 * (0.36 / 0.19) / math.sqrt(4 / 0.75)
    np.testing.assert_allclose(table.numpy()[:, 0], [0.9 - second, 1, 1], atol=1e-6)


@pytest.mark.parametrize("accumulation", [None, 2])
def test_a_piece_that_is_there_twice_is_clipped_as_one(accumulation):
    table = keras.Variable(np.ones((3, 1), np.float32))
    optimizer = AdamW(0.1, clip_norm=2.5, gradient_accumulation_steps=accumulation)
    rows = tf.IndexedSlices(tf.constant([[1.0], [3.0], [3.0]]), tf.constant([2, 0, 2]), (3, 1))
    for _ in range(accumulation or 1):
        optimizer.apply([rows], [table])
    # The rows are 3, 0 and 4, which is 5 long, and clipped to half.
    assert optimizer.gradient_norm.numpy() == pytest.approx(5)
    (momentum,) = (v.numpy() for v in optimizer.variables if "momentum" in v.name)
    np.testing.assert_allclose(momentum, [[0.15], [0], [0.2]], rtol=1e-6)


def test_the_first_step_is_the_learning_rate():
    variables = steps_of(AdamW(0.1), [[4.0, -0.5]], starts=(1.0, 1.0))
    np.testing.assert_allclose(numbers(variables), [0.9, 1.1], atol=1e-6)


def test_serialised_there_and_back():
    optimizer = AdamW(
        WarmupThenDecay(1e-3, 40),
        beta_1=0.8,
        weight_decay=0.02,
        clip_norm=0.5,
        rates={"encoder/kernel": 0.25},
    )
    again = keras.optimizers.deserialize(keras.optimizers.serialize(optimizer))
    assert type(again) is AdamW
    assert again.get_config() == optimizer.get_config()
    assert (again.beta_1, again.weight_decay, again.clip_norm) == (0.8, 0.02, 0.5)
    assert again.rates == {"encoder/kernel": 0.25}


# Decay


@pytest.mark.parametrize(
    ("name", "decays"),
    [
        *(("kernel", True), ("embeddings", True), ("lora_a", True), ("gamma_table", True)),
        *(("bias", False), ("gamma", False), ("beta", False)),
    ],
)
def test_what_shifts_and_what_normalises_does_not_decay(name, decays):
    # Without a gradient nothing else moves a weight.
    (variable,) = steps_of(AdamW(0.1, weight_decay=0.5), [0.0], starts=(3.0,), names=[name])
    # 3 times (1 - 0.1 * 0.5)
    assert variable.numpy()[0] == pytest.approx(2.85 if decays else 3.0, rel=1e-6)


def test_of_a_classifier_kernels_and_tables_decay_and_nothing_else():
    config = ModelConfig(max_length=32, pooling="pooler")
    model = build_classifier(config, encoder_config=encoder_config("bert"))
    optimizer = AdamW(0.5, weight_decay=0.25)
    weights = model.trainable_variables
    for weight in weights:
        weight.assign(keras.ops.ones_like(weight))
    optimizer.apply([keras.ops.zeros_like(weight) for weight in weights], weights)
    for weight in weights:
        kind = weight.path.rpartition("/")[2]
        assert kind in {"kernel", "embeddings", "bias", "gamma", "beta"}, weight.path
        expected = 1.0 if kind in {"bias", "gamma", "beta"} else 0.875
        assert (weight.numpy() == expected).all(), weight.path


def test_decay_follows_the_schedule_and_the_weights_own_rate():
    optimizer = AdamW(
        WarmupThenDecay(0.4, 4, "linear", 0.5), weight_decay=0.5, rates={"b": 0.25}
    )  # step sizes 0.2, 0.4, 0.4, 0.2
    variables = steps_of(optimizer, [[0.0, 0.0]] * 4, starts=(1.0, 1.0))
    np.testing.assert_allclose(
        numbers(variables),
        [0.9 * 0.8 * 0.8 * 0.9, 0.975 * 0.95 * 0.95 * 0.975],
        rtol=1e-6,
    )


# A step size for each weight


def test_layer_rates_fall_from_the_top_block_to_the_embeddings():
    config = ModelConfig(max_length=32, pooling="pooler")
    model = build_classifier(config, encoder_config=encoder_config("bert"))
    rates = layer_rates(model, 0.5)
    blocks = model.get_layer("encoder").blocks()
    assert set(blocks) == {"embeddings", "block 1", "block 2", "top"}
    for name, rate in {"embeddings": 0.25, "block 1": 0.5, "block 2": 1.0}.items():
        assert {rates[variable.path] for variable in blocks[name]} == {rate}
    silent = [*blocks["top"], *model.get_layer("head").weights]
    assert not {variable.path for variable in silent} & set(rates)
    assert layer_rates(model, 1.0) == {}


def test_a_step_is_as_many_times_smaller():
    model = build_classifier(ModelConfig(max_length=32), encoder_config=encoder_config("bert"))
    rates = layer_rates(model, 0.5)
    weights = model.trainable_variables
    before = [weight.numpy() for weight in weights]
    AdamW(1e-2, rates=rates).apply([keras.ops.ones_like(weight) for weight in weights], weights)
    for weight, start in zip(weights, before, strict=True):
        step = 1e-2 * rates.get(weight.path, 1)
        np.testing.assert_allclose(start - weight.numpy(), step, atol=1e-6, err_msg=weight.path)
    assert {rates.get(weight.path, 1) for weight in weights} == {1, 0.5, 0.25}


# Weights that are opened on the way


GRADIENTS = [0.3, -1.0, 2.0, 0.5, -0.25, 4.0]


@pytest.mark.parametrize("accumulation", [1, 2])
def test_an_opened_weight_takes_the_steps_of_a_fresh_optimizer(accumulation):
    settings = {"weight_decay": 0.1} | (
        {"gradient_accumulation_steps": accumulation} if accumulation > 1 else {}
    )
    optimizer, fresh = AdamW(0.1, **settings), AdamW(0.1, **settings)
    early, late = keras.Variable([1.0], name="early"), keras.Variable([2.0], name="late")
    optimizer.build([early, late])
    optimizer.open([early])
    for gradient in GRADIENTS[: 2 * accumulation]:
        optimizer.apply([keras.ops.convert_to_tensor([gradient])], [early])
    optimizer.open([early, late])
    assert optimizer.opened_at == [0, 2]
    alone = keras.Variable([2.0], name="late")
    for gradient in GRADIENTS:
        gradient = keras.ops.convert_to_tensor([gradient])
        optimizer.apply([gradient, gradient], [early, late])
        fresh.apply([gradient], [alone])
        np.testing.assert_array_equal(late.numpy(), alone.numpy())
    # And the other one goes on as if nothing had been opened.
    throughout = steps_of(AdamW(0.1, **settings), [*GRADIENTS[: 2 * accumulation], *GRADIENTS])
    np.testing.assert_array_equal(early.numpy(), throughout[0].numpy())


def test_what_is_open_stays_so():
    variables = [keras.Variable([1.0], name=name) for name in "abc"]
    optimizer = AdamW(0.1)
    optimizer.build(variables)
    assert optimizer.opened_at == [None, None, None]
    optimizer.opened_at = [0, 5, None]  # as a checkpoint has it
    optimizer.iterations.assign(9)
    optimizer.open(variables)
    assert optimizer.opened_at == [0, 5, 9]


# The length of the gradient


@pytest.mark.parametrize(
    ("clip_norm", "scale"), [(6.5, 0.5), (13.0, 1.0), (20.0, 1.0), (None, 1.0), (0.0, 1.0)]
)
def test_the_gradient_norm_is_that_before_clipping(clip_norm, scale):
    optimizer = AdamW(0.1, clip_norm=clip_norm)
    steps_of(optimizer, [[3.0, 4.0, 12.0]], starts=(0.0, 0.0, 0.0))
    # 9 + 16 + 144 is 13 squared.
    assert optimizer.gradient_norm.numpy() == pytest.approx(13)
    momentums = [v.numpy()[0] for v in optimizer.variables if "momentum" in v.name]
    np.testing.assert_allclose(momentums, [0.3 * scale, 0.4 * scale, 1.2 * scale], rtol=1e-6)


def test_a_gradient_of_nothing_is_not_divided_by():
    optimizer = AdamW(0.1, clip_norm=1.0)
    variables = steps_of(optimizer, [[0.0, 0.0]], starts=(1.0, 2.0))
    assert numbers(variables).tolist() == [1.0, 2.0]
    assert optimizer.gradient_norm.numpy() == 0


def test_accumulated_gradients_are_averaged_before_they_are_clipped():
    optimizer = AdamW(0.1, clip_norm=1.0, gradient_accumulation_steps=2)
    # Each is 5 long, their mean 4.
    steps_of(optimizer, [[3.0, 4.0], [-3.0, 4.0]], starts=(0.0, 0.0))
    assert optimizer.gradient_norm.numpy() == pytest.approx(4)


# Accumulated batches


def test_schedule_and_bias_correction_count_steps_and_not_batches():
    settings = {"weight_decay": 0.1, "clip_norm": 1.0}
    each = np.array([[0.5, -1.0, 2.0], [0.25, 0.5, 0.75], [-3.0, 1.0, 0.5], [1.0, 0.0, 0.5]])
    alone = steps_of(AdamW(WarmupThenDecay(0.1, 4), **settings), each.mean(axis=1))
    accumulating = AdamW(
        WarmupThenDecay(0.1, 4), **settings, gradient_accumulation_steps=each.shape[1]
    )
    together = steps_of(accumulating, each.ravel())
    np.testing.assert_allclose(numbers(together), numbers(alone), rtol=1e-6)
    assert int(accumulating.iterations) == 4


def test_nothing_moves_before_the_last_batch_of_a_step():
    optimizer = AdamW(0.1, weight_decay=0.5, use_ema=True, gradient_accumulation_steps=3)
    variables = steps_of(optimizer, [1.0, 1.0])
    assert numbers(variables).tolist() == [1.0]


# The moving average


def averaged(optimizer):
    return numbers([average for _, average in optimizer.averages()])


@pytest.mark.parametrize(
    ("momentum", "expected"),
    [
        # The weight goes 1, 0.9, 0.8, 0.7. At most 1/10, 2/11 and 3/12 of the average stay:
        # 1 - 0.9 * 0.1 = 0.91; 0.91 - 9/11 * 0.11 = 0.82; 0.82 - 3/4 * 0.12 = 0.73.
        (0.9, [0.91, 0.82, 0.73]),
        # The last step has 0.2, for which 3/12 is more: 0.82 - 0.8 * 0.12 = 0.724.
        (0.2, [0.91, 0.82, 0.724]),
    ],
)
def test_the_moving_average_by_hand(momentum, expected):
    for count in (1, 2, 3):
        optimizer = AdamW(0.1, use_ema=True, ema_momentum=momentum)
        variables = steps_of(optimizer, [1.0] * count)  # the same gradient: steps of 0.1
        assert numbers(variables)[0] == pytest.approx(1 - 0.1 * count, rel=1e-5)
        assert averaged(optimizer)[0] == pytest.approx(expected[count - 1], rel=1e-5)


def test_the_moving_average_counts_steps_and_not_batches():
    optimizer = AdamW(0.1, use_ema=True, ema_momentum=0.2, gradient_accumulation_steps=2)
    steps_of(optimizer, [1.0] * 6)
    assert averaged(optimizer)[0] == pytest.approx(0.724, rel=1e-5)


def test_the_average_of_a_weight_that_does_not_move_is_the_weight():
    optimizer = AdamW(0.1, use_ema=True, ema_momentum=0.999)
    steps_of(optimizer, [[0.0, 1.0]] * 3, starts=(5.0, 1.0))
    assert averaged(optimizer)[0] == 5


def test_the_end_of_a_fit_leaves_the_weights_alone():
    optimizer = AdamW(0.1, use_ema=True)
    variables = steps_of(optimizer, [1.0, 1.0])
    before = numbers(variables)
    optimizer.finalize_variable_values(variables)
    np.testing.assert_array_equal(numbers(variables), before)
    assert averaged(optimizer) != before


def test_without_an_average_there_are_none():
    optimizer = AdamW(0.1)
    steps_of(optimizer, [1.0])
    assert optimizer.averages() == []


# Scaled losses


def test_inside_a_scaled_loss_the_weights_are_the_same():
    settings = {"weight_decay": 0.1, "clip_norm": 1.0, "use_ema": True}
    plain, inner = AdamW(schedule(), **settings), AdamW(schedule(), **settings)
    expected = trained_weights(plain)
    scaled = trained_weights(keras.optimizers.LossScaleOptimizer(inner))
    for weight, other in zip(scaled, expected, strict=True):
        np.testing.assert_allclose(weight, other, rtol=0, atol=2e-6)
    assert inner.gradient_norm.numpy() == pytest.approx(plain.gradient_norm.numpy(), rel=1e-4)
    for (_, average), (_, other) in zip(inner.averages(), plain.averages(), strict=True):
        np.testing.assert_allclose(average.numpy(), other.numpy(), rtol=0, atol=2e-6)


def test_a_gradient_beyond_all_numbers_is_left_out():
    inner = AdamW(0.1, weight_decay=0.5)
    optimizer = keras.optimizers.LossScaleOptimizer(inner)
    variables = steps_of(optimizer, [[math.inf, 1.0]], starts=(1.0, 1.0))
    assert numbers(variables).tolist() == [1.0, 1.0]
    assert int(inner.iterations) == 0


# As a config says


def test_the_optimizer_of_a_config():
    optimizer = build_optimizer(
        OptimizerConfig(weight_decay=0.02, clip_norm=0.5, ema=0.98),
        schedule(),
        rates={"a": 0.5},
        accumulation=3,
    )
    assert (optimizer.weight_decay, optimizer.clip_norm) == (0.02, 0.5)
    assert (optimizer.use_ema, optimizer.ema_momentum) == (True, 0.98)
    assert (optimizer.gradient_accumulation_steps, optimizer.rates) == (3, {"a": 0.5})
    plain = build_optimizer(OptimizerConfig(weight_decay=0.0, clip_norm=0.0), schedule())
    assert (plain.weight_decay, plain.use_ema) == (None, False)
    assert plain.gradient_accumulation_steps is None


def test_only_float16_has_its_loss_scaled():
    for precision in ("float32", "mixed_bfloat16"):
        optimizer = AdamW()
        assert scale_losses(optimizer, precision) is optimizer
    scaled = scale_losses(optimizer, "mixed_float16")
    assert isinstance(scaled, keras.optimizers.LossScaleOptimizer)
    assert scaled.inner_optimizer is optimizer


@pytest.mark.parametrize(
    ("changes", "rate"),
    [
        ({}, 5e-5),
        ({"freeze_base": True}, 1e-2),
        ({"lora_rank": 2}, 1e-3),
        # Above the last block nothing of the base is left to train, unless it is the pooler.
        ({"freeze_layers": 2, "pooling": "mean"}, 1e-2),
        ({"freeze_layers": 2, "pooling": "pooler"}, 5e-5),
    ],
    ids=str,
)
def test_the_learning_rate_where_none_is_given(changes, rate):
    config = ModelConfig(max_length=32, **changes)
    model = build_classifier(config, encoder_config=encoder_config("bert"))
    assert default_learning_rate(model) == rate
