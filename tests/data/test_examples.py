import json
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kerasbert.data.examples import Examples, cell_text, read_examples, read_texts
from kerasbert.data.tables import open_table
from kerasbert.errors import InputError, InputWarning
from tests.conftest import write_csv


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (math.nan, ""),
        (np.float64("nan"), ""),
        (1, "1"),
        (1.0, "1.0"),
        (True, "True"),
        (1.5, "1.5"),
        (math.inf, "inf"),
        ("1.0", "1.0"),
        ("  hi ", "  hi "),
        (b"caf\xc3\xa9", "caf\xe9"),
        (b"caf\xe9", "caf\ufffd"),
        (b"", ""),
    ],
)
def test_a_cell_as_text(value, text):
    assert cell_text(value) == text


def test_columns_are_found_by_name(tmp_path):
    rows = [("7", "1", "  hi there ", "and hi"), ("8", " 0 ", "yo", "")]
    path = write_csv(tmp_path / "a.csv", ("id", "rude", "comment", "reply"), rows)
    examples = read_examples(
        path, text_column="comment", pair_column="reply", label_columns=("rude", "id")
    )
    assert examples == Examples(
        texts=["  hi there ", "yo"],
        pairs=["and hi", ""],
        labels={"rude": ["1", "0"], "id": ["7", "8"]},
        rows=[2, 3],
        source=path,
    )
    assert list(examples.labels) == ["rude", "id"]
    assert len(examples) == 2


def test_csv_parquet_and_json_lines_of_the_same_content_are_equal(tmp_path):
    texts = ["caf\xe9, caf\xe9", 'she said "no"', "two\nlines", "x"]
    label, stars, rude = [1, 0, 1, None], [0.5, 2.5, None, -1.25], ["yes", "no", None, "yes"]
    columns = {"text": texts, "label": label, "stars": stars, "rude": rude}
    rows = list(zip(*columns.values(), strict=True))
    write_csv(tmp_path / "a.csv", columns, rows)
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    lines = [json.dumps(dict(zip(columns, row, strict=True))) for row in rows]
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")

    read = [
        read_examples(tmp_path / f"a.{ending}", label_columns=("label", "stars", "rude"))
        for ending in ("csv", "parquet", "jsonl")
    ]
    assert read[0].labels == {
        "label": ["1", "0", "1", ""],
        "stars": ["0.5", "2.5", "", "-1.25"],
        "rude": ["yes", "no", "", "yes"],
    }
    assert read[0].labels == read[1].labels == read[2].labels
    assert read[0].texts == read[1].texts == read[2].texts == texts


# What a label may be written as in each format; all that stand in one row are the same label.
ONE = (1, 1.0, "1", "1.0", "1.00", " 1 ")
ZERO = (0, 0.0, "0", "0.0")
OTHERS = ("True", "false", "yes", "1.5", "1.0.0", "v1.0", "10", "01", "-1")


def labels_in(path):
    return read_examples(path).labels["label"]


def test_a_label_is_the_same_however_a_csv_file_writes_it(tmp_path):
    cells = [*ONE, *ZERO, *OTHERS]
    path = write_csv(tmp_path / "a.csv", ("text", "label"), [("hi", cell) for cell in cells])
    assert labels_in(path) == ["1"] * len(ONE) + ["0"] * len(ZERO) + list(OTHERS)


def test_a_label_is_the_same_however_json_lines_write_it(tmp_path):
    cells = [*ONE, *ZERO, *OTHERS]
    path = tmp_path / "a.jsonl"
    lines = [json.dumps({"text": "hi", "label": cell}) for cell in cells]
    path.write_text("\n".join(lines), encoding="utf-8")
    assert labels_in(path) == ["1"] * len(ONE) + ["0"] * len(ZERO) + list(OTHERS)


@pytest.mark.parametrize(
    "cells",
    [
        [1, 0],
        [1.0, 0.0],
        ["1", "0"],
        ["1.0", "0.0"],
        [b"1", b"0"],
        pa.array([1, 0], pa.int8()),
        pa.array([1, 0], pa.float32()),
    ],
    ids=lambda cells: str(pa.array(cells).type) + " " + str(cells[0]),
)
def test_a_label_is_the_same_whatever_the_type_of_a_parquet_column(cells, tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["hi", "yo"], "label": cells}), path)
    assert labels_in(path) == ["1", "0"]


def test_whole_numbers_with_a_fraction_of_zero_are_whole_numbers(tmp_path):
    cells = ["12.0", "-3.0", "+4.0", "0.50", "2.5", ".0", "1e0"]
    path = write_csv(tmp_path / "a.csv", ("text", "label"), [("hi", cell) for cell in cells])
    assert labels_in(path) == ["12", "-3", "+4", "0.50", "2.5", ".0", "1e0"]


