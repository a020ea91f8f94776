import warnings

import numpy as np
import pytest

from kerasbert.data.labels import Labels, find_labels
from kerasbert.errors import InputError, InputWarning
from kerasbert.tasks import UNKNOWN
from tests.data.making import make_examples


def message_of(function, *args):
    with pytest.raises(InputError) as caught:
        function(*args)
    return str(caught.value)


@pytest.mark.parametrize(
    ("cells", "task"),
    [
        (["0", "1", "1", "0"], "binary"),
        (["rude", "civil", "rude", "civil"], "binary"),
        (["1", "2", "1", "2"], "binary"),
        (["1", "2", "3"] * 2, "multiclass"),
        (["a", "b", "c"] * 2, "multiclass"),
        (["1.5", "2", "2.25"], "regression"),
        (["0.5", "0.5", "1.5", "1.5"], "regression"),
        (["1.5", "good", "1.5", "good"], "binary"),
        (["-1", "1e1", "2.5"], "regression"),
    ],
)
def test_the_task_is_read_off_one_column(cells, task):
    assert find_labels(make_examples(label=cells)).task == task


def test_several_columns_are_multilabel():
    labels = find_labels(make_examples(rude=["0", "1"], kind=["1", "0"]))
    assert labels == Labels("multilabel", ("rude", "kind"), ("rude", "kind"), (0.5, 0.5))


def test_one_column_of_0_and_1_may_be_multilabel():
    labels = find_labels(make_examples(rude=["0", "1", ""]), "multilabel")
    assert labels == Labels("multilabel", ("rude",), ("rude",), (0.5,))


def test_whole_numbers_may_be_scores():
    labels = find_labels(make_examples(stars=["1", "2", "5"]), "regression")
    assert labels == Labels("regression", ("stars",), ("stars",), None)


def test_classes_are_in_alphabetical_order():
    labels = find_labels(make_examples(label=["rude", "civil", "odd"] * 2))
    assert labels == Labels("multiclass", ("label",), ("civil", "odd", "rude"), None)


def test_numbers_are_sorted_as_numbers_and_before_words():
    cells = ["10", "9", "-1", "word", "another", "2"] * 2
    names = ("-1", "2", "9", "10", "another", "word")
    assert find_labels(make_examples(label=cells)).names == names


def test_the_order_of_the_rows_does_not_change_the_order_of_the_classes():
    cells = ["b", "a", "c", "10", "9"] * 2
    labels = [find_labels(make_examples(label=part)) for part in (cells, cells[::-1])]
    assert labels[0] == labels[1]


def test_binary_labels_have_thresholds():
    labels = find_labels(make_examples(label=["rude", "civil"] * 2))
    assert labels == Labels("binary", ("label",), ("civil", "rude"), (0.5, 0.5))


def test_a_label_that_is_there_once_is_named():
    examples = make_examples(label=["a", "b", "a", "b", "c"])
    assert message_of(find_labels, examples) == (
        "comments.csv, row 6, column 'label': the label 'c' is there once only, so it cannot be "
        "both learned and validated. Expected at least two rows; correct, merge or remove it."
    )


def test_many_labels_that_are_there_once_may_be_scores():
    examples = make_examples(label=[str(number) for number in range(11)])
    hint = " If the column holds scores, pass --task regression."
    assert message_of(find_labels, examples).endswith(hint)


def test_a_single_class_is_refused():
    assert message_of(find_labels, make_examples(label=["a", "a"])) == (
        "comments.csv, column 'label': the only class is 'a'. Expected at least two; "
        "add rows of another, or name the right --label-columns."
    )


@pytest.mark.parametrize("odd", ["1.5", "yes", "0,5"])
def test_an_odd_cell_in_a_0_1_column_is_named(odd):
    examples = make_examples(label=["0", "1"] * 9 + [odd, "1"])
    assert message_of(find_labels, examples) == (
        f"comments.csv, row 20, column 'label': {odd!r} in a 0/1 column. Mend the cell, or name "
        "the task with --task."
    )


@pytest.mark.parametrize("task", ["auto", "binary", "multiclass"])
def test_a_missing_label_is_named(task):
    examples = make_examples(label=["a", "b", "", "a", "b", ""])
    assert message_of(find_labels, examples, task) == (
        "comments.csv, row 4, column 'label': no label. Fill it in or remove the row "
        "(2 of 6 rows have none)."
    )


def test_a_missing_label_in_a_0_1_column_is_named():
    message = message_of(find_labels, make_examples(label=["0", "1"] * 10 + [""]))
    assert message.startswith("comments.csv, row 22, column 'label': no label.")


@pytest.mark.parametrize("cell", ["", "high", "nan", "inf"])
def test_a_score_that_is_no_number_is_named(cell):
    examples = make_examples(stars=["1.5", cell, "2.5"])
    assert message_of(find_labels, examples, "regression") == (
        f"comments.csv, row 3, column 'stars': expected a number. Received: {cell!r}."
    )


def test_scores_that_are_all_the_same_are_refused():
    assert message_of(find_labels, make_examples(stars=["2.5", "2.50"])) == (
        "comments.csv: all scores in 'stars' are the same."
    )


def test_binary_with_three_values_is_refused():
    assert message_of(find_labels, make_examples(label=["a", "b", "c"] * 2), "binary") == (
        "comments.csv: --task binary needs two different values in column 'label', found 3: "
        "'a', 'b', 'c' (the last one first in row 4)."
    )


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_several_columns_need_multilabel(task):
    examples = make_examples(rude=["0", "1"], kind=["1", "0"])
    assert message_of(find_labels, examples, task) == (
        f"--task {task} needs one label column. Received: 'rude', 'kind'. "
        "Several 0/1 columns are --task multilabel."
    )


