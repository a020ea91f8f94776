import numpy as np
import pytest

from kerasbert.checking.finding import Lengths
from kerasbert.checking.lengths import describe_lengths, token_lengths, truncation_problem
from kerasbert.checking.showing import cut_line
from tests.checking.making import make_rows


def test_tokens_are_counted_whole_with_the_special_ones(toy_base):
    texts = ["you are kind", "", " ".join(["very"] * 600)]
    assert token_lengths(make_rows(texts), str(toy_base())).tolist() == [5, 2, 602]
    rows = make_rows(texts, pairs=["you fool !", "", "nice"])
    assert token_lengths(rows, str(toy_base())).tolist() == [9, 3, 604]


def test_percentiles_and_what_is_cut_off():
    rows = make_rows(["t"] * 10 + [""], ["t", ""], ["", ""])
    # Of ten texts two are longer than 8, and lose 2 + 12 of 10 + 20 tokens.
    lengths = np.array([*range(1, 9), 10, 20, 2, 9, 2, 2, 2])
    train, test, more = describe_lengths(rows, lengths, 8)
    assert train == Lengths(
        mean=6.6,
        percentiles={50: 6, 90: 20, 95: 20, 99: 20, 100: 20},
        share_cut=0.2,
        share_lost=pytest.approx(14 / 30),
    )
    assert (test.share_cut, test.share_lost) == (1.0, pytest.approx(1 / 9))
    assert more is None
    assert cut_line(train, 8) == "at --max-length 8, 20.0 % of the texts lose 47 % of their tokens"
    assert cut_line(describe_lengths(rows, lengths, 20)[0], 20) == (
        "at --max-length 20, no text is cut"
    )


@pytest.mark.parametrize(("max_length", "is_serious"), [(2, True), (3, False)])
def test_cutting_most_texts_of_a_file_is_serious(max_length, is_serious):
    rows = make_rows(["t", "u"], ["v", "w", ""])
    # In the second file two of two texts are longer than 2, and one of two is longer than 3.
    problem = truncation_problem(rows, np.array([2, 2, 3, 4, 2]), max_length)
    assert problem.is_serious == is_serious
    assert problem.rows.tolist() == ([2, 3] if max_length == 2 else [3])
    assert problem.details[-1] == "4 tokens"
