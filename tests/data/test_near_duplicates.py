"""Near-duplicates, compared with what comparing each text with each gives."""

import itertools
import os
import subprocess
import sys

import numpy as np
import pytest

from kerasbert.data import near_duplicates, shingles
from kerasbert.data.near_duplicates import find_near_duplicates
from kerasbert.data.shingles import similarities
from kerasbert.data.splitting import text_groups
from kerasbert.errors import InputError
from tests.data.making import make_examples


def runs_of(text):
    return {text[start : start + 5] for start in range(len(text) - 4)}


def jaccard(one, other):
    one, other = runs_of(one), runs_of(other)
    return len(one & other) / len(one | other)


def random_texts(count, seed=0, length=60):
    random = np.random.default_rng(seed)
    return ["".join(random.choice(list("abcdefgh"), length)) for _ in range(count)]


def edited(text, place):
    place %= len(text)
    return f"{text[:place]}#{text[place + 1 :]}"


def test_a_worked_example():
    # 20 letters have 16 shingles. Another last letter changes one of them: 15 of 17 in common.
    examples = make_examples(["abcdefghijklmnopqrst", "abcdefghijklmnopqrs!"])
    assert similarities(examples, np.array([[0, 1]])).tolist() == pytest.approx([15 / 17])
    assert find_near_duplicates(examples, similarity=0.88).group_of.tolist() == [0, 0]
    assert find_near_duplicates(examples, similarity=0.89).group_of.tolist() == [0, 1]


@pytest.mark.parametrize("similarity", [0.5, 0.81, 0.9])
def test_the_groups_are_those_of_comparing_each_with_each(similarity):
    originals = random_texts(30)
    # One edit in the middle of 60 letters leaves 51 shingles of 61; one at the end 55 of 57; and
    # these two are as similar as 50 of 62.
    texts = [*originals, *(edited(t, 30) for t in originals), *(edited(t, -1) for t in originals)]
    pairs = np.array(list(itertools.combinations(range(len(texts)), 2)))
    expected = np.array([jaccard(texts[one], texts[other]) for one, other in pairs])
    examples = make_examples(texts)
    np.testing.assert_allclose(similarities(examples, pairs), expected)
    group_of = np.arange(len(texts))
    for one, other in pairs[expected >= similarity]:
        group_of[group_of == group_of[other]] = group_of[one]
    found = find_near_duplicates(examples, similarity)
    assert found.first[found.group_of].tolist() == group_of.tolist()
    assert len(found.first) == (60 if similarity == 0.9 else 30)


def test_case_and_white_space_make_no_other_text():
    forms = ["Some  text that is long enough", "some text THAT is\tlong enough "]
    found = find_near_duplicates(make_examples([*forms, "something else altogether, really"]))
    assert found.group_of.tolist() == [0, 0, 1]
    assert found.first.tolist() == [0, 2]


def test_pairs_are_alike_themselves_and_not_by_way_of_another():
    (text,) = random_texts(1)
    texts = [edited(text, 20), text, edited(text, 40), text.upper(), "unlike all the others here"]
    found = find_near_duplicates(make_examples(texts))
    assert found.group_of.tolist() == [0, 0, 0, 0, 1]
    order = np.lexsort(found.pairs.T[::-1])
    assert found.pairs[order].tolist() == [[0, 1], [1, 2]]
    assert found.similarity_of.tolist() == pytest.approx([51 / 61] * 2)


def test_of_many_that_are_like_the_first_each_is_paired_with_it():
    (text,) = random_texts(1, length=200)
    texts = [text, *(edited(text, place) for place in range(200))]
    found = find_near_duplicates(make_examples(texts))
    assert set(found.pairs[found.pairs[:, 0] == 0, 1]) == set(range(1, 201))


def test_texts_that_share_a_form_are_compared_where_their_minima_agree(compared):
    (form,) = random_texts(1, seed=1, length=100)
    letters = [form + own for own in random_texts(150, seed=2)]
    copies = [edited(letter, 120) for letter in letters]
    found = find_near_duplicates(make_examples([*letters, *copies]))
    assert found.group_of.tolist() == [*range(150), *range(150)]
    # Of 44,850 pairs, thousands of which share a band's key.
    assert sum(compared) <= 3 * 150


