import pytest

from kerasbert.checking.labels import count_labels, label_problems, score_ranges
from tests.checking.making import by_name, make_rows, serious


def rows_with(*files, **columns):
    texts = iter(f"text {number}" for number in range(100))
    return make_rows(*([next(texts) for _ in range(count)] for count in files), **columns)


def test_good_labels_are_no_problem():
    task, problems = label_problems(rows_with(4, 2, label=list("abab") + list("ab")), "auto")
    assert (task, by_name(problems)) == ("binary", {})


def test_all_cells_that_cannot_be_learned_are_named():
    cells = ["a", "b", "", "a", "b", "c", "d", "a", "", "c"]
    task, problems = label_problems(rows_with(7, 3, label=cells), "auto")
    assert task == "binary"
    assert by_name(problems) == {
        "missing_label": ([2, 8], None),
        "unusable_label": ([5, 6], ["'c' is there once only", "'d' is there once only"]),
    }
    assert serious(problems) == {"missing_label", "unusable_label"}


def test_a_class_that_training_has_not():
    rows = rows_with(4, 3, label=["a", "b", "a", "b", "a", "x", "x"])
    found = by_name(label_problems(rows, "auto")[1])
    assert found == {"unusable_label": ([5, 6], ["'x' is not in train.csv"] * 2)}


def test_a_class_whose_other_row_has_no_text_is_there_once():
    rows = make_rows(["t", "u", "v", "w", "x", ""], label=list("ababcc"))
    found = by_name(label_problems(rows, "auto")[1])
    assert found == {"unusable_label": ([4], ["'c' is there once only"])}


def test_names_that_differ_only_in_case_or_spaces():
    cells = ["very rude", "Very Rude", "very rude", "veryrude", "ok", "ok", "Very Rude", "veryrude"]
    problems = label_problems(rows_with(8, label=cells), "auto")[1]
    indices, details = by_name(problems)["similar_label_names"]
    assert indices == [1, 3, 6, 7]
    assert details[:2] == ["'Very Rude' beside 'very rude'", "'veryrude' beside 'very rude'"]
    assert serious(problems) == {"similar_label_names"}


def test_names_that_differ_in_what_is_invisible():
    cells = ["rude", "rude\u200b", "civil", "rude", "civil\ufeff", "\uff52ude", "civil"]
    indices, details = by_name(label_problems(rows_with(7, label=cells), "auto")[1])[
        "similar_label_names"
    ]
    assert indices == [1, 4, 5]
    assert details[:2] == ["'rude\\u200b' beside 'rude'", "'civil\\ufeff' beside 'civil'"]


def test_one_and_true_are_the_same():
    found = by_name(
        label_problems(rows_with(5, label=["1", "True", "0", "0", "1"]), "multiclass")[1]
    )
    assert found["similar_label_names"] == ([1], ["'True' beside '1'"])


def test_cells_that_training_refuses_are_unusable_and_all_are_named():
    rows = rows_with(4, rude=["-0", "1", "0", "2"], threat=["1", "0", "-0", "3"])
    assert by_name(label_problems(rows, "auto")[1])["unusable_label"] == (
        [0, 2, 3],
        [
            "'-0': 'rude' is neither 0 nor 1",
            "'-0': 'threat' is neither 0 nor 1",
            "'2': 'rude' is neither 0 nor 1; '3': 'threat' is neither 0 nor 1",
        ],
    )


def test_cells_of_several_columns():
    rows = rows_with(5, rude=["1", "0", "x", "", ""], threat=["0", "true", "1", "", "2"])
    task, problems = label_problems(rows, "auto")
    assert task == "multilabel"
    assert by_name(problems) == {
        "missing_label": ([3], None),
        "unusable_label": (
            [2, 4],
            ["'x': 'rude' is neither 0 nor 1", "'2': 'threat' is neither 0 nor 1"],
        ),
    }
    assert count_labels(rows, task) == {"rude": [1], "threat": [2]}


def test_columns_that_differ_only_in_case():
    rows = rows_with(2, rude=["0", "1"], Rude=["1", "0"])
    (problem,) = (one for one in label_problems(rows, "auto")[1] if one.is_found)
    assert problem.summary == "columns alike: 'rude', 'Rude'"


def test_a_column_of_one_value_is_told():
    rows = rows_with(4, rude=["0", "1", "1", "0"], threat=["0"] * 4)
    problems = label_problems(rows, "auto")[1]
    assert by_name(problems) == {"constant_label": (None, None)}
    assert serious(problems) == set()


def test_scores():
    rows = rows_with(4, 2, label=["1.5", "2.5", "", "3.5", "many", "0.5"])
    task, problems = label_problems(rows, "regression")
    assert task == "regression"
    assert by_name(problems) == {
        "missing_label": ([2], None),
        "unusable_label": ([4], ["'many': is no number"]),
    }
    assert score_ranges(rows, task) == [(1.5, 2.5, 3.5), (0.5, 0.5, 0.5)]
    assert count_labels(rows, task) == {}


def test_scores_that_are_there_once_each_are_recognised():
    rows = rows_with(4, label=["1.5", "2.25", "3.125", "4.5"])
    task, problems = label_problems(rows, "auto")
    assert (task, by_name(problems)) == ("regression", {})


@pytest.mark.parametrize(
    ("cells", "task", "message"),
    [
        (["a", "a", "a"], "auto", "the only class is 'a'"),
        (["", "", ""], "auto", "no row has both a text and a label that can be learned"),
        (["2", "2", "2"], "regression", "all scores in 'label' are the same"),
        (list("aabbcc"), "binary", "needs two different values in column 'label', found 3"),
    ],
)
def test_a_file_that_nothing_can_be_learned_from(cells, task, message):
    problems = label_problems(rows_with(len(cells), label=cells), task)[1]
    (problem,) = (one for one in problems if one.name == "nothing_to_learn")
    assert message in problem.summary
    assert problem.rows is None
    assert "nothing_to_learn" in serious(problems)


def test_counts_are_by_file_and_the_most_frequent_first():
    rows = rows_with(5, 2, label=["b", "a", "a", "", "a", "b", "b"])
    assert count_labels(rows, "binary") == {"a": [3, 0], "b": [1, 2]}
