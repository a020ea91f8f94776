from kerasbert.reporting.mistakes import confident_mistakes, least_sure
from tests.reporting.making import binary, multiclass, multilabel, scores


def test_the_surest_mistakes_come_first():
    judged = binary([0, 0, 1, 1, 0], [0.7, 0.99, 0.05, 0.9, 0.1])
    assert [
        (case.where, case.truth, case.answer, case.why) for case in confident_mistakes(judged)
    ] == [
        (3, "civil", "rude", "0.990"),
        (4, "rude", "civil", "0.950"),
        (2, "civil", "rude", "0.700"),
    ]
    assert [case.where for case in confident_mistakes(judged, 1)] == [3]


def test_the_least_sure_lie_next_to_the_threshold():
    judged = binary([0, 0, 1], [0.5, 0.79, 0.9], threshold=0.8)
    assert [case.where for case in least_sure(judged, 2)] == [3, 4]


def test_multiclass_is_least_sure_between_two():
    raw = [[0.5, 0.45, 0.05], [0.34, 0.33, 0.33], [0.9, 0.05, 0.05]]
    cases = least_sure(multiclass([0, 1, 0], raw, ("a", "b", "c")))
    assert [case.where for case in cases] == [3, 2, 4]
    assert cases[1].why == "a 0.500 / b 0.450"


def test_not_to_know_is_no_confident_mistake():
    raw = [[0.4, 0.3, 0.3], [0.9, 0.1, 0]]
    judged = multiclass([1, 1], raw, ("a", "b", "c"), unsure_below=0.5)
    assert [(case.where, case.answer) for case in confident_mistakes(judged)] == [(3, "a")]
    assert "don't know" in [case.answer for case in least_sure(judged)]


def test_multilabel_rows_are_as_wrong_as_their_worst_label():
    truth = [[1, 0], [1, None], [0, 0]]
    judged = multilabel(truth, [[0.9, 0.6], [0.05, 0.99], [0.1, 0.2]], ("x", "y"))
    found = [(case.where, case.truth, case.why) for case in confident_mistakes(judged)]
    assert found == [(3, "x", "x 0.050"), (2, "x", "y 0.600")]


def test_scores_have_errors_and_no_doubt():
    judged = scores([1, 2, 3], [1, 5, 4])
    assert [(case.where, case.why) for case in confident_mistakes(judged, 2)] == [
        (3, "3.000 off"),
        (4, "1.000 off"),
    ]
    assert least_sure(judged) == []


def test_a_long_text_is_shortened():
    judged = binary([0], [0.9], texts=["word " * 1_000_000])
    (case,) = confident_mistakes(judged)
    assert len(case.text) < 700
    assert case.text.endswith("(5,000,000 characters)")
