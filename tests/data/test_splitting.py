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
def test_a_text_that_is_there_very_often_does_not_swing_the_share(seed):
    # A fifth of 200 rows is 40. The text that is there 100 times does not fit in.
    examples = make_examples(["Same"] * 100 + [f"text {number}" for number in range(100)])
    kept, held_out = split(examples, np.zeros(200, np.int32), 0.2, seed)
    assert_partition(kept, held_out, 200)
    assert len(held_out) == 40
    assert held_out.min() >= 100


@pytest.mark.parametrize("seed", SEEDS)
def test_texts_that_are_there_often_are_counted_in_rows(seed):
    # Of each label forty texts, of which ten are there four times: 70 rows.
    texts = [f"text {number}" for number in range(80) for _ in range(4 if number % 4 == 0 else 1)]
    targets = np.array([int(text.split()[1]) // 40 for text in texts], dtype=np.int32)
    assert np.bincount(targets).tolist() == [70, 70]
    kept, held_out = split(make_examples(texts), targets, 0.3, seed)
    assert_partition(kept, held_out, 140)
    left, right = sides_of(texts, kept, held_out)
    assert not left & right
    assert np.bincount(targets[held_out]).tolist() == [21, 21]


def test_where_no_text_is_rare_enough_the_rarest_is_held_out():
    examples = make_examples(["often"] * 50 + ["seldom"] * 30 + ["very often"] * 60)
    _, held_out = split(examples, np.zeros(140, np.int32), 0.1, 0)
    assert held_out.tolist() == list(range(50, 80))


@pytest.mark.parametrize("fraction", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("seed", SEEDS)
def test_every_class_stays_in_training(fraction, seed):
    # Class 2 is there beside class 0 alone, on three texts that are there twice.
    texts = [f"text {number}" for number in range(20)] + [f"Text {number}" for number in range(3)]
    targets = np.array([0] * 12 + [1] * 8 + [2] * 3, dtype=np.int32)
    kept, held_out = split(make_examples(texts), targets, fraction, seed)
    assert_partition(kept, held_out, 23)
    assert set(targets[kept]) == {0, 1, 2}
    assert {0, 1} <= set(targets[held_out])
    keys = [text.casefold() for text in texts]
    left, right = sides_of(keys, kept, held_out)
    assert not left & right


@pytest.mark.parametrize("seed", SEEDS)
def test_a_class_of_one_text_stays_in_training(seed):
    # Whatever share is asked for, and though its text is there beside another class, too.
    examples = make_examples([f"text {number}" for number in range(10)] + ["TEXT 4"])
    kept, _ = split(examples, np.array([0] * 10 + [1], dtype=np.int32), 0.8, seed)
    assert {4, 10} <= set(kept)


@pytest.mark.parametrize("seed", SEEDS)
def test_scores_are_held_out_evenly_over_their_range(seed):
    # A fifth of a hundred: of each five scores that follow one another, one.
    targets = np.random.default_rng(1).permutation(100).astype(np.float32)
    kept, held_out = split(distinct(100), targets, 0.2, seed)
    assert_partition(kept, held_out, 100)
    assert np.bincount(targets[held_out].astype(int) // 5).tolist() == [1] * 20


@pytest.mark.parametrize(
    ("count", "fraction", "num_held_out"),
    [
        (101, 0.3, 30),
        (64, 0.25, 16),
        (7, 0.2, 1),
        (8, 0.2, 2),
        (9, 0.5, 4),
        (3, 0.01, 1),
        (2, 0.99, 1),
        (5, 0.99, 4),
        (1, 0.5, 0),
    ],
)
@pytest.mark.parametrize("kind", ["different", "mostly zero", "lopsided"])
def test_the_share_of_scores_is_exact_however_they_lie(count, fraction, num_held_out, kind):
    numbers = np.arange(count)
    targets = {
        "different": numbers,
        "mostly zero": np.where(numbers % 10 == 0, numbers, 0),
        "lopsided": 2.0**numbers,
    }[kind].astype(np.float32)
    kept, held_out = split(distinct(count), targets, fraction, 0)
    assert_partition(kept, held_out, count)
    assert len(held_out) == num_held_out


@pytest.mark.parametrize("seed", SEEDS)
def test_the_share_of_scores_is_one_of_texts(seed):
    # Thirty texts, of which ten are there four times: nine of them are held out with all rows.
    texts = [f"text {number}" for number in range(30) for _ in range(4 if number % 3 == 0 else 1)]
    targets = np.array([float(text.split()[1]) for text in texts], dtype=np.float32)
    kept, held_out = split(make_examples(texts), targets, 0.3, seed)
    assert_partition(kept, held_out, 60)
    left, right = sides_of(texts, kept, held_out)
    assert not left & right
    assert (len(left), len(right)) == (21, 9)


def test_the_same_seed_gives_the_same_scores():
    targets = np.arange(60, dtype=np.float32)
    first, again, other = (split(distinct(60), targets, 0.3, seed)[1] for seed in (5, 5, 6))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
