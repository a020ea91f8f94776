"""The door, opened as from a shell."""

import json

import pytest

import kerasbert
from kerasbert import explain
from kerasbert.explaining.explanation import Explanation
from tests.conftest import check_refused, write_csv

pytestmark = pytest.mark.usefixtures("eager_gradients")


@pytest.fixture(scope="module")
def toy_run(make_classifier, tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "toy"
    kerasbert.save(directory, make_classifier().run)
    return directory


def test_on_the_screen(command, toy_run):
    code, out, err = command(explain, toy_run, "--text", "you fool", "a dog", "--steps", 8)
    assert (code, err) == (0, "")
    assert out.count("by integrated gradients") == 2
    assert "\x1b" not in out


def test_to_files(command, toy_run, tmp_path):
    source = write_csv(tmp_path / "in.csv", ("id", "text"), [(1, "you fool"), (2, ""), (3, "dog")])
    args = (toy_run, source, "--method", "leave-out", "--html", tmp_path / "e.html",
            "--json", tmp_path / "e.json")  # fmt: skip
    code, out, err = command(explain, *args)
    assert (code, out) == (0, f"wrote {tmp_path / 'e.html'}\nwrote {tmp_path / 'e.json'}\n")
    assert "dropped 1 of 3 rows" in err
    values = json.loads((tmp_path / "e.json").read_text("utf-8"))
    found = [Explanation.from_dict(each) for each in values["explanations"]]
    expected = kerasbert.load(toy_run, "float32").explain(["you fool", "dog"], method="leave-out")
    assert [each.words for each in found] == [each.words for each in expected]
    assert [each["row"] for each in values["explanations"]] == [2, 4]
    assert "<h2>row 4: rude 0." in (tmp_path / "e.html").read_text("utf-8")
    assert "you fool" not in (tmp_path / "e.html").read_text("utf-8")  # each word by itself
    check_refused(command(explain, *args), "e.html exists already. Name another, or pass")
    assert command(explain, *args, "--overwrite")[0] == 0


def test_many_texts_on_the_screen_and_in_a_file(command, toy_run, tmp_path):
    texts = [("dog",), *[(f"you {number}",) for number in range(21)], ("a man",)]
    source = write_csv(tmp_path / "in.csv", ("text",), texts)
    code, out, err = command(explain, toy_run, source, "--method", "leave-out")
    assert (code, out.count("by leaving words out")) == (0, 20)
    assert "row 2: rude 0." in out
    assert err == (
        "warning: explained the first 20 of 23 texts. --html FILE or --json FILE has all.\n"
    )
    args = (toy_run, source, "--method", "leave-out", "--json", tmp_path / "e.json")
    assert command(explain, *args)[2] == ""
    values = json.loads((tmp_path / "e.json").read_text("utf-8"))["explanations"]
    assert [(each["row"], each["text"]) for each in values] == [
        (row, text) for row, (text,) in enumerate(texts, start=2)
    ]
    code, out, err = command(explain, toy_run, source, "--swap-terms")
    assert (code, out.count("row "), out.count("row 24: rude")) == (0, 1, 1)
    assert "showed 1 of 1 texts with a listed term, out of 23." in err
    command(explain, toy_run, source, "--swap-terms", "--json", tmp_path / "s.json")
    values = json.loads((tmp_path / "s.json").read_text("utf-8"))["texts"]
    assert [each["row"] for each in values] == list(range(2, 25))


def test_another_encoding(command, toy_run, tmp_path):
    source = tmp_path / "in.csv"
    source.write_bytes("text\nein böser Hund\n".encode("cp1252"))
    args = (toy_run, source, "--method", "leave-out")
    check_refused(command(explain, *args), "encoding")
    code, out, _ = command(explain, *args, "--encoding", "cp1252")
    assert code == 0
    assert "ein böser Hund" in out


def test_exchanged_terms(command, toy_run, tmp_path):
    args = (toy_run, "--text", "A man and a dog.", "Nothing.", "--swap-terms")
    code, out, _ = command(explain, *args)
    assert code == 0
    assert "woman" in out
    assert "No listed term is in it." in out
    (tmp_path / "pets.csv").write_text("dog,cat\n")
    command(explain, *args, tmp_path / "pets.csv", "--json", tmp_path / "s.json")
    values = json.loads((tmp_path / "s.json").read_text("utf-8"))
    (swap,) = values["texts"][0]["swaps"]
    assert (swap["term"], swap["other"], swap["text"]) == ("dog", "cat", "A man and a cat.")
    assert [row["term"] for row in values["terms"]] == ["cat"]
    assert command(explain, *args, "--html", tmp_path / "s.html")[0] == 0


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "Expected either an input file or --text."),
        (["--text", "a", "--label", "Civl"], "Received: label='Civl'. Did you mean 'civil'?"),
        (["--text", "a", "--method", "leave"], "Did you mean 'leave-out'?"),
        (["--text", "a", "--steps", "0"], "`steps` must be at least 1 and at most 1,000."),
        (["--text", "a", "--steps", "1001"], "Received: steps=1001."),
        (["--text", "a", "--pair", "b"], "was trained on single texts"),
        (["--text", "a", "--pair", "b", "c"], "Expected as many texts after --pair as after"),
        (["--text", "a", "--html", "x.txt"], "must end in .html"),
        (["--text", "a", "--json", "{tmp}/no/x.json"], "There is no directory"),
        (["--text", "a", "--swap-terms", "{tmp}/none"], "There is no file of terms"),
        (["--text", "a", "--swap-terms", "{tmp}/bad.csv"], "bad.csv, line 2: expected at least"),
        (["--text", "a", "--swap-terms", "a", "b"], "`--swap-terms` takes one file."),
        (["--text", "a", "--swap-terms", "--steps", "9"], "it takes neither --method nor --steps"),
        (["--text", "a", "--method", "leave-out", "--swap-terms"], "it takes neither --method"),
        (["{tmp}/other.csv"], "has no column 'text'"),
    ],
)
def test_bad_calls(args, message, command, toy_run, tmp_path):
    (tmp_path / "bad.csv").write_text("a,b\nc\n")
    (tmp_path / "other.csv").write_text("texts\nc\n")
    check_refused(command(explain, toy_run, *(arg.format(tmp=tmp_path) for arg in args)), message)
