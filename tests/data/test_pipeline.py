import dataclasses
import itertools

import keras
import numpy as np
import pytest

from kerasbert.config import ModelConfig
from kerasbert.data.batches import num_batches
from kerasbert.data.pipeline import shared_out, token_source, training_batches
from kerasbert.models.classifier import build_classifier
from kerasbert.models.losses import build_loss
from kerasbert.models.optimization import AdamW, compile_classifier
from kerasbert.tasks import UNKNOWN
from tests.conftest import WORDS, encoder_config
from tests.data.making import NAMES, PAD_ID, make_tokens, random_lengths


def make_source(lengths):
    return token_source(make_tokens(lengths), NAMES)


@pytest.mark.parametrize("names", [("input_ids",), ("attention_mask", "input_ids")])
def test_only_the_names_asked_for_are_in_a_batch(names):
    source = token_source(make_tokens([2, 3]), names)
    dataset = training_batches(source, np.array([0, 1]), batch_size=2, seed=0)
    assert set(dataset.element_spec[0]) == set(names)
    assert [set(inputs) for inputs, _ in dataset.as_numpy_iterator()] == [set(names)]


def test_batches_drawn_blindly_mix_all_lengths():
    lengths = np.repeat([3, 50], 32)
    source, targets = make_source(lengths), np.arange(64)
    options = {"batch_size": 8, "seed": 0}
    blind = batches_of(source, targets, bucket=False, **options)
    bucketed = batches_of(source, targets, bucket=True, **options)
    assert all(np.ptp(lengths[batch]) == 0 for batch in bucketed)
    assert all(np.ptp(lengths[batch]) > 0 for batch in blind)
    assert sorted(itertools.chain.from_iterable(blind)) == list(range(64))


def batches_of(source, targets, **options):
    """The targets of each batch of an epoch, in the order in which they come."""
    dataset = training_batches(source, targets, **options)
    return [batch[1].tolist() for batch in dataset.as_numpy_iterator()]


def test_each_epoch_has_all_examples_in_another_order():
    source, targets = make_source(random_lengths(100)), np.arange(100)
    epochs = [batches_of(source, targets, batch_size=8, seed=0, epoch=n) for n in range(3)]
    assert all(a != b for a, b in itertools.combinations(epochs, 2))
    for batches in epochs:
        assert sorted(itertools.chain.from_iterable(batches)) == list(range(100))


def test_seed_and_epoch_decide_the_batches():
    source, targets = make_source(random_lengths(100)), np.arange(100)
    first = batches_of(source, targets, batch_size=8, seed=3, epoch=1)
    assert batches_of(source, targets, batch_size=8, seed=3, epoch=1) == first
    assert batches_of(source, targets, batch_size=8, seed=4, epoch=1) != first
    assert batches_of(source, targets, batch_size=8, seed=1, epoch=3) != first
    # And a dataset that is read again gives the same again.
    dataset = training_batches(source, targets, batch_size=8, seed=3, epoch=1)
    for _ in range(2):
        assert [batch.tolist() for _, batch in dataset.as_numpy_iterator()] == first


@pytest.mark.parametrize("accumulation", [1, 3])
@pytest.mark.parametrize("bucket", [True, False])
def test_what_is_left_of_an_epoch_is_its_rest(accumulation, bucket):
    source, targets = make_source(random_lengths(30)), np.arange(30)
    options = {"batch_size": 4, "seed": 2, "epoch": 1}
    options |= {"accumulation": accumulation, "bucket": bucket}
    whole = batches_of(source, targets, **options)
    num_steps = num_batches(30, 4 * accumulation)
    assert len(whole) == num_steps * accumulation
    for skip in range(num_steps + 1):
        dataset = training_batches(source, targets, skip=skip, **options)
        assert int(dataset.cardinality()) == (num_steps - skip) * accumulation
        assert batches_of(source, targets, skip=skip, **options) == whole[skip * accumulation :]
    cut = training_batches(source, targets, skip=1, **options).take(accumulation)
    assert int(cut.cardinality()) == accumulation
    found = [batch[1].tolist() for batch in cut.as_numpy_iterator()]
    assert found == whole[accumulation : 2 * accumulation]