def test_bytes_in_parquet_are_texts(tmp_path):
    path = tmp_path / "a.parquet"
    columns = {
        "text": ["caf\xe9".encode(), b"yo"],
        "reply": [b"and tea", None],
        "label": [b"rude", b"civil"],
    }
    pq.write_table(pa.table(columns), path)
    examples = read_examples(path, pair_column="reply")
    assert examples.texts == ["caf\xe9", "yo"]
    assert examples.pairs == ["and tea", ""]
    assert examples.labels == {"label": ["rude", "civil"]}


def test_a_text_that_is_true_or_a_number_is_kept_as_it_was_written(tmp_path):
    path = write_csv(tmp_path / "a.csv", ("text", "label"), [("true", "1"), ("1.0", "0")])
    assert read_examples(path).texts == ["true", "1.0"]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"text_column": "txt"}, "has no column 'txt'. Did you mean 'text'?"),
        ({"text_column": "Text"}, "has no column 'Text'. Did you mean 'text'?"),
        ({"pair_column": "zebra"}, "has no column 'zebra'."),
        ({"label_columns": ("label", "lable2")}, "has no column 'lable2'. Did you mean 'label'?"),
    ],
)
def test_a_missing_column_is_answered_with_the_nearest(options, problem, tmp_path):
    path = write_csv(tmp_path / "a.csv", ("text", "label"), [("hi", "1")])
    with pytest.raises(InputError) as caught:
        read_examples(path, **options)
    assert str(caught.value) == f"{path} {problem} Its columns: 'text', 'label'."


def test_rows_without_a_text_are_dropped_and_counted(tmp_path):
    rows = [("hi", "1"), ("", "0"), (" \t", "0"), ("yo", "0")]
    path = write_csv(tmp_path / "a.csv", ("text", "label"), rows)
    with pytest.warns(InputWarning) as caught:
        examples = read_examples(path)
    assert [str(warning.message) for warning in caught] == [
        f"{path}: dropped 2 of 4 rows, because 'text' is empty there."
    ]
    assert (examples.texts, examples.labels["label"]) == (["hi", "yo"], ["1", "0"])
    assert examples.rows.tolist() == [2, 5]


def test_missing_texts_are_dropped_as_empty_ones_are(tmp_path):
    path = tmp_path / "a.jsonl"
    lines = ['{"text": null, "label": 1}', '{"label": 1}', '{"text": "hi", "label": 0}']
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.warns(InputWarning, match=r": dropped 2 of 3 rows, because 'text' is empty there"):
        examples = read_examples(path)
    assert (examples.texts, examples.rows.tolist()) == (["hi"], [3])


def test_a_text_is_kept_where_its_second_text_is_empty(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "hi", "reply": null, "label": 1}', encoding="utf-8")
    assert read_examples(path, pair_column="reply").pairs == [""]


@pytest.mark.filterwarnings("ignore:.*dropped 2 of 2 rows")
def test_a_file_without_any_text_is_refused(tmp_path):
    path = write_csv(tmp_path / "a.csv", ("text", "label"), [("", "1"), (" ", "0")])
    with pytest.raises(InputError) as caught:
        read_examples(path)
    assert str(caught.value) == (
        f"{path}: every row has an empty 'text'. Name the column of the texts with --text-column."
    )


EXAMPLES = Examples(
    texts=["a", "b", "c"],
    pairs=["x", "y", "z"],
    labels={"label": ["0", "1", "2"], "more": ["5", "6", "7"]},
    rows=[2, 4, 9],
    source="comments.csv",
)


@pytest.mark.parametrize("indices", [[2, 0], np.array([2, 0])])
def test_take_keeps_the_order_asked_for(indices):
    assert EXAMPLES.take(indices) == Examples(
        texts=["c", "a"],
        pairs=["z", "x"],
        labels={"label": ["2", "0"], "more": ["7", "5"]},
        rows=[9, 2],
        source="comments.csv",
    )


def test_take_without_pairs_has_none():
    examples = Examples(["a", "b"], None, {"label": ["0", "1"]}, [2, 3], "comments.csv")
    assert examples.take([1]).pairs is None


def test_where_names_the_file_and_the_row():
    assert EXAMPLES.where(1) == "comments.csv, row 4"
    assert EXAMPLES.take([2]).where(0) == "comments.csv, row 9"


def test_read_texts_keeps_empty_ones(tmp_path):
    path = write_csv(tmp_path / "a.csv", ("id", "text"), [("7", "hi"), ("8", "")])
    assert list(read_texts(open_table(path), "text", None)) == [
        (["7", "hi"], "hi", None),
        (["8", ""], "", None),
    ]
    assert list(read_texts(open_table(path), "text", "id")) == [
        (["7", "hi"], "hi", "7"),
        (["8", ""], "", "8"),
    ]
