import itertools

import numpy as np
import pytest

from kerasbert.data.batches import (
    pad,
    shuffled_buckets,
    sorted_buckets,
    training_batches,
    validation_batches,
)
from kerasbert.data.tokens import Tokens

NAMES = ("input_ids", "attention_mask", "token_type_ids")
PAD_ID = 99


def make_tokens(lengths):
    """Text i is the pieces 1000 i + 1, 1000 i + 2 and so on; its last piece is of segment 1."""
    return Tokens(
        input_ids=np.concatenate(
            [1000 * text + 1 + np.arange(length) for text, length in enumerate(lengths)]
        ).astype(np.int32),
        token_type_ids=np.concatenate(
            [np.arange(length) == length - 1 for length in lengths]
        ).astype(np.int8),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        pad_id=PAD_ID,
        num_truncated=0,
    )


def random_lengths(count, seed=0):
    return np.random.default_rng(seed).integers(3, 60, size=count)


def ranges(buckets, lengths):
    return np.array([np.ptp(lengths[indices]) for indices in buckets])


@pytest.mark.parametrize(
    ("count", "batch_size", "sizes"),
    [
        (17, 16, [8, 9]),
        (16, 16, [16]),
        (1, 16, [1]),
        (33, 16, [11, 11, 11]),
        (50, 16, [12, 12, 13, 13]),
        (3, 1, [1, 1, 1]),
    ],
)
def test_batches_are_of_equal_size_without_a_remainder(count, batch_size, sizes):
    random = np.random.default_rng(0)
    buckets = shuffled_buckets(random_lengths(count), batch_size, random)
    assert sorted(map(len, buckets)) == sizes


# 64 batches are sorted by length together: 1000 texts in batches of 3 are six such pools.
@pytest.mark.parametrize(("count", "batch_size"), [(1000, 3), (777, 16), (131, 2), (5, 7)])
def test_each_text_is_in_one_batch(count, batch_size):
    buckets = shuffled_buckets(random_lengths(count), batch_size, np.random.default_rng(0))
    sizes = list(map(len, buckets))
    assert sorted(np.concatenate(buckets)) == list(range(count))
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_texts_of_like_length_are_in_one_batch(seed):
    buckets = shuffled_buckets(np.array([2, 9, 3, 8]), 2, np.random.default_rng(seed))
    assert {frozenset(indices.tolist()) for indices in buckets} == {
        frozenset({0, 2}),
        frozenset({1, 3}),
    }


def test_batches_have_far_less_to_pad_than_batches_drawn_blindly():
    lengths = random_lengths(1000)
    blind = np.array_split(np.random.default_rng(1).permutation(1000), 125)
    buckets = shuffled_buckets(lengths, 8, np.random.default_rng(0))
    assert ranges(buckets, lengths).mean() < ranges(blind, lengths).mean() / 10


def test_batches_are_not_in_the_order_of_their_lengths():
    lengths = random_lengths(400)
    buckets = shuffled_buckets(lengths, 8, np.random.default_rng(0))
    means = np.array([lengths[indices].mean() for indices in buckets])
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.5


def test_texts_of_one_length_are_drawn_into_other_batches_each_time():
    lengths = np.full(40, 7)
    first, second = (
        {frozenset(indices.tolist()) for indices in shuffled_buckets(lengths, 4, random)}
        for random in (np.random.default_rng(0), np.random.default_rng(1))
    )
    assert first != second


def test_sorted_batches_begin_with_the_longest():
    lengths = np.array([4, 9, 4, 7, 1])
    buckets = sorted_buckets(lengths, 2)
    assert [indices.tolist() for indices in buckets] == [[1, 3], [0, 2], [4]]


