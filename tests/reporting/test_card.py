import json

import pytest

from kerasbert.config_json import to_json
from kerasbert.reporting.card import render_card, write_card
from kerasbert.reporting.intervals import find_intervals
from kerasbert.run_directory import json_text
from tests.reporting.making import random_rows
from tests.reporting.test_page import HOSTILE, metadata

DATA = {
    "train": {"source": "data/a|b.csv", "sha256": "ab" * 32, "rows": 30, "labels": {"x": 10}},
    "test": {"source": "t.csv", "sha256": None, "rows": 3, "labels": {"lowest": 1.5}},
}


def card_of(judged, **more):
    known = {
        "sha256": {"model.weights.h5": "cd" * 32, "tokenizer/vocab.txt": "ef" * 32},
        "report": {"test": judged.report},
        "intervals": {"test": find_intervals(judged)},
        "data": DATA,
    }
    return render_card(judged.labels, metadata(judged.labels.task, **(known | more)))


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel", "regression"])
def test_what_is_known_is_filled_in(task):
    judged = random_rows(task, 50, 2 if task == "binary" else 3)
    card = card_of(judged)
    assert "ab" * 32 in card
    assert "cd" * 32 in card
    assert "ef" * 32 not in card
    assert "| x: 10 |" in card
    assert "python -m kerasbert.fit" in card
    number = "pearson" if task == "regression" else "accuracy"
    lower, upper = find_intervals(judged)[number]
    assert f"{judged.report[number]:.3f} ({lower:.3f} to {upper:.3f})" in card
    assert card.count("TODO (a person): ") >= 8
    assert "\n\n\n" not in card


def test_names_are_words_and_nothing_else():
    card = card_of(random_rows("multilabel", 50, 4, names=HOSTILE))
    rows = [line for line in card.splitlines() if line.startswith("|")]
    assert "\\</script\\>\\<b\\>" in card
    assert "</script>" not in card
    assert all(row.endswith("|") for row in rows)
    # Unescaped bars are those between cells, as many in each row of a table.
    header = next(line for line in rows if line.startswith("| label"))
    names = [row for row in rows if "script" in row]
    assert names
    assert all(row.replace("\\|", "").count("|") == header.count("|") for row in names)


def test_without_intervals_or_reports():
    judged = random_rows("binary", 50, 2)
    assert f"| accuracy | {judged.report['accuracy']:.3f} |" in card_of(judged, intervals={})
    assert "No rows were held out." in card_of(judged, report={}, intervals={})


def test_it_is_written_again_from_the_files(tmp_path):
    judged = random_rows("binary", 50, 2)
    values = metadata(sha256={}, report={"test": judged.report})
    (tmp_path / "metadata.json").write_text(json_text(values))
    labels = json.loads(to_json(judged.labels)) | {"thresholds": [0.5, 0.25]}
    (tmp_path / "labels.json").write_text(json_text(labels))
    (tmp_path / "MODEL_CARD.md").write_text("an old one")
    write_card(tmp_path)
    assert "from a probability of 0.25" in (tmp_path / "MODEL_CARD.md").read_text()
