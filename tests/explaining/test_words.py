import numpy as np
import pytest
from tokenizers import Tokenizer as Backend
from tokenizers import models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from kerasbert.data.tokens import Tokenizer
from kerasbert.errors import InputError
from kerasbert.explaining.words import read_texts, split_words, to_tokens
from tests.conftest import make_tokenizer

HARD = [
    "don't  stop, you fool!",
    "",
    " \t\n ",
    "👩‍👩‍👧 👊🏽👊🏽 idiot",
    "cafe\u0301 zo\u0308e\u0308",
    "他是 very 好人。",
    "สวัสดี ครับ",
    "[SEP] you [CLS]kind[PAD]",
    "\u200b \u00ad",
    "a\u00a0b\u3000c",
]


def wordpiece_tokenizer():
    """A toy of BERT's own kind: pieces of words, and Chinese characters one by one."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    vocabulary = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *letters,
        *(f"##{c}" for c in letters),
    ]
    vocabulary += ["you", "fool", "##ish", "!", ",", "'", "。", *"他是好人"]
    backend = Backend(
        models.WordPiece(
            {piece: number for number, piece in enumerate(vocabulary)}, unk_token="[UNK]"
        )
    )
    backend.normalizer = normalizers.BertNormalizer()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]", mask_token="[MASK]",
    )  # fmt: skip


def byte_level_tokenizer():
    """A toy of RoBERTa's kind: bytes, a blank before a word being part of its first piece."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {piece: number for number, piece in enumerate(["<pad>", "<s>", "</s>", *alphabet])}
    vocabulary["Ġy"] = len(vocabulary)
    backend = Backend(models.BPE(vocabulary, [("Ġ", "y")]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> </s> $B </s>",
        special_tokens=[("<s>", 1), ("</s>", 2)],
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>")


TOKENIZERS = {"words": make_tokenizer, "pieces": wordpiece_tokenizer, "bytes": byte_level_tokenizer}


def texts_of(reading):
    return [reading.parts[span.part][span.start : span.end] for span in reading.spans]


def test_pieces_are_joined_to_the_words_between_spaces():
    tokenizer = Tokenizer(wordpiece_tokenizer(), 32)
    (reading,) = read_texts(tokenizer, ["don't foolish  you!"], None)
    assert texts_of(reading) == ["don't", "foolish", "you!"]
    # [CLS] d ##o ##n ' t  fool ##ish  you ! [SEP]
    assert reading.word_of.tolist() == [-1, 0, 0, 0, 0, 0, 1, 1, 2, 2, -1]
    assert (reading.spans[1].start, reading.spans[1].end) == (6, 13)


def test_chinese_words_are_the_tokenizers():
    tokenizer = Tokenizer(wordpiece_tokenizer(), 32)
    (reading,) = read_texts(tokenizer, ["他是fool 好人。"], None)
    assert texts_of(reading) == ["他", "是", "fool", "好", "人", "。"]
    assert reading.word_of.tolist() == [-1, 0, 1, 2, 3, 4, 5, -1]


@pytest.mark.parametrize("name", TOKENIZERS)
@pytest.mark.parametrize("truncation", ["longest_first", "proportional"])
def test_every_character_is_in_one_word_or_in_a_gap(name, truncation):
    tokenizer = Tokenizer(TOKENIZERS[name](), 12, truncation)
    for pairs in (None, HARD[::-1]):
        for reading in read_texts(tokenizer, HARD, pairs):
            for part, text in enumerate(reading.parts):
                place = 0
                for span in (span for span in reading.spans if span.part == part):
                    assert not text[place : span.start].strip()
                    assert text[span.start : span.end].strip()
                    assert place <= span.start < span.end
                    place = span.end
                assert not text[place:].strip()
            assert len(reading.word_of) == len(reading.input_ids)
            assert reading.word_of.max() < len(reading.spans)


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_piece_is_of_the_word_that_it_stands_in(name):
    tokenizer = Tokenizer(TOKENIZERS[name](), 300)
    texts = ["you  are, foolish you"]
    (reading,), (places,) = read_texts(tokenizer, texts, None), tokenizer.places(texts)
    for word, start, end in zip(reading.word_of, places.starts, places.ends, strict=True):
        piece = texts[0][start:end].strip()
        assert word == -1 or piece in texts_of(reading)[word]
    assert reading.words_read.tolist() == [0, 1, 2, 3]


def test_words_after_the_cut_are_not_read():
    texts, pairs = ["the dog is very very very good !"], ["a cat"]
    for truncation, read in (
        ("longest_first", [0, 1, 2, 3, 8, 9]),
        ("proportional", [0, 1, 2, 3, 4, 8]),
    ):
        (reading,) = read_texts(Tokenizer(make_tokenizer(), 9, truncation), texts, pairs)
        assert reading.words_read.tolist() == read
        words = reading.words(np.arange(1.0, 7))
        assert [word.contribution for word in words if word.is_read] == [1, 2, 3, 4, 5, 6]
        assert {word.contribution for word in words if not word.is_read} == {0.0}


def test_marks_stay_with_what_they_mark():
    thai = "กี่ครับ"
    cuts = range(len(thai) + 1)
    words = [thai[start:end] for start, end in split_words(thai, cuts)]
    assert "".join(words) == thai
    assert words[0] == "กี่"


def test_a_text_that_is_no_unicode():
    tokenizer = Tokenizer(make_tokenizer(), 9)
    with pytest.raises(InputError, match="Text number 2 is not Unicode"):
        tokenizer.places(["a", "b\ud800"])


def test_a_text_of_no_pieces_is_padding():
    some = (np.array([5, 6], np.int32), np.array([0, 1], np.int8))
    tokens = to_tokens([some, (some[0][:0], some[1][:0])], pad_id=9)
    assert tokens.input_ids.tolist() == [5, 6, 9]
    assert tokens.token_type_ids.tolist() == [0, 1, 0]
    assert tokens.lengths.tolist() == [2, 1]
