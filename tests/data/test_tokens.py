import json

import numpy as np
import pytest
from tokenizers import processors
from transformers import PreTrainedTokenizerFast

from kerasbert.config import TRUNCATIONS
from kerasbert.data.tokens import Tokenizer, proportional_lengths
from kerasbert.errors import InputError
from tests.conftest import WORDS, call_from_threads, make_tokenizer


@pytest.fixture
def tokenizer():
    return Tokenizer(make_tokenizer(), max_length=8)


def words(tokens, index):
    pieces = tokens.input_ids[tokens.offsets[index] : tokens.offsets[index + 1]]
    return [WORDS[piece] for piece in pieces]


def segments(tokens, index):
    return tokens.token_type_ids[tokens.offsets[index] : tokens.offsets[index + 1]].tolist()


def test_texts_stand_between_their_special_pieces(tokenizer):
    tokens = tokenizer(["You are kind", "dog"])
    assert words(tokens, 0) == ["[CLS]", "you", "are", "kind", "[SEP]"]
    assert words(tokens, 1) == ["[CLS]", "dog", "[SEP]"]
    assert tokens.lengths.tolist() == [5, 3]
    assert len(tokens) == 2
    assert tokens.num_truncated == 0


def test_pairs_are_one_sequence_with_segments(tokenizer):
    tokens = tokenizer(["dog"], ["cat sings"])
    assert words(tokens, 0) == ["[CLS]", "dog", "[SEP]", "cat", "sings", "[SEP]"]
    assert segments(tokens, 0) == [0, 0, 0, 1, 1, 1]


def test_of_a_pair_the_longer_text_is_shortened_first(tokenizer):
    tokens = tokenizer(["you are very very very very nice"], ["cat sings"])
    assert words(tokens, 0) == ["[CLS]", "you", "are", "very", "[SEP]", "cat", "sings", "[SEP]"]
    assert tokens.num_truncated == 1


# The lengths of two texts, the pieces there is room for, and what each keeps.
SHARES = [
    ((30, 10, 20), (15, 5)),
    ((10, 30, 20), (5, 15)),
    ((7, 7, 5), (3, 2)),  # 2.5 each: half a piece goes to the first
    ((100, 3, 29), (28, 1)),  # 28.2 and 0.8
    ((100, 1, 20), (19, 1)),  # 19.8 and 0.2, but one at least
    ((1, 100, 20), (1, 19)),
    ((0, 9, 4), (0, 4)),
    ((9, 0, 4), (4, 0)),
    ((3, 2, 1), (1, 0)),  # only one there is
    ((3, 2, 0), (0, 0)),
    ((0, 0, 0), (0, 0)),
]


@pytest.mark.parametrize(("given", "kept"), SHARES)
def test_shares_worked_by_hand(given, kept):
    assert proportional_lengths(*given) == kept


def test_shares_add_up_and_exceed_no_text():
    for first in range(1, 12):
        for second in range(1, 12):
            for available in range(2, first + second):
                kept = proportional_lengths(first, second, available)
                assert sum(kept) == available
                assert 1 <= kept[0] <= first
                assert 1 <= kept[1] <= second


LONG, SHORT = "you are very very very very nice dog", "cat sings bad piano"


def proportional(max_length=8):
    return Tokenizer(make_tokenizer(), max_length, "proportional")


def test_of_a_pair_each_text_may_be_shortened_in_proportion():
    # 8 and 4 pieces, room for 6 beside three special ones.
    tokens = proportional(9)([LONG, SHORT, "dog"], [SHORT, LONG, "cat"])
    assert words(tokens, 0) == "[CLS] you are very very [SEP] cat sings [SEP]".split()
    assert segments(tokens, 0) == [0] * 6 + [1] * 3
    assert words(tokens, 1) == "[CLS] cat sings [SEP] you are very very [SEP]".split()
    assert segments(tokens, 1) == [0] * 4 + [1] * 5
    assert words(tokens, 2) == "[CLS] dog [SEP] cat [SEP]".split()
    assert tokens.lengths.tolist() == [9, 9, 5]
    assert tokens.num_truncated == 2


def test_an_empty_text_leaves_its_room_to_the_other():
    tokens = proportional()([LONG, ""], ["", LONG])
    assert words(tokens, 0) == "[CLS] you are very very very [SEP] [SEP]".split()
    assert words(tokens, 1) == "[CLS] [SEP] you are very very very [SEP]".split()
    assert tokens.num_truncated == 2


def assert_same(tokens, others):
    for name in ("input_ids", "token_type_ids", "offsets"):
        np.testing.assert_array_equal(getattr(tokens, name), getattr(others, name))
    assert tokens.num_truncated == others.num_truncated


