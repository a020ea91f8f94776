import numpy as np
import pytest

from kerasbert.config import DataConfig
from kerasbert.data.dataset import read_dataset
from kerasbert.data.folds import hold_out_each_once, read_folds
from kerasbert.data.labels import Labels
from kerasbert.errors import InputError, InputWarning
from kerasbert.tasks import UNKNOWN
from tests.conftest import write_csv
from tests.data.making import make_examples

SEEDS = range(5)
HEADER = ("text", "label")


def distinct(count):
    return make_examples([f"text {number}" for number in range(count)])


def counts_per_fold(values, parts):
    """How often each value is held out, by fold; shape (folds, values)."""
    return np.array(
        [[np.sum(values[part] == value) for value in np.unique(values)] for part in parts]
    )


def assert_each_once(parts, count):
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(count))
    assert all((np.diff(part) > 0).all() for part in parts)


@pytest.mark.parametrize("seed", SEEDS)
def test_each_class_is_shared_out_to_within_a_row(seed):
    targets = np.random.default_rng(3).permutation(np.repeat([0, 1, 2], [43, 25, 7]))
    parts = hold_out_each_once(distinct(75), targets.astype(np.int32), 5, seed)
    assert_each_once(parts, 75)
    counts = counts_per_fold(targets, parts)
    assert (np.ptp(counts, axis=0) <= 1).all()
    assert counts.sum(axis=0).tolist() == [43, 25, 7]
    assert counts[:, 1].tolist() == [5] * 5


@pytest.mark.parametrize("seed", SEEDS)
def test_the_same_text_is_never_in_two_folds(seed):
    random = np.random.default_rng(seed)
    keys = random.integers(60, size=200)
    forms = ("some text {}", "Some  TEXT {}", " some\ttext\n{} ")
    texts = [forms[number % 3].format(key) for number, key in enumerate(keys)]
    # The labels of one text differ.
    targets = random.integers(3, size=200).astype(np.int32)
    parts = hold_out_each_once(make_examples(texts), targets, 4, seed)
    assert_each_once(parts, 200)
    assert sum(len(set(keys[part])) for part in parts) == len(set(keys))
    # Groups of one to eight rows still leave the shares near a quarter.
    assert np.ptp(counts_per_fold(targets, parts), axis=0).max() <= 4


def test_a_pair_is_the_same_where_both_of_its_texts_are():
    keys = [(number % 4, number % 5) for number in range(60)]
    examples = make_examples([f"a {a}" for a, _ in keys], [f"B {b}" for _, b in keys])
    parts = hold_out_each_once(examples, np.zeros(60, np.int32), 5, 0)
    # Twenty different pairs of three rows each.
    assert [len({keys[index] for index in part}) for part in parts] == [4] * 5
    assert [len(part) for part in parts] == [12] * 5


def test_the_same_seed_gives_the_same_folds():
    targets = np.arange(60, dtype=np.int32) % 3
    first, again, other = (hold_out_each_once(distinct(60), targets, 4, seed) for seed in (5, 5, 6))
    assert [part.tolist() for part in first] == [part.tolist() for part in again]
    assert [part.tolist() for part in first] != [part.tolist() for part in other]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_rare_label_is_shared_out(seed):
    targets = np.zeros((100, 2), dtype=np.float32)
    targets[:60, 0] = 1
    targets[20:28, 1] = 1  # all of them have the common label, too
    targets[90:, 1] = UNKNOWN
    parts = hold_out_each_once(distinct(100), targets, 4, seed)
    assert_each_once(parts, 100)
    assert [(targets[part] == 1).sum(axis=0).tolist() for part in parts] == [[15, 2]] * 4


