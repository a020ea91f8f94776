import numpy as np
import pytest

from kerasbert.data.splitting import split
from kerasbert.tasks import UNKNOWN
from tests.data.making import make_examples

SEEDS = range(10)


def distinct(count):
    return make_examples([f"text {number}" for number in range(count)])


def assert_partition(kept, held_out, count):
    assert sorted([*kept, *held_out]) == list(range(count))
    assert (np.diff(kept) > 0).all()
    assert (np.diff(held_out) > 0).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_each_class_is_held_out_in_proportion(seed):
    targets = np.repeat([0, 1, 2], [80, 40, 8]).astype(np.int32)
    kept, held_out = split(distinct(128), targets, 0.25, seed)
    assert_partition(kept, held_out, 128)
    assert np.bincount(targets[held_out]).tolist() == [20, 10, 2]


def test_the_same_seed_gives_the_same_split():
    targets = np.arange(60, dtype=np.int32) % 3
    first, again, other = (split(distinct(60), targets, 0.3, seed)[1] for seed in (5, 5, 6))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def sides_of(keys, kept, held_out):
    return {keys[index] for index in kept}, {keys[index] for index in held_out}


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_text_is_never_on_both_sides(seed):
    random = np.random.default_rng(seed)
    keys = random.integers(50, size=200).tolist()
    forms = ("some text {}", "Some  TEXT {}", " some\ttext\n{} ")
    texts = [forms[number % 3].format(key) for number, key in enumerate(keys)]
    # The labels of one text differ.
    targets = random.integers(3, size=200).astype(np.int32)
    kept, held_out = split(make_examples(texts), targets, 0.3, seed)
    assert_partition(kept, held_out, 200)
    left, right = sides_of(keys, kept, held_out)
    assert left
    assert right
    assert not left & right


@pytest.mark.parametrize("seed", SEEDS)
def test_a_pair_is_the_same_where_both_of_its_texts_are(seed):
    keys = [(number % 4, number % 5) for number in range(60)]
    texts = [("First {}", "first  {}")[number % 2].format(a) for number, (a, _) in enumerate(keys)]
    pairs = [("second {}", "SECOND {}")[number % 2].format(b) for number, (_, b) in enumerate(keys)]
    kept, held_out = split(make_examples(texts, pairs), np.zeros(60, np.int32), 0.25, seed)
    assert_partition(kept, held_out, 60)
    left, right = sides_of(keys, kept, held_out)
    assert not left & right
    # Twenty different pairs of three rows each: a quarter of them is held out.
    assert (len(left), len(right)) == (15, 5)


def test_texts_that_share_their_first_half_only_are_different_pairs():
    examples = make_examples(["same"] * 40, [f"reply {number}" for number in range(40)])
    kept, held_out = split(examples, np.zeros(40, np.int32), 0.25, 0)
    assert (len(kept), len(held_out)) == (30, 10)


@pytest.mark.parametrize("fraction", [0.01, 0.2, 0.5, 0.99])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_class_of_two_texts_is_on_both_sides(fraction, seed):
    targets = np.array([0] * 50 + [1, 1], dtype=np.int32)
    kept, held_out = split(distinct(52), targets, fraction, seed)
    assert_partition(kept, held_out, 52)
    for side in (kept, held_out):
        assert set(targets[side]) == {0, 1}


def test_a_text_that_cannot_be_split_stays_in_training():
    examples = make_examples([f"text {number}" for number in range(10)] + ["Same", "same"])
    targets = np.array([0] * 10 + [1, 1], dtype=np.int32)
    kept, _ = split(examples, targets, 0.2, 0)
    assert {10, 11} <= set(kept)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rare_label_is_held_out_in_proportion(seed):
    targets = np.zeros((100, 2), dtype=np.float32)
    targets[:60, 0] = 1
    targets[20:28, 1] = 1  # all of them have the common label, too
    targets[90:, 1] = UNKNOWN
    kept, held_out = split(distinct(100), targets, 0.25, seed)
    assert_partition(kept, held_out, 100)
    positive = targets[held_out] == 1
    assert positive.sum(axis=0).tolist() == [15, 2]
    assert len(held_out) == 25


@pytest.mark.parametrize("seed", SEEDS)
def test_scores_are_held_out_over_their_whole_range(seed):
    targets = np.random.default_rng(1).permutation(100).astype(np.float32)
    kept, held_out = split(distinct(100), targets, 0.2, seed)
    assert_partition(kept, held_out, 100)
    assert np.bincount(targets[held_out].astype(int) // 10).tolist() == [2] * 10