def test_padding_by_hand():
    tokens = make_tokens([2, 4, 3])
    batch = pad(tokens, np.array([2, 0]), NAMES)
    assert batch["input_ids"].tolist() == [[2001, 2002, 2003], [1, 2, PAD_ID]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch["token_type_ids"].tolist() == [[0, 0, 1], [0, 1, 0]]
    assert {array.dtype for array in batch.values()} == {np.dtype(np.int32)}


def test_a_text_is_the_same_in_any_batch():
    lengths = random_lengths(20)
    tokens = make_tokens(lengths)
    together = pad(tokens, np.arange(20)[::-1], NAMES)
    for text, length in enumerate(lengths):
        alone = pad(tokens, np.array([text]), NAMES)
        for name in NAMES:
            assert alone[name].shape == (1, length)
            assert together[name][19 - text, :length].tolist() == alone[name][0].tolist()


@pytest.mark.parametrize("names", [("input_ids",), ("attention_mask", "input_ids")])
def test_only_the_names_asked_for_are_in_a_batch(names):
    assert tuple(pad(make_tokens([2, 3]), np.array([0, 1]), names)) == names
    tokens, targets = make_tokens([2, 3]), np.array([0, 1])
    dataset = training_batches(tokens, targets, names, batch_size=2, seed=0)
    assert set(dataset.element_spec[0]) == set(names)
    assert [set(inputs) for inputs, _ in dataset.as_numpy_iterator()] == [set(names)]


def epoch(dataset):
    """The targets of each batch, in the order in which they came."""
    return [targets.tolist() for _, targets in dataset.as_numpy_iterator()]


def test_training_batches_come_in_another_order_each_epoch():
    tokens, targets = make_tokens(random_lengths(100)), np.arange(100)
    dataset = training_batches(tokens, targets, NAMES, batch_size=8, seed=0)
    first, second = epoch(dataset), epoch(dataset)
    assert first != second
    for batches in (first, second):
        assert sorted(itertools.chain.from_iterable(batches)) == list(range(100))


def test_the_same_seed_gives_the_same_epochs():
    tokens, targets = make_tokens(random_lengths(100)), np.arange(100)
    one, same, other = (
        training_batches(tokens, targets, NAMES, batch_size=8, seed=seed) for seed in (3, 3, 4)
    )
    epochs = [epoch(one), epoch(one)]
    assert [epoch(same), epoch(same)] == epochs
    assert [epoch(other), epoch(other)] != epochs


def test_training_batches_hold_the_texts_with_their_targets():
    lengths = random_lengths(30)
    tokens, targets = make_tokens(lengths), np.arange(30)
    dataset = training_batches(tokens, targets, NAMES, batch_size=4, seed=0)
    for inputs, numbers in dataset.as_numpy_iterator():
        assert inputs["input_ids"].shape == (len(numbers), lengths[numbers].max())
        assert (inputs["input_ids"][:, 0] == 1000 * numbers + 1).all()
        assert (inputs["attention_mask"].sum(axis=1) == lengths[numbers]).all()
        assert (inputs["input_ids"][inputs["attention_mask"] == 0] == PAD_ID).all()


@pytest.mark.parametrize(("count", "batch_size"), [(17, 16), (200, 3), (7, 1), (1, 16)])
def test_the_number_of_batches_is_known(count, batch_size):
    tokens, targets = make_tokens(random_lengths(count)), np.arange(count)
    training = training_batches(tokens, targets, NAMES, batch_size=batch_size, seed=0)
    validation = validation_batches(tokens, targets, NAMES, batch_size=batch_size)
    assert int(training.cardinality()) == len(epoch(training)) == len(epoch(training))
    assert int(validation.cardinality()) == len(epoch(validation)) == -(-count // batch_size)


def test_validation_batches_are_the_same_each_time_and_longest_first():
    lengths = random_lengths(50)
    dataset = validation_batches(make_tokens(lengths), np.arange(50), NAMES, batch_size=8)
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
    dataset = validation_batches(make_tokens([9, 8, 7, 6, 5, 4]), targets, NAMES, batch_size=4)
    received = [batch for _, batch in dataset.as_numpy_iterator()]
    assert {batch.dtype for batch in received} == {targets.dtype}
    assert np.array_equal(np.concatenate(received), targets)