@pytest.mark.parametrize("seed", SEEDS)
def test_scores_are_shared_out_by_stretches(seed):
    # A hundred scores and five folds: of each five that follow one another, one for each.
    scores = np.random.default_rng(1).permutation(100).astype(np.float32)
    parts = hold_out_each_once(distinct(100), scores, 5, seed)
    assert_each_once(parts, 100)
    for part in parts:
        assert sorted(scores[part] // 5) == list(range(20))


def test_few_scores_are_shared_out_as_well():
    parts = hold_out_each_once(distinct(7), np.arange(7, dtype=np.float32), 3, 0)
    assert_each_once(parts, 7)
    assert sorted(map(len, parts)) == [2, 2, 3]


def comments_file(path, *counts, labels=("civil", "rude", "odd")):
    rows = [
        (f"{label} {number}", label)
        for label, count in zip(labels, counts, strict=False)
        for number in range(count)
    ]
    return write_csv(path / "train.csv", HEADER, rows)


def message_of(config, num_folds):
    with pytest.raises(InputError) as caught:
        read_folds(config, num_folds)
    return str(caught.value)


def test_folds_hold_the_datasets_to_train_with(tmp_path):
    path = comments_file(tmp_path, 12, 8)
    test = write_csv(tmp_path / "test.csv", HEADER, [("hi", "civil"), ("yo", "rude")])
    config = DataConfig(train=path, test=test)
    folds = read_folds(config, 4, 1)
    assert len(folds) == 4
    for fold in folds:
        assert fold.dataset.config == config
        assert fold.dataset.labels == Labels("binary", ("label",), ("civil", "rude"), (0.5, 0.5))
        assert fold.dataset.test.texts == ["hi", "yo"]
        assert sorted(fold.dataset.validation.labels["label"]) == ["civil"] * 3 + ["rude"] * 2
        # The file's rows are 2 to 21.
        assert [row - 2 for row in fold.dataset.validation.rows] == fold.held_out.tolist()
        rows = [*fold.dataset.train.rows, *fold.dataset.validation.rows]
        assert sorted(rows) == list(range(2, 22))
        assert list(fold.dataset.train.rows) == sorted(fold.dataset.train.rows)
    assert_each_once([fold.held_out for fold in folds], 20)


def test_without_a_file_it_is_the_sample():
    folds = read_folds(DataConfig(limit=60), 3)
    assert [len(fold.held_out) for fold in folds] == [20] * 3
    assert folds[0].dataset.test is None


def test_limit_draws_the_rows_that_one_training_has(tmp_path):
    config = DataConfig(train=comments_file(tmp_path, 60, 40), limit=30)
    folds = read_folds(config, 3, seed=4)
    dataset = read_dataset(config, seed=4)
    drawn = sorted([*dataset.train.rows, *dataset.validation.rows])
    found = np.empty(30, int)
    for fold in folds:
        found[fold.held_out] = fold.dataset.validation.rows
    assert found.tolist() == drawn


def test_pairs_and_several_label_columns_are_read(tmp_path):
    rows = [(f"a {n}", f"b {n}", n % 2, n % 3 == 0) for n in range(24)]
    path = write_csv(tmp_path / "train.csv", ("text", "reply", "x", "y"), rows)
    folds = read_folds(DataConfig(train=path, pair_column="reply", label_columns=("x", "y")), 4)
    for fold in folds:
        assert fold.dataset.labels.task == "multilabel"
        assert fold.dataset.validation.pairs == [f"b {index}" for index in fold.held_out]
        targets = fold.dataset.labels.encode(fold.dataset.validation)
        assert targets.sum(axis=0).tolist() == [3, 2]


def test_a_class_of_fewer_rows_than_folds_is_named(tmp_path):
    path = comments_file(tmp_path, 20, 20, 4)
    assert message_of(DataConfig(train=path), 5) == (
        f"{path}, column 'label': 4 of the 44 rows have the class 'odd', fewer than the 5 folds. "
        "Expected at least 5; lower --folds, raise --limit, or add, merge or remove rows of that "
        "class."
    )
    assert len(read_folds(DataConfig(train=path), 4)) == 4


def test_a_class_that_the_limit_leaves_out_is_named(tmp_path):
    path = comments_file(tmp_path, 200, 200, 2)
    message = message_of(DataConfig(train=path, limit=10), 2)
    assert "0 of the 10 rows have the class 'odd'" in message


def test_too_few_different_texts_are_refused(tmp_path):
    rows = [(form, label) for form in ("Same", "other") for label in ("civil", "rude") * 3]
    path = write_csv(tmp_path / "train.csv", HEADER, rows)
    assert message_of(DataConfig(train=path), 3) == (
        f"{path}: 12 rows of 2 different texts are too few, or too alike, for 3 folds. The same "
        "text is never on both sides. Add rows, raise --limit, or lower --folds."
    )
    assert len(read_folds(DataConfig(train=path), 2)) == 2


def test_a_class_of_one_text_is_refused(tmp_path):
    rows = [(f"text {n}", ("civil", "rude")[n % 2]) for n in range(20)]
    path = write_csv(tmp_path / "train.csv", HEADER, [*rows, *[("Hm", "odd"), ("hm ", "odd")] * 2])
    message = message_of(DataConfig(train=path), 3)
    assert message.startswith(f"{path}: all rows of 'odd' are held out in fold ")
    assert message.endswith("add other texts of that class, merge or remove it.")


def test_a_label_of_one_text_is_told(tmp_path):
    rows = [(f"text {n}", n % 2, 0) for n in range(20)] + [("Hm", 1, 1)] * 3
    path = write_csv(tmp_path / "train.csv", ("text", "x", "y"), rows)
    with pytest.warns(InputWarning, match="all rows of 'y' are held out in fold"):
        read_folds(DataConfig(train=path, label_columns=("x", "y")), 3)


def test_a_label_that_not_every_fold_can_hold_out_is_told(tmp_path):
    rows = [(f"text {n}", n % 2, n < 3) for n in range(20)]
    path = write_csv(tmp_path / "train.csv", ("text", "x", "y"), rows)
    with pytest.warns(InputWarning, match="fewer than 5 rows have 'y', so not every fold") as told:
        folds = read_folds(DataConfig(train=path, label_columns=("x", "y")), 5)
    assert len(told) == 1
    held_out = [fold.dataset.validation.labels["y"].count("True") for fold in folds]
    assert sorted(held_out) == [0, 0, 1, 1, 1]


@pytest.mark.filterwarnings("ignore::kerasbert.errors.InputWarning")
def test_labels_that_all_have_fewer_rows_than_folds_are_refused(tmp_path):
    rows = [(f"text {n}", n // 2 == 0, n // 2 == 1, n // 2 == 2) for n in range(6)]
    path = write_csv(tmp_path / "train.csv", ("text", "x", "y", "z"), rows)
    config = DataConfig(train=path, label_columns=("x", "y", "z"))
    assert "no label is the rarest one of as many as 3 rows" in message_of(config, 3)
    assert len(read_folds(config, 2)) == 2


def test_scores_that_differ_in_one_fold_only_are_refused(tmp_path):
    rows = [(f"text {n}", 0.5 if n == 3 else 1.5) for n in range(9)]
    path = write_csv(tmp_path / "train.csv", HEADER, rows)
    assert message_of(DataConfig(train=path, task="regression"), 3) == (
        f"{path}: all 6 scores that are left to train on are the same. Add rows, raise --limit, or "
        "lower --folds."
    )


@pytest.mark.parametrize(
    ("num_folds", "changes", "message"),
    [
        (1, {}, r"`num_folds` must be 2 or above\. Received: num_folds=1\."),
        (3, {"validation": "v.csv"}, r"`validation` must be left out with folds"),
    ],
)
def test_what_makes_no_folds_is_refused(num_folds, changes, message):
    with pytest.raises(InputError, match=message):
        read_folds(DataConfig(**changes), num_folds)