def test_training_batches_hold_the_texts_with_their_targets():
    lengths = random_lengths(30)
    source, targets = make_source(lengths), np.arange(30)
    dataset = training_batches(source, targets, batch_size=4, seed=0)
    for inputs, numbers in dataset.as_numpy_iterator():
        assert inputs["input_ids"].shape == (len(numbers), lengths[numbers].max())
        assert (inputs["input_ids"][:, 0] == 1000 * numbers + 1).all()
        assert (inputs["attention_mask"].sum(axis=1) == lengths[numbers]).all()
        assert (inputs["input_ids"][inputs["attention_mask"] == 0] == PAD_ID).all()


@pytest.mark.parametrize(("count", "batch_size"), [(17, 16), (200, 3), (7, 1), (1, 16)])
@pytest.mark.parametrize("accumulation", [1, 2])
def test_the_number_of_batches_is_known(count, batch_size, accumulation):
    source, targets = make_source(random_lengths(count)), np.arange(count)
    dataset = training_batches(
        source, targets, batch_size=batch_size, seed=0, accumulation=accumulation
    )
    assert int(dataset.cardinality()) == len(list(dataset))
    assert int(dataset.cardinality()) == accumulation * num_batches(
        count, batch_size * accumulation
    )


@pytest.mark.parametrize(
    "targets",
    [
        np.arange(6, dtype=np.int32),
        np.arange(6, dtype=np.float32),
        np.arange(12, dtype=np.float32).reshape(6, 2),
    ],
)
@pytest.mark.parametrize("accumulation", [1, 2])
def test_targets_keep_their_type_and_shape(targets, accumulation):
    dataset = training_batches(
        make_source([9, 8, 7, 6, 5, 4]), targets, batch_size=2, seed=0, accumulation=accumulation
    )
    received = [batch[1] for batch in dataset.as_numpy_iterator()]
    assert {batch.dtype for batch in received} == {targets.dtype}
    order = np.argsort([batch.flat[0] for batch in np.concatenate(received)])
    assert np.array_equal(np.concatenate(received)[order], targets)


# Batches that make one step


def shares(step, targets, count):
    return [(part.tolist(), weight) for part, weight in shared_out(np.array(step), targets, count)]


def test_a_step_is_shared_out_by_the_number_of_targets():
    targets = np.arange(10)
    assert shares([7, 2, 5, 1], targets, 2) == [([7, 2], 1), ([5, 1], 1)]
    # Of five targets, three and two: their means count 6/5 and 4/5, which is 2 in all.
    assert shares([7, 2, 5, 1, 9], targets, 2) == [([7, 2, 5], 6 / 5), ([1, 9], 4 / 5)]


def test_unknown_cells_do_not_count():
    targets = np.array([[1, 0], [UNKNOWN, 1], [UNKNOWN, UNKNOWN], [0, UNKNOWN]])
    # Three known cells and one.
    assert shares([0, 1, 2, 3], targets, 2) == [([0, 1], 6 / 4), ([2, 3], 2 / 4)]
    assert shares([2, 0], targets, 2) == [([2], 0), ([0], 2)]
    assert shares([2, 2], targets, 2) == [([2], 0), ([2], 0)]


def test_more_batches_than_examples():
    targets = np.arange(10)
    # What is empty is an example of no weight.
    assert shares([4, 8], targets, 4) == [([4], 2), ([8], 2), ([4], 0), ([4], 0)]


@pytest.mark.parametrize(("size", "count"), [(16, 4), (13, 4), (3, 4), (1, 5), (7, 2)])
def test_the_mean_over_the_batches_is_that_of_the_step(size, count):
    random = np.random.default_rng(size)
    losses, step = random.normal(size=20), random.permutation(20)[:size]
    parts = list(shared_out(step, np.zeros(20, np.int32), count))
    assert len(parts) == count
    means = [(losses[part] * weight).mean() for part, weight in parts]
    assert np.mean(means) == pytest.approx(losses[step].mean())


