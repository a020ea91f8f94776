import numpy as np
import pytest

from kerasbert.data.batches import num_batches, pad, shuffled_buckets, sorted_buckets
from tests.data.making import NAMES, PAD_ID, make_tokens, random_lengths


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


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 16, 100])
def test_the_number_of_batches_is_known_before(batch_size):
    # To both sides of where one pool of 64 batches becomes two, and two become three.
    joints = (64 * batch_size, 128 * batch_size)
    counts = {*range(1, 40), *(joint + near for joint in joints for near in range(-2, 3)), 1000}
    for count in counts:
        made = shuffled_buckets(np.full(count, 7), batch_size, np.random.default_rng(count))
        assert num_batches(count, batch_size) == len(made), count


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


@pytest.mark.parametrize(("max_pieces", "expected"), [
    (18, [[1, 3], [0, 2, 4]]),
    (9, [[1], [3], [0, 2], [4]]),
    (1, [[1], [3], [0], [2], [4]]),
    (1000, [[1, 3, 0, 2, 4]]),
])  # fmt: skip
def test_sorted_batches_begin_with_the_longest_and_hold_so_many_pieces(max_pieces, expected):
    buckets = sorted_buckets(np.array([4, 9, 4, 7, 1]), max_pieces)
    assert [indices.tolist() for indices in buckets] == expected