def test_what_is_alike_by_way_of_another_is_in_its_group():
    # 56 shingles: one edit leaves 51 of 61 in common, two edits 46 of 66.
    (text,) = random_texts(1)
    one, other = edited(text, 20), edited(text, 40)
    assert len(find_near_duplicates(make_examples([one, other])).first) == 2
    found = find_near_duplicates(make_examples(["unlike all the others here", one, text, other]))
    assert found.group_of.tolist() == [0, 1, 1, 1]
    assert found.first.tolist() == [0, 1]


def test_a_short_text_is_like_its_equals_alone():
    texts = ["i really love him!", "i really love him.", "I really love him!", "no", "nO", "", " "]
    assert find_near_duplicates(make_examples(texts)).group_of.tolist() == [0, 1, 0, 2, 2, 3, 3]


def test_a_pair_is_alike_where_both_of_its_texts_are():
    long = "two young girls have fun on a large trampoline in the garden"
    texts = [long, f"{long}.", long, long]
    pairs = ["they play outside now", "they play outside now", "nobody plays anything", "no"]
    found = find_near_duplicates(make_examples(texts, pairs))
    assert found.group_of.tolist() == [0, 0, 1, 2]


def test_texts_are_not_taken_for_the_other_half_of_a_pair():
    one, other = random_texts(2)
    examples = make_examples([one, other], [other, one])
    assert find_near_duplicates(examples).group_of.tolist() == [0, 1]


def test_without_near_duplicates_the_groups_are_those_of_equal_texts():
    texts = [*random_texts(30), *random_texts(10), *random_texts(5)]
    group_of, first = text_groups(make_examples(texts))
    found = find_near_duplicates(make_examples(texts))
    assert found.group_of.tolist() == group_of.tolist()
    assert found.first.tolist() == first.tolist()


@pytest.fixture
def compared(monkeypatch):
    """How many pairs were compared, call by call."""
    counts, real = [], near_duplicates.similarities

    def counting(examples, pairs):
        counts.append(len(pairs))
        return real(examples, pairs)

    monkeypatch.setattr(near_duplicates, "similarities", counting)
    return counts


def test_many_copies_of_one_text_are_compared_once(compared):
    text = "this very text stands in the file again and again"
    found = find_near_duplicates(make_examples([text] * 500 + [edited(text, 3)] * 500))
    assert len(found.first) == 1
    assert sum(compared) == 1


def test_many_that_are_alike_make_few_candidates(compared):
    (text,) = random_texts(1, length=200)
    found = find_near_duplicates(make_examples([edited(text, place) for place in range(200)]))
    assert len(found.first) == 1
    # Of 19,900 pairs; until each text is known to be like a few.
    assert sum(compared) <= 6 * 200


def test_in_chunks_as_at_once(monkeypatch):
    texts = [*random_texts(20), *(edited(text, -1) for text in random_texts(20))]
    at_once = find_near_duplicates(make_examples(texts))
    monkeypatch.setattr(near_duplicates, "_TEXTS", 3)
    monkeypatch.setattr(shingles, "_PAIRS", 2)
    in_chunks = find_near_duplicates(make_examples(texts))
    assert len(at_once.first) == 20
    assert in_chunks.group_of.tolist() == at_once.group_of.tolist()


def test_letters_outside_the_alphabet_count_one_each():
    text = "пожалуйста, не добавляйте 😀 бессмыслицу"
    found = similarities(make_examples([text, edited(text, -1)]), np.array([[0, 1]]))
    assert found.tolist() == pytest.approx([jaccard(text, edited(text, -1))])


def test_no_examples():
    found = find_near_duplicates(make_examples([]))
    assert (len(found.group_of), len(found.first)) == (0, 0)


@pytest.mark.parametrize("similarity", [0, -1, 1.5])
def test_a_similarity_out_of_range(similarity):
    with pytest.raises(InputError, match="`similarity` must be above 0 and at most 1"):
        find_near_duplicates(make_examples(["a"]), similarity)


def test_the_answer_does_not_hang_on_the_hash_seed():
    texts = [*random_texts(30), *(edited(text, 30) for text in random_texts(30))]
    code = f"""
from kerasbert.data.examples import Examples
from kerasbert.data.near_duplicates import _signatures
print(_signatures(Examples({texts}, None, {{}}, [], ""), range(60), 0.8)[0].tolist())
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    here, _ = near_duplicates._signatures(make_examples(texts), np.arange(60), 0.8)
    assert done.stdout == f"{here.tolist()}\n"
    # Of 16 keys a text and its like share a few, and no two share all.
    assert 0 < (here[:30] == here[30:]).sum() < 30 * 16
