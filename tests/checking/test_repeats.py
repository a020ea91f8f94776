import numpy as np

from kerasbert.checking.repeats import contradicting_groups, first_in_file, repeat_problems
from tests.checking.making import by_name, make_rows, serious


def problems(rows, similarity=0.8, is_regression=False):
    return repeat_problems(rows, similarity, is_regression)


def test_the_same_text_within_and_across_files():
    rows = make_rows(["a", "b", "A ", "a"], ["b", "c", "B", ""], ["c"])
    found = by_name(problems(rows))
    assert found == {
        "duplicate": (
            [2, 3, 6],
            ["as train.csv, row 2", "as train.csv, row 2", "as test.csv, row 2"],
        ),
        "text_of_another_file": (
            [4, 6, 8],
            ["as train.csv, row 3", "as train.csv, row 3", "as test.csv, row 3"],
        ),
    }
    assert serious(problems(rows)) == {"text_of_another_file"}


def test_the_same_text_with_different_labels():
    rows = make_rows(["a", "b", "a", "a"], ["b"], label=["0", "0", "1", "0", "0"])
    found = problems(rows)
    assert by_name(found)["contradicting_labels"] == ([0, 2, 3], ["'0' in 2; '1' in 1"] * 3)
    assert "the same text with different labels (1 such)" in {one.summary for one in found}
    assert serious(found) == {"contradicting_labels", "text_of_another_file"}
    assert serious(problems(rows, is_regression=True)) == {"text_of_another_file"}


def test_an_unknown_cell_contradicts_nothing():
    labels = {"rude": ["1", "", "0"], "threat": ["", "1", "1"]}
    assert contradicting_groups(labels, np.array([0, 0, 1])).tolist() == []
    assert contradicting_groups(labels, np.array([0, 0, 0])).tolist() == [0]


def test_near_duplicates_within_and_across_files():
    # 20 letters are 16 shingles; another last one leaves 15 of 17.
    train = ["abcdefghijklmnopqrst", "abcdefghijklmnopqrs!", "something else altogether"]
    test = ["abcdefghijklmnopqrs?", "Abcdefghijklmnopqrst", "something else altogether!"]
    found = by_name(problems(make_rows(train, test)))
    assert found == {
        "near_duplicate": (
            [1, 4],
            ["0.88 like train.csv, row 2", "0.88 like test.csv, row 2"],
        ),
        # Row 3 of test.csv is a text of train.csv itself.
        "text_of_another_file": ([4], ["as train.csv, row 2"]),
        "near_duplicate_of_another_file": (
            [3, 5],
            ["0.88 like train.csv, row 2", "0.95 like train.csv, row 4"],
        ),
    }
    assert set(by_name(problems(make_rows(train, test), 1.0))) == {"text_of_another_file"}


def test_each_is_named_with_one_that_it_is_like_itself():
    # Of windows of 100 letters, those 10 apart are 0.81 alike, and those 20 apart 0.66.
    letters = "".join(np.random.default_rng(0).choice(list("abcdefghij"), 130))
    one, two, three, four = (letters[start : start + 100] for start in (0, 10, 20, 30))
    found = by_name(problems(make_rows([one, two, three], [four])))
    assert found == {
        "near_duplicate": ([1, 2], ["0.81 like train.csv, row 2", "0.81 like train.csv, row 3"]),
        "near_duplicate_of_another_file": ([3], ["0.81 like train.csv, row 4"]),
    }
    # Both are like what is between them; without it they are like none.
    found = by_name(problems(make_rows([one, three], [two])))
    assert found == {
        "near_duplicate_of_another_file": ([2], ["0.81 like train.csv, row 2"]),
    }


def test_one_in_each_file_is_no_near_duplicate_within_one():
    found = by_name(problems(make_rows(["abcdefghijklmnopqrst"], ["abcdefghijklmnopqrs!"])))
    assert set(found) == {"near_duplicate_of_another_file"}


def test_first_in_file():
    first = first_in_file(np.array([0, 1, 0, 0, 1, 0]), np.array([0, 0, 0, 1, 1, 1]))
    assert first.tolist() == [0, 1, 0, 3, 4, 3]


def test_nothing_to_compare():
    assert by_name(problems(make_rows(["", " "]))) == {}
