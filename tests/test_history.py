import math

import numpy as np
import pytest

from kerasbert.history import COLUMNS, History, read_history, write_history

# Floats that a rounded number would not give back.
STEP = {
    "kind": "step",
    "epoch": 1,
    "step": 1,
    "loss": 0.1 + 0.2,
    "accuracy": 1 / 3,
    "learning_rate": 5e-324,
    "gradient_norm": float(np.float32(0.1)),
    "examples_per_second": 1.7976931348623157e308,
    "memory_mb": 1e16 + 2,
}
EPOCH = {
    "kind": "epoch",
    "epoch": 1,
    "step": 1,
    "loss": 2.0,
    "val_loss": 1e-17,
    "val_pearson": -1.0,
}


def whole(row):
    return dict.fromkeys(COLUMNS) | row


@pytest.fixture
def path(tmp_path):
    return tmp_path / "deep" / "history.csv"


def written(path, rows, **options):
    history = History(path, **options)
    for row in rows:
        history.add(**row)
    history.close()
    return history


def test_there_and_back_with_the_very_numbers(path):
    history = written(path, [STEP, EPOCH])
    assert history.rows == [whole(STEP), whole(EPOCH)]
    found = read_history(path)
    assert found == history.rows
    for row, expected in zip(found, history.rows, strict=True):
        assert {name: type(value) for name, value in row.items()} == {
            name: type(value) for name, value in expected.items()
        }


def test_random_floats_come_back_bit_for_bit(path):
    bits = np.random.default_rng(0).integers(0, 2**64, 300, dtype=np.uint64)
    numbers = [number for number in bits.view(np.float64).tolist() if math.isfinite(number)]
    written(path, [{"kind": "step", "loss": number} for number in numbers])
    assert [row["loss"] for row in read_history(path)] == numbers


def test_what_is_no_number_comes_back(path):
    written(path, [{"kind": "step", "loss": math.nan, "gradient_norm": math.inf}])
    (row,) = read_history(path)
    assert math.isnan(row["loss"])
    assert row["gradient_norm"] == math.inf


def test_an_empty_cell_is_none(path):
    written(path, [EPOCH])
    lines = path.read_text(encoding="utf-8").splitlines()
    assert lines == [",".join(COLUMNS), "epoch,1,1,2.0,,,,,,1e-17,,,,-1.0"]
    (row,) = read_history(path)
    assert row["accuracy"] is None
    assert row["val_macro_f1"] is None


def test_add_gives_back_the_row_with_all_its_columns():
    history = History()
    row = history.add(kind="step", loss=0.5)
    assert tuple(row) == COLUMNS
    assert row == whole({"kind": "step", "loss": 0.5})
    assert history.rows == [row]
    history.close()


def test_each_row_is_in_the_file_as_soon_as_it_is_there(path):
    history = History(path)
    for count in (1, 2):
        history.add(**STEP)
        assert len(read_history(path)) == count
    history.close()
    history.close()  # a second time is no error


@pytest.mark.parametrize("row", [STEP, EPOCH], ids=["step", "epoch"])
def test_a_last_line_that_was_cut_off_is_left_out(path, row):
    written(path, [STEP, row])
    content = path.read_bytes()
    start = content.rstrip(b"\n").rindex(b"\n") + 1
    for end in range(start, len(content)):
        path.write_bytes(content[:end])
        assert read_history(path) == [whole(STEP)], content[start:end]
    path.write_bytes(content[:7])  # of the header
    assert read_history(path) == []


@pytest.mark.parametrize("num_rows", [0, 1, 3])
def test_going_on_keeps_so_many_rows(path, num_rows):
    rows = [STEP | {"step": number} for number in range(1, 6)]
    written(path, rows)
    history = written(path, [EPOCH], num_rows=num_rows)
    expected = [whole(row) for row in (*rows[:num_rows], EPOCH)]
    assert history.rows == expected
    assert read_history(path) == expected


def test_written_at_once_it_is_the_same_file(path, tmp_path):
    history = written(path, [STEP, EPOCH])
    write_history(tmp_path / "again.csv", history.rows)
    assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()


def test_the_rows_that_are_kept_are_never_out_of_the_file(tmp_path, monkeypatch):
    path = tmp_path / "history.csv"
    history = History(path)
    history.add(kind="step", epoch=1, step=1, loss=0.5)
    history.close()
    before = path.read_text()
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(InterruptedError))
    with pytest.raises(InterruptedError):
        History(path, 1)
    assert path.read_text() == before