@pytest.mark.parametrize("cell", ["2", "-1", "-0", "yes", "0.5", "nan"])
def test_a_multilabel_cell_that_is_neither_0_nor_1_is_named(cell):
    examples = make_examples(rude=["0", "1", "1"], kind=["1", "0", cell])
    assert message_of(find_labels, examples) == (
        f"comments.csv, row 4, column 'kind': expected 0, 1 or nothing (unknown). "
        f"Received: {cell!r}."
    )


def test_a_constant_multilabel_column_is_warned_of():
    examples = make_examples(rude=["0", "1", ""], kind=["1", "", "1"], odd=["", "", ""])
    with pytest.warns(InputWarning) as caught:
        labels = find_labels(examples)
    assert [str(warning.message) for warning in caught] == [
        "comments.csv: nothing to learn in 'kind', 'odd': all of its known cells are the same."
    ]
    assert labels.names == ("rude", "kind", "odd")


def test_multilabel_columns_that_vary_are_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        labels = find_labels(make_examples(rude=["0", "1", ""], kind=["", "0", "1"]))
    assert labels.names == ("rude", "kind")


def test_multilabel_columns_that_are_all_constant_are_refused():
    examples = make_examples(rude=["0", "0", ""], kind=["1", "1", "1"])
    assert message_of(find_labels, examples) == (
        "comments.csv: no label column holds both 0 and 1. Expected at least one that does. "
        "Received: 'rude', 'kind'."
    )


def test_classes_are_encoded_by_their_place():
    labels = Labels("multiclass", ("label",), ("a", "b", "c"))
    targets = labels.encode(make_examples(label=["b", "a", "c", "b"]))
    assert targets.tolist() == [1, 0, 2, 1]
    assert targets.dtype == np.int32


def test_multilabel_cells_are_encoded_with_unknown():
    labels = Labels("multilabel", ("rude", "kind"), ("rude", "kind"), (0.5, 0.5))
    targets = labels.encode(make_examples(rude=["0", "1", ""], kind=["1.0", "", "0"]))
    assert targets.tolist() == [[0, 1], [1, UNKNOWN], [UNKNOWN, 0]]
    assert targets.dtype == np.float32


def test_scores_are_encoded_as_they_are():
    labels = Labels("regression", ("stars",), ("stars",))
    targets = labels.encode(make_examples(stars=["1.5", "-2", "1e2"]))
    assert targets.tolist() == [1.5, -2, 100]
    assert targets.dtype == np.float32


def test_a_label_unseen_in_training_is_answered_with_the_nearest():
    labels = Labels("binary", ("label",), ("civil", "rude"), (0.5, 0.5))
    assert message_of(labels.encode, make_examples(label=["rude", "Rude"])) == (
        "comments.csv, row 3, column 'label': the label 'Rude' was not there in training. "
        "Did you mean 'rude'? Expected one of 'civil', 'rude'."
    )


def test_a_label_missing_after_training_is_named():
    labels = Labels("binary", ("label",), ("civil", "rude"), (0.5, 0.5))
    assert message_of(labels.encode, make_examples(label=["rude", ""])) == (
        "comments.csv, row 3, column 'label': no label. Expected one of 'civil', 'rude'."
    )


@pytest.mark.parametrize(
    ("labels", "outputs", "decisions"),
    [
        (
            Labels("binary", ("label",), ("civil", "rude"), (0.5, 0.6)),
            [[0.45, 0.55], [0.3, 0.7]],
            ["civil", "rude"],
        ),
        (
            Labels("multiclass", ("label",), ("a", "b", "c")),
            [[0.1, 0.2, 0.7], [0.4, 0.3, 0.3]],
            ["c", "a"],
        ),
        (
            Labels("multilabel", ("x", "y"), ("x", "y"), (0.5, 0.2)),
            [[0.6, 0.3], [0.1, 0.1], [0.4, 0.2]],
            [["x", "y"], [], ["y"]],
        ),
        (Labels("regression", ("stars",), ("stars",)), [[1.5], [-2.0]], [1.5, -2.0]),
    ],
)
def test_outputs_are_decoded_to_one_decision_each(labels, outputs, decisions):
    decoded = labels.decode(np.array(outputs, dtype=np.float32))
    assert decoded == decisions
    assert [type(decision) for decision in decoded] == [type(decision) for decision in decisions]


def test_what_was_encoded_is_decoded_to_the_same_cells():
    cells = ["10", "9", "word", "9", "10", "word"]
    examples = make_examples(label=cells)
    labels = find_labels(examples)
    assert labels.decode(np.eye(3)[labels.encode(examples)]) == cells


@pytest.mark.parametrize("odd", ["1.5", "x"])
def test_an_odd_cell_in_a_small_column_of_0_and_1_is_named(odd):
    cells = ["0", "1", "0", "1", odd]
    assert message_of(find_labels, make_examples(label=cells)) == (
        f"comments.csv, row 6, column 'label': {odd!r} in a 0/1 column. Mend the cell, or name the "
        "task with --task."
    )


def test_scores_from_0_to_5_are_regression():
    cells = ["0", "1", "2", "2.5", "3", "1.5", "0.5", "5"]
    assert find_labels(make_examples(label=cells)).task == "regression"


def test_true_and_false_keep_their_names_as_classes_and_count_as_0_and_1_as_labels():
    cells = ["True", "False", "True", "False"]
    assert find_labels(make_examples(label=cells)).names == ("False", "True")
    examples = make_examples(toxic=cells, rude=["1", "0", "", "1"])
    labels = find_labels(examples)
    np.testing.assert_array_equal(labels.encode(examples), [[1, 1], [0, 0], [1, -1], [0, 1]])
