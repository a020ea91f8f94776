from io import StringIO

import keras
import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console

from kerasbert.errors import TrainingError
from kerasbert.models.optimization import AdamW, compile_classifier
from kerasbert.training.callbacks import FreezingProof, Steps
from kerasbert.training.stepwise import Stepwise

COUNT, SIZE = 12, 2
RANDOM = np.random.default_rng(0)
INPUTS = RANDOM.normal(size=(COUNT, 3)).astype(np.float32)
CLASSES = RANDOM.integers(0, 2, COUNT).astype(np.int32)


def make_model(task="binary", rate=0.0, accumulation=1, freeze=(), per_call=1):
    """Two layers, of which one or both may be frozen; Keras takes so many batches at once."""
    keras.utils.set_random_seed(7)
    outputs = keras.layers.Dense(2, activation="softmax", name="upper")
    if task == "regression":
        outputs = keras.layers.Dense(1, name="upper")
    inputs = keras.Input((3,))
    model = Stepwise(inputs, outputs(keras.layers.Dense(4, name="lower")(inputs)))
    for name in freeze:
        for variable in model.get_layer(name).weights:
            variable.trainable = False
    steps = accumulation if accumulation > 1 else None
    optimizer = AdamW(rate, gradient_accumulation_steps=steps)
    compile_classifier(model, task, optimizer, steps_per_execution=per_call)
    model.run_eagerly = per_call == 1
    return model


def fit(model, *callbacks, targets=CLASSES, sample_weight=None, **options):
    weights = () if sample_weight is None else (sample_weight.astype(np.float32),)
    batches = tf.data.Dataset.from_tensor_slices((INPUTS, targets, *weights)).batch(SIZE)
    model.fit(batches, shuffle=False, verbose=0, callbacks=callbacks, **options)


def steps_of(model, accumulation=1, stop_after=None, targets=CLASSES, **options):
    found = []

    def on_steps(steps):
        assert all(step.seconds == steps[0].seconds > 0 for step in steps)
        found.extend((step.loss, step.accuracy) for step in steps)
        return stop_after is not None and len(found) >= stop_after

    fit(model, Steps(on_steps, accumulation), targets=targets, **options)
    return found


def by_hand(model, size):
    """Loss and accuracy of so many examples after the other, of weights that stand still."""
    outputs = model(INPUTS).numpy()
    losses = -np.log(outputs[np.arange(COUNT), CLASSES]).reshape(-1, size)
    right = (outputs.argmax(axis=1) == CLASSES).reshape(-1, size)
    return list(zip(losses.mean(axis=1), right.mean(axis=1), strict=True))


@pytest.mark.parametrize(
    ("accumulation", "per_call"), [(1, 1), (2, 1), (3, 1), (1, 4), (2, 4), (3, 2)]
)
def test_the_numbers_are_those_of_the_step_alone(accumulation, per_call):
    model = make_model(accumulation=accumulation, per_call=per_call)
    found = steps_of(model, accumulation)
    assert len(found) == COUNT // SIZE // accumulation
    np.testing.assert_allclose(found, by_hand(model, SIZE * accumulation), rtol=1e-5)
    assert np.ptp([loss for loss, _ in found]) > 1e-3  # and they differ


def test_weights_of_the_batches_are_in_their_losses_already():
    model = make_model(accumulation=3)
    weights = np.repeat([1.5, 0.5, 1.0, 2.0, 1.0, 0.0], SIZE)
    found = steps_of(model, 3, sample_weight=weights)
    losses = [loss for loss, _ in by_hand(model, SIZE)]
    expected = (np.array(losses) * weights[::SIZE]).reshape(2, 3).mean(axis=1)
    np.testing.assert_allclose([loss for loss, _ in found], expected, rtol=1e-5)


def test_regression_has_no_accuracy():
    model = make_model("regression")
    found = steps_of(model, targets=INPUTS.sum(axis=1))
    expected = ((model(INPUTS).numpy()[:, 0] - INPUTS.sum(axis=1)) ** 2).reshape(-1, SIZE)
    np.testing.assert_allclose([loss for loss, _ in found], expected.mean(axis=1), rtol=1e-5)
    assert {accuracy for _, accuracy in found} == {None}


@pytest.mark.parametrize("accumulation", [1, 2])
def test_it_stops_after_the_step_that_says_so(accumulation):
    model = make_model(rate=0.1, accumulation=accumulation)
    assert len(steps_of(model, accumulation, stop_after=2)) == 2
    assert int(model.optimizer.iterations) == 2


def test_several_steps_in_one_call_stop_after_the_call():
    model = make_model(rate=0.1, per_call=4)
    assert len(steps_of(model, stop_after=2)) == 4
    assert int(model.optimizer.iterations) == 4


