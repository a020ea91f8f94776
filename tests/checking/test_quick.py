import shlex

import pytest

from kerasbert.checking.quick import check_command, quick_lines
from kerasbert.config import DataConfig
from kerasbert.data.dataset import SAMPLE, read_dataset
from kerasbert.training.fitting import fit_classifier
from tests.conftest import comments, toy_config, write_csv

HEADER = ("text", "label")


def test_nothing_is_odd_about_the_sample():
    assert quick_lines(read_dataset(DataConfig())) == (
        "data: 544 + 136 rows; none repeated",
        f"nothing serious; for more: python -m kerasbert.check {SAMPLE}",
    )


def test_what_is_odd_is_counted(tmp_path):
    again, other = ("You are KIND", "civil"), ("you are kind", "rude")
    rows = [*comments(10), ("you are kind", "civil"), again, other, ("caf\ufffd", "rude")]
    train = write_csv(tmp_path / "train.csv", HEADER, rows)
    validation = write_csv(tmp_path / "val.csv", HEADER, [("hm", "rude"), ("so", "civil")])
    test = write_csv(tmp_path / "test.csv", HEADER, [("hm ", "rude"), again, ("new", "rude")])
    config = DataConfig(train=train, validation=validation, test=test)
    assert quick_lines(read_dataset(config)) == (
        "data: 14 + 2 + 3 rows; repeated: 2; held-out texts of an earlier file: 2; "
        "texts with different labels: 1; texts with broken letters: 1",
        f"serious, so look: python -m kerasbert.check {train} {validation} {test}",
    )


def test_scores_of_one_text_may_differ(tmp_path):
    rows = [("a", "1.5"), ("a", "2.5"), *((f"text {n}", f"{n}.25") for n in range(8))]
    config = DataConfig(train=write_csv(tmp_path / "scores.csv", HEADER, rows))
    assert quick_lines(read_dataset(config))[1].startswith("nothing serious")


def test_the_command_names_the_columns_that_are_not_the_usual_ones():
    config = DataConfig(
        train="my file.csv", pair_column="b", label_columns=("x", "y"), encoding="cp1252"
    )
    assert shlex.split(check_command(config, "my file.csv"))[3:] == [
        "my file.csv", "--pair-column", "b", "--label-columns", "x", "y", "--encoding", "cp1252",
    ]  # fmt: skip


@pytest.mark.parametrize("is_quiet", [False, True])
def test_a_training_says_it_where_it_speaks(is_quiet, toy_base, comments_csv, monkeypatch, capsys):
    from rich.console import Console

    config = toy_config(toy_base(), comments_csv, freeze_base=True, head="linear")
    asked = []
    monkeypatch.setattr(
        "kerasbert.training.preparing.quick_lines",
        lambda dataset: asked.append(dataset) or quick_lines(dataset),
    )
    fit_classifier(config, console=Console(quiet=is_quiet))
    out = capsys.readouterr().out
    assert len(asked) == (not is_quiet)
    said = "data: 32 + 8 rows; none repeated\nnothing serious; for more: python -m kerasbert.check"
    assert (said in out) != is_quiet
