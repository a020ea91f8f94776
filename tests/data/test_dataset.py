import collections
import csv

import pytest

from kerasbert.config import DataConfig
from kerasbert.data.dataset import SAMPLE, read_dataset
from kerasbert.data.labels import Labels
from kerasbert.errors import InputError, InputWarning
from tests.conftest import write_csv

HEADER = ("text", "label")


def rows_named(name, count):
    return [(f"{name} {number}", ("civil", "rude")[number % 2]) for number in range(count)]


@pytest.fixture
def files(tmp_path):
    return {
        name: write_csv(tmp_path / f"{name}.csv", HEADER, rows_named(name, count))
        for name, count in (("train", 40), ("validation", 12), ("test", 6))
    }


def message_of(config):
    with pytest.raises(InputError) as caught:
        read_dataset(config)
    return str(caught.value)


def test_the_sample_is_balanced_and_has_no_duplicates():
    with open(SAMPLE, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    counts = collections.Counter(row["label"] for row in rows)
    assert len(rows) >= 600
    assert set(counts) == {"civil", "rude"}
    assert 0.45 < counts["rude"] / len(rows) < 0.55
    assert len({" ".join(row["text"].casefold().split()) for row in rows}) == len(rows)
    assert all(row["text"].strip() == row["text"] != "" for row in rows)


def test_without_a_file_it_is_the_sample():
    dataset = read_dataset(DataConfig())
    assert dataset.config == DataConfig()
    assert dataset.labels == Labels("binary", ("label",), ("civil", "rude"), (0.5, 0.5))
    assert dataset.train.source == dataset.validation.source == str(SAMPLE)
    assert dataset.test is None
    total = len(dataset.train) + len(dataset.validation)
    assert len(dataset.validation) == pytest.approx(total / 5, abs=1)


def test_a_part_of_the_training_file_is_held_out(files):
    dataset = read_dataset(DataConfig(train=files["train"], validation_fraction=0.25))
    assert dataset.test is None
    assert (len(dataset.train), len(dataset.validation)) == (30, 10)
    assert collections.Counter(dataset.validation.labels["label"]) == {"civil": 5, "rude": 5}
    assert sorted([*dataset.train.rows, *dataset.validation.rows]) == list(range(2, 42))


def test_the_same_seed_gives_the_same_dataset(files):
    config = DataConfig(train=files["train"], limit=25)
    first, again, other = (read_dataset(config, seed) for seed in (1, 1, 2))
    assert first == again
    assert first.validation.rows.tolist() != other.validation.rows.tolist()


def test_limit_draws_rows_over_the_whole_file(files):
    dataset = read_dataset(DataConfig(train=files["train"], limit=20))
    rows = [*dataset.train.rows, *dataset.validation.rows]
    assert len(set(rows)) == len(rows) == 20
    assert max(rows) > 30
    assert dataset.train.rows.tolist() == sorted(dataset.train.rows)


@pytest.fixture
def rare(tmp_path):
    """A file of 40 rows and three labels, of which one is there twice only."""
    rows = [*rows_named("text", 38), ("odd one", "odd"), ("odd two", "odd")]
    return write_csv(tmp_path / "rare.csv", HEADER, rows)


@pytest.mark.filterwarnings("ignore::kerasbert.errors.InputWarning")
def test_the_labels_are_those_of_the_whole_file_whatever_the_limit_draws(rare):
    drawn = set()
    for seed in range(20):
        dataset = read_dataset(DataConfig(train=rare, limit=12), seed)
        assert dataset.labels == Labels("multiclass", ("label",), ("civil", "odd", "rude"))
        cells = dataset.train.labels["label"] + dataset.validation.labels["label"]
        assert len(cells) == 12
        drawn.add(cells.count("odd"))
    # Neither a label that was drawn once nor one that was not drawn is refused.
    assert drawn >= {0, 1}


def test_a_label_that_the_limit_leaves_out_is_told(rare):
    with pytest.warns(InputWarning, match=r"no example of 'odd' is among the \d+ to train on"):
        for seed in range(20):
            read_dataset(DataConfig(train=rare, limit=12), seed)


@pytest.mark.filterwarnings("ignore::kerasbert.errors.InputWarning")
def test_a_label_that_is_drawn_once_is_trained_on(rare):
    for seed in range(20):
        dataset = read_dataset(DataConfig(train=rare, limit=20), seed)
        counts = [part.labels["label"].count("odd") for part in (dataset.train, dataset.validation)]
        assert counts in ([0, 0], [1, 0], [1, 1])


@pytest.mark.parametrize("seed", range(5))
def test_a_label_that_is_in_the_file_once_is_named_whatever_the_limit_draws(seed, tmp_path):
    path = write_csv(tmp_path / "a.csv", HEADER, [*rows_named("text", 38), ("hi", "odd")])
    with pytest.raises(InputError) as caught:
        read_dataset(DataConfig(train=path, limit=10), seed)
    assert str(caught.value) == (
        f"{path}, row 40, column 'label': the label 'odd' is there once only, so it cannot be both "
        "learned and validated. Expected at least two rows; correct, merge or remove it."
    )


def test_a_limit_above_the_number_of_rows_keeps_them_all(files):
    dataset = read_dataset(DataConfig(train=files["train"], limit=999))
    assert len(dataset.train) + len(dataset.validation) == 40


def test_files_to_validate_and_test_on_are_used_whole(files):
    dataset = read_dataset(DataConfig(**files, limit=30))
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [30, 12, 6]
    assert dataset.train.source == files["train"]
    assert dataset.validation.texts == [text for text, _ in rows_named("validation", 12)]
    assert dataset.test.texts == [text for text, _ in rows_named("test", 6)]


@pytest.mark.parametrize("part", ["validation", "test"])
def test_a_label_unseen_in_training_is_named(part, files, tmp_path):
    path = write_csv(tmp_path / "more.csv", HEADER, [("hi", "civil"), ("yo", "ruder")])
    assert message_of(DataConfig(**files | {part: path})) == (
        f"{path}, row 3, column 'label': the label 'ruder' was not there in training. "
        "Did you mean 'rude'? Expected one of 'civil', 'rude'."
    )


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_each_file_must_have_the_columns(part, files, tmp_path):
    path = write_csv(tmp_path / "more.csv", ("txt", "label"), [("hi", "civil")])
    assert message_of(DataConfig(**files | {part: path})) == (
        f"{path} has no column 'text'. Did you mean 'txt'? Its columns: 'txt', 'label'."
    )


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_each_file_must_be_there(part, files):
    with pytest.raises(FileNotFoundError, match=r"^The file 'none\.csv' does not exist\.$"):
        read_dataset(DataConfig(**files | {part: "none.csv"}))


def test_texts_that_are_all_alike_cannot_be_split(tmp_path):
    rows = [("same", "civil"), ("Same", "rude"), ("same ", "civil"), ("SAME", "rude")]
    path = write_csv(tmp_path / "a.csv", HEADER, rows)
    assert message_of(DataConfig(train=path)) == (
        f"{path}: 4 rows are too few, or too alike, to hold out 20% for validation. "
        "Name a file with --validation."
    )


def test_the_options_of_the_config_reach_every_file(tmp_path):
    paths = {}
    for part in ("train", "validation", "test"):
        rows = [f"caf\xe9,a {n},b {n},{n % 2},{1 - n % 2}" for n in range(8)]
        path = tmp_path / f"{part}.csv"
        path.write_text("\n".join(["drink,first,second,x,y", *rows]), encoding="cp1252")
        paths[part] = str(path)
    dataset = read_dataset(
        DataConfig(
            **paths,
            text_column="drink",
            pair_column="second",
            label_columns=("y", "x"),
            encoding="cp1252",
        )
    )
    assert dataset.labels.task == "multilabel"
    for part in (dataset.train, dataset.validation, dataset.test):
        assert part.texts == ["caf\xe9"] * 8
        assert part.pairs == [f"b {number}" for number in range(8)]
        assert part.labels["x"] == ["0", "1"] * 4
        assert list(part.labels) == ["y", "x"]
