import keras
import numpy as np
import pytest
import tensorflow as tf

from kerasbert.models.optimization import AdamW, compile_classifier, scale_losses
from kerasbert.training.stepwise import Stepwise

COUNT, SIZE = 10, 2
RANDOM = np.random.default_rng(0)
INPUTS = {"one": RANDOM.normal(size=(COUNT, 3)).astype(np.float32)}
INPUTS["other"] = RANDOM.normal(size=(COUNT, 5)).astype(np.float32)
CLASSES = RANDOM.integers(0, 2, COUNT).astype(np.int32)


def make_model(task="binary"):
    """Of two inputs, with what training moves beside weights: dropout and batch normalisation."""
    keras.utils.set_random_seed(7)
    inputs = {"one": keras.Input((3,), name="one"), "other": keras.Input((5,), name="other")}
    hidden = keras.layers.Concatenate()([inputs["other"], inputs["one"]])
    hidden = keras.layers.BatchNormalization()(keras.layers.Dropout(0.5, seed=1)(hidden))
    if task == "regression":
        return keras.Model(inputs, keras.layers.Dense(1)(hidden))
    return keras.Model(inputs, keras.layers.Dense(2, activation="softmax")(hidden))


def fit(model, task="binary", per_call=1, optimizer=None, callbacks=(), inputs=INPUTS):
    optimizer = optimizer or AdamW(0.01, clip_norm=1.0)
    compile_classifier(model, task, optimizer, steps_per_execution=per_call)
    targets = CLASSES if task == "binary" else CLASSES.astype(np.float32)
    batches = tf.data.Dataset.from_tensor_slices((inputs, targets)).batch(SIZE)
    for _ in range(2):
        model.fit(batches, shuffle=False, verbose=0, callbacks=list(callbacks))


class Look(keras.callbacks.Callback):
    """What each call gave."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def on_train_batch_end(self, batch, logs=None):
        self.calls.append(self.model.last_batches())


def test_several_batches_in_one_call_are_trained_bit_for_bit_as_one_by_one():
    plain = make_model()
    fit(plain)
    looks = {}
    for per_call in (1, 3, 32):
        model, looks[per_call] = make_model(), Look()
        trained = Stepwise.over(model)
        fit(trained, per_call=per_call, callbacks=[looks[per_call]])
        for weight, expected in zip(model.weights, plain.weights, strict=True):
            np.testing.assert_array_equal(weight.numpy(), expected.numpy())
    assert [len(call) for call in looks[1].calls] == [1] * 10
    assert [len(call) for call in looks[3].calls] == [3, 2, 3, 2]
    assert [len(call) for call in looks[32].calls] == [5, 5]
    one_by_one = np.concatenate(looks[1].calls)
    assert one_by_one.shape == (10, 3)
    assert len(np.unique(one_by_one[:, 0])) == 10
    for look in looks.values():
        np.testing.assert_array_equal(np.concatenate(look.calls), one_by_one)


def test_the_numbers_are_those_of_each_batch_alone():
    model = make_model()
    look = Look()
    fit(Stepwise.over(model), per_call=3, optimizer=AdamW(0.0), callbacks=[look])
    alone = make_model()
    compile_classifier(alone, "binary", AdamW(0.0))
    for numbers, start in zip(look.calls[0], range(0, COUNT, SIZE), strict=False):
        batch = {name: values[start : start + SIZE] for name, values in INPUTS.items()}
        logs = alone.train_on_batch(batch, CLASSES[start : start + SIZE], return_dict=True)
        alone.reset_metrics()
        norm = float(alone.optimizer.gradient_norm)
        np.testing.assert_allclose(numbers, [logs["loss"], logs["accuracy"], norm], rtol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "mixed_float16"])
def test_regression_and_scaled_losses(precision):
    look = Look()
    optimizer = scale_losses(AdamW(0.01), precision)
    fit(Stepwise.over(make_model("regression")), "regression", 2, optimizer, [look])
    numbers = np.concatenate(look.calls)
    assert np.isnan(numbers[:, 1]).all()
    assert (numbers[:, [0, 2]] > 0).all()


def test_it_adds_no_weights_and_predicts_the_same():
    model = make_model()
    trained = Stepwise.over(model)
    fit(trained, per_call=3)
    assert [id(weight) for weight in trained.weights] == [id(weight) for weight in model.weights]
    assert {tensor.name for tensor in trained.inputs} == {"one", "other"}
    np.testing.assert_array_equal(trained(INPUTS), model(INPUTS))
