"""Rows that repeat others: left out, or kept on one side; by default, neither."""

import warnings

import numpy as np
import pytest

from kerasbert.config import DataConfig
from kerasbert.data.dataset import read_dataset
from kerasbert.data.duplicates import drop_duplicates, first_of_most_frequent, together
from kerasbert.data.folds import read_folds
from kerasbert.data.splitting import text_groups
from kerasbert.errors import InputError, InputWarning
from tests.conftest import write_csv
from tests.data.making import make_examples

HEADER = ("text", "label")
LONG = "somebody wrote number {} of these comments, and signed it with {}"


def dropped(train, *held_out, how):
    """The rows that are left, and what was said."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", InputWarning)
        left = drop_duplicates(train, held_out, DataConfig(drop_duplicates=how))
    return list(left.rows), [str(warning.message) for warning in caught]


def test_the_first_of_each_text_stays():
    train = make_examples(["a", "b", "A ", "c", "b"], label="01011")
    assert dropped(train, how="none") == ([2, 3, 4, 5, 6], [])
    assert dropped(train, how="exact") == (
        [2, 3, 5],
        [
            "comments.csv: --drop-duplicates dropped 2 of 5 rows, 2 that repeat another row. "
            "Where labels differed, the most frequent one stays."
        ],
    )


def test_of_several_labels_the_most_frequent_stays():
    # "a" is 1, 0, 0 and stays as its first 0; "b" is 1 and 0, of which the first one stays.
    train = make_examples(["a", "a", "b", "a", "b"], label="10100")
    assert dropped(train, how="exact")[0] == [3, 4]


def test_all_cells_of_a_row_are_its_label():
    train = make_examples(["a"] * 5, rude="01011", threat="00111")
    assert dropped(train, how="exact")[0] == [5]  # 1 1, which is there twice


def test_what_is_held_out_is_not_trained_on():
    train = make_examples(["a", "b", "c", "a"], label="0101")
    held_out = make_examples(["x", "A"], label="00")
    rows, (message,) = dropped(train, None, held_out, how="exact")
    assert rows == [3, 4]
    assert message.endswith("dropped 2 of 4 rows, 2 whose text is in comments.csv.")


def test_almost_the_same_goes_where_asked_for():
    texts = [LONG.format(number, name) for number in (17, 42) for name in ("Ann", "Ana", "Bob")]
    train = make_examples([*texts, "quite another text, and a long one"], label="0" * 7)
    assert dropped(train, how="exact")[0] == [2, 3, 4, 5, 6, 7, 8]
    # "17 ... Ann" and "42 ... Bob" are like what is between them, and not like each other.
    assert dropped(train, how="near")[0] == [2, 6, 8]
    assert dropped(train, make_examples([texts[0]], label="0"), how="near")[0] == [6, 8]


def test_what_is_alike_by_way_of_another_stays():
    # Each is 0.80 or more like the next one, and the first and the last have nothing in common.
    letters = "".join(np.random.default_rng(0).choice(list("abcdefghij"), 260))
    texts = [letters[start : start + 100] for start in range(0, 161, 10)]
    train = make_examples(texts, label="0" * len(texts))
    rows, (message,) = dropped(train, how="near")
    kept = np.array(rows) - 2
    assert np.diff(kept).tolist() == [2] * 8
    assert f"dropped {len(texts) - len(kept)} of {len(texts)} rows" in message
    # The most frequent label speaks for all, though it comes last.
    labels = "01" + "2" * 15
    assert dropped(make_examples(texts, label=labels), how="near")[0][:2] == [2, 4]
    held_out = make_examples([texts[8]], label="0")
    left = np.array(dropped(train, held_out, how="near")[0]) - 2
    assert not set(left) & {7, 8, 9}
    assert {0, 16} <= set(left)


def test_nothing_left_is_an_error():
    train = make_examples(["a", "b"], label="01")
    with pytest.raises(InputError, match="each of the 2 rows is in the validation or test file"):
        dropped(train, train, how="exact")


def test_who_speaks_for_a_group():
    group_of, label_of = np.array([1, 0, 1, 1, 0]), np.array([5, 5, 7, 7, 2])
    assert first_of_most_frequent(group_of, label_of).tolist() == [1, 2]


@pytest.fixture
def near_csv(tmp_path):
    """30 texts, of which each is there as three near-duplicates."""
    random = np.random.default_rng(0)
    bodies = ["".join(random.choice(list("abcdefghij"), 80)) for _ in range(30)]
    rows = [(body + end, str(i % 2)) for i, body in enumerate(bodies) for end in ("!", "?", ".")]
    return write_csv(tmp_path / "near.csv", HEADER, rows)


def bodies_of(examples):
    return {text[:-1] for text in examples.texts}


@pytest.mark.parametrize("seed", range(3))
def test_near_duplicates_are_on_one_side_where_asked_for(near_csv, seed):
    apart = read_dataset(DataConfig(train=near_csv), seed)
    assert bodies_of(apart.train) & bodies_of(apart.validation)
    config = DataConfig(train=near_csv, group_near_duplicates=True)
    dataset = read_dataset(config, seed)
    assert not bodies_of(dataset.train) & bodies_of(dataset.validation)
    assert (len(dataset.train), len(dataset.validation)) == (72, 18)


def test_near_duplicates_are_held_out_in_one_fold(near_csv):
    folds = read_folds(DataConfig(train=near_csv, group_near_duplicates=True), 3)
    held_out = [bodies_of(fold.dataset.validation) for fold in folds]
    assert sum(map(len, held_out)) == len(set.union(*held_out)) == 30


def test_duplicates_are_dropped_before_the_split(near_csv, tmp_path):
    test = write_csv(tmp_path / "test.csv", HEADER, [("nothing like the others, at all", "0")])
    config = DataConfig(train=near_csv, test=test, drop_duplicates="near")
    with pytest.warns(InputWarning, match="dropped 60 of 90 rows, 60 that repeat another"):
        dataset = read_dataset(config)
    assert (len(dataset.train), len(dataset.validation)) == (24, 6)
    with pytest.warns(InputWarning, match="dropped 60 of 90 rows"):
        folds = read_folds(config, 3)
    assert [len(fold.held_out) for fold in folds] == [10, 10, 10]


def test_by_default_near_duplicates_are_divided_as_they_ever_were(tmp_path):
    """The very rows that were held out before anything looked for near-duplicates."""
    rows = [(LONG.format(number, "Ann"), str(number % 2)) for number in range(40)]
    config = DataConfig(train=write_csv(tmp_path / "like.csv", HEADER, rows))
    held_out = read_dataset(config, seed=7).validation
    assert list(held_out.rows) == [3, 8, 11, 18, 26, 27, 28, 35]
    first, *_ = read_folds(config, 4, seed=7)
    assert first.held_out.tolist() == [6, 11, 12, 13, 14, 17, 19, 32, 33, 36]


def test_by_default_the_same_text_stays_together():
    examples = make_examples(["a", "b", "A", "b "])
    for found, expected in zip(
        together(examples, DataConfig()), text_groups(examples), strict=True
    ):
        assert found.tolist() == expected.tolist()


def test_nothing_left_of_near_duplicates_is_an_error():
    train = make_examples([LONG.format(17, "Ann"), LONG.format(17, "Bob")], label="01")
    held_out = make_examples([LONG.format(17, "Ana")], label="0")
    with pytest.raises(InputError, match="each of the 2 rows is in the validation or test file"):
        dropped(train, held_out, how="near")