def test_the_weights_stand_beside_the_targets():
    targets = np.arange(10)
    dataset = training_batches(
        make_source(random_lengths(10)), targets, batch_size=2, seed=0, accumulation=3
    )
    batches = list(dataset.as_numpy_iterator())
    assert len(batches) == 2 * 3
    for step in (batches[:3], batches[3:]):
        sizes = np.array([len(numbers) for _, numbers, _ in step])
        assert sizes.tolist() == [2, 2, 1]
        for (inputs, numbers, weights), size in zip(step, sizes, strict=True):
            assert (inputs["input_ids"][:, 0] == 1000 * numbers + 1).all()
            np.testing.assert_allclose(weights, np.full(size, size * 3 / 5), rtol=1e-6)
            assert weights.dtype == np.float32


COUNT = 37  # three steps of at most 16, of which none divides by 4
RANDOM = np.random.default_rng(1)
TARGETS = {
    "binary": RANDOM.integers(0, 2, COUNT).astype(np.int32),
    "multiclass": RANDOM.integers(0, 3, COUNT).astype(np.int32),
    "multilabel": RANDOM.choice([0, 1, UNKNOWN], (COUNT, 3), p=[0.3, 0.3, 0.4]).astype(np.float32),
    "regression": RANDOM.normal(size=COUNT).astype(np.float32),
}
CLASS_WEIGHTS = {
    "binary": np.array([0.5, 3.0]),
    "multiclass": np.array([0.5, 3.0, 1.0]),
    "multilabel": np.array([[0.5, 3.0], [1.0, 2.0], [4.0, 0.0]]),
}
NUM_LABELS = {"binary": 2, "multiclass": 3, "multilabel": 3, "regression": 1}


def trained(task, head, weights=None, **batching):
    """The weights of a toy classifier before and after an epoch, and the number of its steps."""
    tokens = dataclasses.replace(make_tokens(random_lengths(COUNT) // 3 + 2), pad_id=0)
    tokens.input_ids[:] = 5 + tokens.input_ids % (len(WORDS) - 5)
    keras.utils.set_random_seed(7)
    config = ModelConfig(
        task=task, num_labels=NUM_LABELS[task], head=head, dropout=0.0, max_length=32,
        pooling="mean",
    )  # fmt: skip
    base = encoder_config("bert", blocks=1)
    base.hidden_dropout_prob = base.attention_probs_dropout_prob = 0.0
    model = build_classifier(config, encoder_config=base)
    accumulation = batching.get("accumulation", 1)
    # Of epsilon's size a rounding error would not be made a step of.
    optimizer = AdamW(
        1e-2,
        epsilon=1e-3,
        weight_decay=0.1,
        clip_norm=0.5,
        gradient_accumulation_steps=accumulation if accumulation > 1 else None,
    )
    compile_classifier(model, task, optimizer, build_loss(task, weights=weights))
    model.run_eagerly = True
    before = model.get_weights()
    source = token_source(tokens, [tensor.name for tensor in model.inputs])
    batches = training_batches(source, TARGETS[task], seed=5, **batching)
    model.fit(batches, shuffle=False, verbose=0)
    return before, model.get_weights(), int(optimizer.iterations)


@pytest.mark.parametrize(
    ("task", "head", "is_weighted"),
    [
        ("binary", "linear", False),
        ("multiclass", "classification", True),
        ("multilabel", "linear", True),
        ("regression", "classification", False),
    ],
)
def test_accumulated_batches_are_the_large_batch(task, head, is_weighted):
    weights = CLASS_WEIGHTS[task] if is_weighted else None
    _, small, num_small = trained(task, head, weights, batch_size=4, accumulation=4)
    before, large, num_large = trained(task, head, weights, batch_size=16)
    assert num_small == num_large == 3
    for weight, expected, start in zip(small, large, before, strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-6, atol=2e-6)
        assert np.abs(expected - start).max() > 1e-5


def test_batch_normalisation_knows_how_large_a_batch_is():
    _, small, _ = trained("binary", "mlp", batch_size=4, accumulation=4)
    _, large, _ = trained("binary", "mlp", batch_size=16)
    assert max(np.abs(a - b).max() for a, b in zip(small, large, strict=True)) > 1e-3