def test_the_gradient_norm_and_the_time_of_each_step():
    calls = {}
    for per_call in (1, 4):
        calls[per_call] = []
        model = make_model(rate=0.1, per_call=per_call)
        fit(model, Steps(lambda steps, told=calls[per_call]: told.append(steps)))
    assert [len(steps) for steps in calls[4]] == [4, 2]
    alone, together = ([step for call in calls[k] for step in call] for k in (1, 4))
    norms = [[step.gradient_norm for step in steps] for steps in (alone, together)]
    np.testing.assert_allclose(*norms, rtol=1e-5)
    assert len(set(norms[0])) == 6
    assert len({step.seconds for step in together[:4]}) == 1


def test_each_fit_begins_a_step():
    model = make_model(accumulation=4)
    steps = Steps(lambda steps: found.extend(step.loss for step in steps), 4)
    for _ in range(2):
        found = []
        # Of six batches the first four are a step; the other two are of none.
        fit(model, steps)
        expected = np.mean([loss for loss, _ in by_hand(model, SIZE)[:4]])
        assert found == [pytest.approx(expected, rel=1e-5)]


# The proof


def proof_of(model, accumulation=1):
    console = Console(file=StringIO(), width=40)
    return FreezingProof(console, model, accumulation), console.file


@pytest.mark.parametrize("accumulation", [1, 3])
def test_what_is_frozen_is_proven_after_the_first_step_and_once(accumulation):
    model = make_model(rate=0.1, accumulation=accumulation, freeze=["lower"])
    proof, shown = proof_of(model, accumulation)
    fit(model, proof, epochs=2)
    fit(model, proof)
    assert shown.getvalue() == (
        "after the first step: 2 frozen weights unchanged bit for bit, 2 of 2 others changed\n"
    )


@pytest.mark.parametrize(
    ("accumulation", "per_call", "first"), [(1, 4, 4), (1, 32, 6), (2, 4, 2), (3, 12, 2)]
)
def test_of_several_steps_in_one_call_all_are_proven(accumulation, per_call, first):
    model = make_model(rate=0.1, accumulation=accumulation, freeze=["lower"], per_call=per_call)
    proof, shown = proof_of(model, accumulation)
    fit(model, proof)
    assert shown.getvalue().startswith(f"after the first {first} steps: 2 frozen weights unchanged")


def test_nothing_is_judged_before_the_last_batch_of_the_step():
    model = make_model(rate=0.1, accumulation=3)
    proof, shown = proof_of(model, 3)
    proof.set_model(model)
    proof.set_params({"steps": 6})
    proof.on_train_begin()
    for batch in range(2):
        proof.on_train_batch_end(batch)
    with pytest.raises(TrainingError, match="No weight moved in the first step"):
        proof.on_train_batch_end(2)
    assert shown.getvalue() == ""


def test_weights_that_stand_still_are_named():
    model = make_model(rate=0.1)
    proof, shown = proof_of(model)
    # Through a kernel of zeros no gradient reaches what is below.
    model.get_layer("upper").kernel.assign(np.zeros((4, 2), np.float32))
    fit(model, proof)
    assert "2 of 4 others changed, not " in shown.getvalue()
    assert "lower" in shown.getvalue()


@pytest.mark.parametrize("accumulation", [1, 2])
def test_a_frozen_weight_that_moves_stops_the_training(accumulation):
    model = make_model(rate=0.1, accumulation=accumulation)
    fit(model)
    for variable in model.get_layer("lower").weights:
        variable.trainable = False
    moved = model.get_layer("lower").kernel

    class Meddler(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            moved.assign(moved + 1.0)

    proof, _ = proof_of(model, accumulation)
    with pytest.raises(TrainingError) as caught:
        fit(model, Meddler(), proof)
    assert str(caught.value) == (
        f"The frozen weight {moved.path!r} moved in the first step. Compile the model after "
        "freezing: what can be trained is read off then."
    )


def test_a_step_that_moves_nothing_stops_the_training():
    proof, _ = proof_of(make_model(rate=0.0))
    with pytest.raises(TrainingError, match="No weight moved in the first step"):
        fit(proof._classifier, proof)


def test_of_scaled_losses_the_first_steps_may_be_skipped():
    model = make_model()
    model.compile(keras.optimizers.LossScaleOptimizer(AdamW(0.1)), "mse")
    proof, shown = proof_of(model)
    proof.set_model(model)
    proof.set_params({"steps": 6})
    proof.on_train_begin()
    proof.on_train_batch_end(0)
    assert shown.getvalue() == ""
    for variable in model.trainable_variables:
        variable.assign(variable + 1.0)
    proof.on_train_batch_end(1)
    assert "4 of 4 others changed" in shown.getvalue()
