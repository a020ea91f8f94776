import itertools

import numpy as np
import pytest

from kerasbert.data.pipeline import token_source, training_batches, validation_batches
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
    blind = epoch(training_batches(source, targets, bucket=False, **options))
    bucketed = epoch(training_batches(source, targets, bucket=True, **options))
    assert all(np.ptp(lengths[batch]) == 0 for batch in bucketed)
    assert all(np.ptp(lengths[batch]) > 0 for batch in blind)
    assert sorted(itertools.chain.from_iterable(blind)) == list(range(64))


def epoch(dataset):
    """The targets of each batch, in the order in which they came."""
    return [targets.tolist() for _, targets in dataset.as_numpy_iterator()]


def test_training_batches_come_in_another_order_each_epoch():
    source, targets = make_source(random_lengths(100)), np.arange(100)
    dataset = training_batches(source, targets, batch_size=8, seed=0)
    first, second = epoch(dataset), epoch(dataset)
    assert first != second
    for batches in (first, second):
        assert sorted(itertools.chain.from_iterable(batches)) == list(range(100))


def test_the_same_seed_gives_the_same_epochs():
    source, targets = make_source(random_lengths(100)), np.arange(100)
    one, same, other = (
        training_batches(source, targets, batch_size=8, seed=seed) for seed in (3, 3, 4)
    )
    epochs = [epoch(one), epoch(one)]
    assert [epoch(same), epoch(same)] == epochs
    assert [epoch(other), epoch(other)] != epochs


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
def test_the_number_of_batches_is_known(count, batch_size):
    source, targets = make_source(random_lengths(count)), np.arange(count)
    training = training_batches(source, targets, batch_size=batch_size, seed=0)
    validation = validation_batches(source, targets)
    assert int(training.cardinality()) == len(epoch(training)) == len(epoch(training))
    assert int(validation.cardinality()) == len(epoch(validation))


def test_validation_batches_are_the_same_each_time_and_longest_first():
    lengths = random_lengths(50)
    dataset = validation_batches(make_source(lengths), np.arange(50))
    first = epoch(dataset)
    assert first == epoch(dataset)
    order = list(itertools.chain.from_iterable(first))
    assert sorted(order) == list(range(50))
    assert (np.diff(lengths[order]) <= 0).all()


@pytest.mark.parametrize(
    "targets",
    [
        np.arange(6, dtype=np.int32),
        np.arange(6, dtype=np.float32),
        np.arange(12, dtype=np.float32).reshape(6, 2),
    ],
)
def test_targets_keep_their_type_and_shape(targets):
    dataset = validation_batches(make_source([9, 8, 7, 6, 5, 4]), targets)
    received = [batch for _, batch in dataset.as_numpy_iterator()]
    assert {batch.dtype for batch in received} == {targets.dtype}
    assert np.array_equal(np.concatenate(received), targets)
