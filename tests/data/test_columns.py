import dataclasses

import numpy as np
import pytest

from kerasbert.data.columns import Spool, Texts, TextsBuilder
from tests.data.making import make_examples

WORDS = ["dog", "", "grüße", "猫 sings", "👍🏽", "cat"]


def spooled(chunks, dtype="int32", in_memory=None):
    spool = Spool(dtype, in_memory)
    for chunk in chunks:
        spool.append(np.array(chunk))
    return spool.finish()


@pytest.fixture(params=[None, 4], ids=["in memory", "on disk"])
def texts_of(request, monkeypatch):
    """`Texts.of`, with columns that stay in memory, or move to disk at their second number."""
    if request.param is not None:
        monkeypatch.setattr("kerasbert.data.columns.IN_MEMORY", request.param)
    return Texts.of


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "float32"])
def test_the_same_array_in_memory_and_on_disk(dtype):
    chunks = [[1, 2, 3], [], [-4], [5, 6]]
    in_memory = spooled(chunks, dtype)
    on_disk = spooled(chunks, dtype, in_memory=0)
    assert isinstance(on_disk, np.memmap) and not isinstance(in_memory, np.memmap)
    assert in_memory.dtype == on_disk.dtype == dtype
    assert in_memory.tolist() == on_disk.tolist() == [1, 2, 3, -4, 5, 6]


def test_moves_to_disk_beyond_its_limit_and_not_at_it():
    assert not isinstance(spooled([[1, 2], [3]], in_memory=12), np.memmap)
    beyond = spooled([[1, 2], [3], [4], [5]], in_memory=12)
    assert isinstance(beyond, np.memmap)
    assert beyond.tolist() == [1, 2, 3, 4, 5]


def test_the_limit_is_looked_up_when_a_column_begins(monkeypatch):
    monkeypatch.setattr("kerasbert.data.columns.IN_MEMORY", 4)
    assert isinstance(spooled([[1], [2]]), np.memmap)
    assert not isinstance(spooled([[1], [2]], in_memory=8), np.memmap)


@pytest.mark.parametrize("limit", [None, 0])
def test_nothing_appended(limit):
    for array in (spooled([], "int8", limit), spooled([[], []], "int8", limit)):
        assert array.dtype == "int8"
        assert array.shape == (0,)


def test_what_is_on_disk_cannot_be_written():
    with pytest.raises(ValueError, match="read-only"):
        spooled([[1, 2]], in_memory=0)[0] = 7


def test_files_on_disk_have_no_name(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    array = spooled([[1, 2]], in_memory=0)
    assert list(tmp_path.iterdir()) == []
    assert array.tolist() == [1, 2]


def test_come_out_as_they_went_in(texts_of):
    texts = texts_of(WORDS)
    assert len(texts) == 6
    assert [texts[index] for index in range(6)] == WORDS
    assert list(texts) == WORDS
    assert list(reversed(texts)) == WORDS[::-1]


def test_from_an_iterator(texts_of):
    assert list(texts_of(word for word in WORDS)) == WORDS


def test_negative_indices_count_from_the_end(texts_of):
    texts = texts_of(WORDS)
    assert texts[-1] == "cat"
    assert texts[-6] == "dog"


@pytest.mark.parametrize("index", [6, -7])
def test_beyond_the_end(texts_of, index):
    with pytest.raises(IndexError):
        texts_of(WORDS)[index]


@pytest.mark.parametrize(
    "part",
    [slice(1, 3), slice(None), slice(-2, None), slice(None, None, -2), slice(4, 99)],
)
def test_slices_are_lists(texts_of, part):
    assert texts_of(WORDS)[part] == WORDS[part]
    assert isinstance(texts_of(WORDS)[part], list)


def test_take_gives_texts_in_the_order_asked_for(texts_of):
    taken = texts_of(WORDS).take([4, 0, 4])
    assert isinstance(taken, Texts)
    assert list(taken) == ["👍🏽", "dog", "👍🏽"]
    assert list(taken.take(np.array([1]))) == ["dog"]
    assert list(taken.take([])) == []


def test_equal_to_any_sequence_of_the_same_strings(texts_of):
    texts = texts_of(WORDS)
    assert texts == WORDS
    assert list(WORDS).__eq__(texts) is NotImplemented  # so Python asks the other side
    assert texts == tuple(WORDS)
    assert texts == texts_of(WORDS)
    assert texts != WORDS[:-1]
    assert texts != [*WORDS[:-1], "dog"]
    assert texts_of(["dog"]) != "dog"
    assert texts_of("dog") != "dog"
    assert texts != 6


def test_the_same_letters_cut_elsewhere_are_other_texts(texts_of):
    assert texts_of(["ab", "c"]) != ["a", "bc"]


def test_half_a_surrogate_pair_is_carried_along(texts_of):
    words = ["cat \ud83d", "\udc4d", "dog"]
    assert list(texts_of(words)) == words


def test_empty_strings(texts_of):
    assert list(texts_of(["", "", ""])) == ["", "", ""]


def test_white_space_and_zero_bytes_stay():
    words = [" dog", "cat\n", "\t", "a\0b\0"]
    assert list(Texts.of(words)) == words


def test_none_at_all(texts_of):
    texts = texts_of([])
    assert len(texts) == 0
    assert texts == [] and list(texts) == [] and texts[:3] == []
    assert list(texts.take([])) == []


def test_more_than_is_held_back_at_once(texts_of):
    # The builder passes its strings on at each mebibyte.
    words = [str(number) * 20_000 for number in range(100)]
    assert texts_of(words) == words


def test_examples_of_plain_lists(texts_of):
    examples = make_examples(WORDS, pairs=WORDS[::-1], label=list("abcdef"))
    assert isinstance(examples.texts, Texts) and isinstance(examples.pairs, Texts)
    assert examples.texts == WORDS
    assert examples.pairs == WORDS[::-1]
    taken = examples.take([5, 2])
    assert taken.texts == ["cat", "grüße"]
    assert taken.pairs == ["dog", "猫 sings"]
    assert taken.labels == {"label": ["f", "c"]}
    assert list(taken.rows) == [7, 4]
    assert taken.where(1) == "comments.csv, row 4"


def test_large_texts_lie_on_disk(monkeypatch):
    monkeypatch.setattr("kerasbert.data.columns.IN_MEMORY", 15)
    builder = TextsBuilder()
    for word in ("thank", "you"):
        builder.append(word)
    # 16 bytes of ends have moved, 8 bytes of letters have not.
    texts = builder.finish()
    assert isinstance(texts._ends, np.memmap) and not isinstance(texts._data, np.memmap)
    texts = Texts.of(["thank you very much"])
    assert isinstance(texts._data, np.memmap)
    assert list(texts) == ["thank you very much"]


def test_texts_are_not_copied_when_made_of_texts():
    texts = Texts.of(WORDS)
    assert Texts.of(texts) is texts
    examples = make_examples(texts=["dog"])
    assert dataclasses.replace(examples).texts is examples.texts


def test_shown_briefly():
    shown = repr(Texts.of(["thank you"] * 5000))
    assert shown.startswith("Texts of 5,000 strings, ['thank you', ")
    assert len(shown) < 120
