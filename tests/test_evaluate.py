"""What `evaluate` says of any file: intervals, parts of the rows, another run, a page."""

import json
import shutil

import pytest

from kerasbert import evaluate, fit
from kerasbert.errors import InputError, InputWarning
from kerasbert.reporting.writing import write_reports
from tests.conftest import comments, write_csv
from tests.reporting.making import binary
from tests.reporting.reading import check_page

DRAWS_PAGES = True


@pytest.fixture(scope="module")
def runs(toy_base, tmp_path_factory):
    """Two runs of the same labels, one that learned and one that hardly did."""
    directory = tmp_path_factory.mktemp("runs")
    train = write_csv(directory / "comments.csv", ("text", "label"), comments())
    for name, epochs in (("good", 8), ("poor", 1)):
        fit.main([
            "--train", train, "--test", train, "--base", str(toy_base()), "--max-length", "32",
            "--epochs", str(epochs), "--learning-rate", "1e-2", "--pooling", "mean", "--head",
            "linear", "--freeze-base", "--output", str(directory / name),
        ])  # fmt: skip
    return directory


@pytest.fixture
def rows(tmp_path):
    sources = [(*row, "web" if number % 3 else "mail") for number, row in enumerate(comments(30))]
    return write_csv(tmp_path / "rows.csv", ("text", "label", "source"), sources)


def evaluated(tmp_path, runs, rows, *args):
    output = tmp_path / "out.json"
    evaluate.main([str(runs / "good"), rows, "--output", str(output), *map(str, args)])
    return json.loads(output.read_text()), check_page((tmp_path / "out.html").read_text())


def test_a_saved_run_has_its_page_and_its_card(runs):
    page = check_page((runs / "good" / "report.html").read_text())
    assert [title for level, title in page.headings if level == 2][:3] == [
        "Test", "Validation", "Learning curves"
    ]  # fmt: skip
    report = json.loads((runs / "good" / "report.json").read_text())
    metadata = json.loads((runs / "good" / "metadata.json").read_text())
    card = (runs / "good" / "MODEL_CARD.md").read_text()
    lower, upper = metadata["intervals"]["test"]["accuracy"]
    assert lower <= report["test"]["accuracy"] <= upper
    assert f"{report['test']['accuracy']:.3f} ({lower:.3f} to {upper:.3f})" in card
    assert metadata["data"]["train"]["sha256"] in card
    assert metadata["data"]["train"]["sha256"] in page.text


def test_intervals_stand_beside_the_report(runs, rows, tmp_path, capsys):
    found, page = evaluated(tmp_path, runs, rows)
    assert set(found) == {"test", "intervals"}
    lower, upper = found["intervals"]["test"]["accuracy"]
    assert lower <= found["test"]["accuracy"] <= upper
    out = capsys.readouterr().out
    assert f"({lower:.3f} to {upper:.3f})" in out
    assert f"wrote {tmp_path / 'out.html'}" in out
    assert max(map(len, out.splitlines())) <= 80 + len(str(tmp_path))
    assert "rows.csv" in page.text


def test_parts_of_the_rows(runs, rows, tmp_path, capsys):
    found, page = evaluated(tmp_path, runs, rows, "--by", "source", "label")
    sources = {part["value"]: part["rows"] for part in found["slices"]["source"]}
    assert sources == {"web": 20, "mail": 10}
    assert set(found["slices"]) == {"source", "label"}
    assert "false positive rate" in page.text
    assert "by source" in capsys.readouterr().out


def test_against_another_run(runs, rows, tmp_path, capsys):
    found, page = evaluated(tmp_path, runs, rows, "--against", runs / "poor")
    numbers = found["comparison"]["numbers"]["accuracy"]
    assert numbers["first"] == found["test"]["accuracy"]
    assert numbers["difference"] == pytest.approx(numbers["second"] - numbers["first"])
    test = found["comparison"]["mcnemar"]
    assert (test["only_second"] - test["only_first"]) / 30 == pytest.approx(numbers["difference"])
    assert "McNemar" in page.text
    assert "McNemar" in capsys.readouterr().out


def test_runs_of_other_labels_are_refused(runs, rows, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(runs / "good", other)
    labels = json.loads((other / "labels.json").read_text())
    (other / "labels.json").write_text(json.dumps(labels | {"names": ["civil", "rood"]}))
    with pytest.raises(InputError, match="cannot be compared: they differ in names"):
        evaluate.main([str(runs / "good"), rows, "--against", str(other)])


def test_a_column_that_is_not_there(runs, rows):
    with pytest.raises(InputError, match=r"has no column 'sorce'\. Did you mean 'source'\?"):
        evaluate.main([str(runs / "good"), rows, "--by", "sorce"])


def test_a_page_that_is_there_is_not_replaced(runs, rows, tmp_path):
    (tmp_path / "out.html").write_text("a page")
    with pytest.raises(InputError, match=r"out\.html exists already"):
        evaluate.main([str(runs / "good"), rows, "--output", str(tmp_path / "out.json")])


def test_a_picture_that_fails_loses_no_run(runs, tmp_path, monkeypatch):
    def fail(*args, **more):
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("kerasbert.reporting.writing.write_page", fail)
    shutil.copytree(runs / "good", tmp_path / "run")
    (tmp_path / "run" / "MODEL_CARD.md").unlink()
    judged = {"test": binary([0, 1], [0.1, 0.9])}
    with pytest.warns(
        InputWarning, match=r"report\.html could not be drawn \(ZeroDivisionError: oh"
    ):
        write_reports(tmp_path / "run", judged)
    assert (tmp_path / "run" / "MODEL_CARD.md").is_file()
