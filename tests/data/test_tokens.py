import json

import numpy as np
import pytest
from transformers import PreTrainedTokenizerFast

from kerasbert.data.tokens import Tokenizer
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


def test_several_threads_at_once(tokenizer):
    expected = tokenizer(["you are kind"] * 50).input_ids
    wrong = []

    def call():
        for _ in range(20):
            if not np.array_equal(tokenizer(["you are kind"] * 50).input_ids, expected):
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