def test_what_fits_and_what_is_single_is_the_same_whichever_truncation(tokenizer):
    texts, pairs = ["you are", "dog", "", "cat sings"], ["cat sings .", "", "", "bad dog !"]
    assert_same(proportional()(texts, pairs), tokenizer(texts, pairs))
    texts = [LONG, "dog", "", "you " * 50, "you are very nice cat ."]
    assert_same(proportional()(texts), tokenizer(texts))


def test_texts_of_one_length_are_cut_alike_whichever_truncation(tokenizer):
    even = Tokenizer(make_tokenizer(), 9), proportional(9)
    assert_same(*(each([LONG, SHORT], [LONG, SHORT]) for each in even))


def test_special_pieces_of_any_form_stay():
    """RoBERTa has four in a pair, and segments of 0; GPT-2 has none."""
    made = make_tokenizer()
    made.backend_tokenizer.post_processor = processors.RobertaProcessing(("[SEP]", 4), ("[CLS]", 3))
    tokens = Tokenizer(made, 10, "proportional")([LONG], [SHORT])
    assert words(tokens, 0) == "[CLS] you are very very [SEP] [SEP] cat sings [SEP]".split()
    assert segments(tokens, 0) == [0] * 10
    made.backend_tokenizer.post_processor = processors.ByteLevel()
    tokens = Tokenizer(made, 6, "proportional")([LONG], [SHORT])
    assert words(tokens, 0) == "you are very very cat sings".split()


@pytest.mark.parametrize("truncation", TRUNCATIONS)
def test_a_pair_alone_equals_itself_in_a_batch(truncation):
    tokenizer = Tokenizer(make_tokenizer(), 9, truncation)
    texts, pairs = [LONG, "dog", SHORT, "", LONG], [SHORT, "cat", LONG, LONG, LONG]
    together = tokenizer(texts, pairs)
    alone = [tokenizer([text], [pair]) for text, pair in zip(texts, pairs, strict=True)]
    assert [words(together, index) for index in range(5)] == [words(one, 0) for one in alone]
    assert together.num_truncated == sum(one.num_truncated for one in alone) == 4


def test_an_unknown_truncation_is_refused():
    with pytest.raises(InputError) as caught:
        Tokenizer(make_tokenizer(), 8, "proportion")
    assert str(caught.value) == (
        "`truncation` must be one of 'longest_first', 'proportional'. "
        "Received: truncation='proportion'. Did you mean 'proportional'?"
    )


def test_long_texts_are_cut_and_counted(tokenizer):
    tokens = tokenizer(["you " * 50, "dog"])
    assert tokens.lengths.tolist() == [8, 3]
    assert words(tokens, 0)[-1] == "[SEP]"
    assert tokens.num_truncated == 1


def test_no_texts(tokenizer):
    assert len(tokenizer([])) == 0


def test_half_a_surrogate_pair_is_refused(tokenizer):
    with pytest.raises(InputError, match="Text number 2 is not Unicode"):
        tokenizer(["dog", "cat \ud800"])


def test_saved_and_read_again(tokenizer, tmp_path):
    tokenizer.save(tmp_path)
    again = Tokenizer.from_directory(tmp_path, max_length=8)
    texts = ["you are very very very very nice", "Idiot!"]
    np.testing.assert_array_equal(again(texts).input_ids, tokenizer(texts).input_ids)


def test_a_directory_without_a_tokenizer_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        Tokenizer.from_directory(tmp_path, max_length=8)


@pytest.mark.parametrize("truncation", TRUNCATIONS)
def test_several_threads_at_once(truncation):
    tokenizer = Tokenizer(make_tokenizer(), 9, truncation)
    # Short and long, single texts and pairs, so that what one call needs would show in another.
    calls = [(["you are kind"] * 50,), ([LONG] * 30,), ([LONG] * 30, [SHORT] * 30)]
    expected = [tokenizer(*given).input_ids for given in calls]
    wrong = []

    def call():
        for _ in range(20):
            for given, ids in zip(calls, expected, strict=True):
                if not np.array_equal(tokenizer(*given).input_ids, ids):
                    wrong.append(1)

    call_from_threads(call)
    assert not wrong


def test_what_version_5_of_transformers_writes_is_read_by_version_4(tmp_path):
    class TokenizersBackend(PreTrainedTokenizerFast):
        """Under this name it is written by transformers 5."""

    made = make_tokenizer()
    renamed = TokenizersBackend(
        tokenizer_object=made.backend_tokenizer, pad_token="[PAD]", unk_token="[UNK]"
    )
    Tokenizer(renamed, 8).save(tmp_path)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text())
    assert settings["tokenizer_class"] == "PreTrainedTokenizerFast"
    again = Tokenizer.from_directory(tmp_path, 8)
    assert (
        again(["you are"]).input_ids.tolist() == Tokenizer(made, 8)(["you are"]).input_ids.tolist()
    )
