"""Word pieces joined to the words that a reader sees, each character in one word or in a gap."""

import dataclasses
import itertools
import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np

from kerasbert.data.tokens import Places, Tokenizer, Tokens
from kerasbert.explaining.explanation import Word

# Scripts that put no spaces between words: Thai, Lao, Burmese, Khmer, and Chinese and Japanese with
# their punctuation.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3001-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\uff01-\uff9f\U00020000-\U0003ffff]"
)


@dataclasses.dataclass(frozen=True)
class Span:
    """Where a word stands: in text `part` (0 or 1), from character `start` up to `end`."""

    part: int
    start: int
    end: int


@dataclasses.dataclass(frozen=True)
class Reading:
    """A text, or pair, as the model reads it.

    Attributes:
        parts: the text, and the second one of a pair.
        input_ids: piece numbers, int32 of shape (pieces,).
        token_type_ids: int8 of shape (pieces,).
        spans: the words of the first text and then of the second.
        word_of: which of the words each piece is of, shape (pieces,); -1 for special pieces.
    """

    parts: tuple[str, ...]
    input_ids: np.ndarray
    token_type_ids: np.ndarray
    spans: tuple[Span, ...]
    word_of: np.ndarray

    @property
    def text(self) -> str:
        """The text, of a pair the first."""
        return self.parts[0]

    @property
    def pair(self) -> str | None:
        """The second text; None for a single one."""
        return self.parts[1] if len(self.parts) > 1 else None

    @property
    def words_read(self) -> np.ndarray:
        """Numbers of the words of which the model reads a piece, in their order."""
        return np.unique(self.word_of[self.word_of >= 0])

    def words(self, contributions: np.ndarray) -> tuple[Word, ...]:
        """The words, with what those that were read contribute, of shape (words read,)."""
        by_word = dict(zip(self.words_read.tolist(), contributions.tolist(), strict=True))
        return tuple(
            Word(
                text=self.parts[span.part][span.start : span.end],
                start=span.start,
                end=span.end,
                part=span.part,
                contribution=by_word.get(number, 0.0),
                is_read=number in by_word,
            )
            for number, span in enumerate(self.spans)
        )

    def without(self, is_left_out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Numbers and types of the pieces, less those where the mask (pieces,) is True."""
        return self.input_ids[~is_left_out], self.token_type_ids[~is_left_out]


def read_texts(
    tokenizer: Tokenizer, texts: Sequence[str], pairs: Sequence[str] | None
) -> list[Reading]:
    """Cut texts into pieces, as the model reads them, and the pieces' characters into words.

    Raises:
        InputError: a text that is not Unicode.
    """
    tokens, readings = tokenizer(texts, pairs), []
    for index, places in enumerate(tokenizer.places(texts, pairs)):
        parts = (texts[index],) if pairs is None else (texts[index], pairs[index])
        spans, word_of = _join(parts, places)
        pieces = slice(tokens.offsets[index], tokens.offsets[index + 1])
        readings.append(
            Reading(parts, tokens.input_ids[pieces], tokens.token_type_ids[pieces], spans, word_of)
        )
    return readings


def to_tokens(pieces: Sequence[tuple[np.ndarray, np.ndarray]], pad_id: int) -> Tokens:
    """Numbers and types of pieces, for each of n texts, end to end."""
    # GPT-2 has no special pieces, and a model cannot read nothing at all.
    nothing = np.full(1, pad_id, np.int32), np.zeros(1, np.int8)
    pieces = [piece if len(piece[0]) else nothing for piece in pieces]
    lengths = [len(ids) for ids, _ in pieces]
    return Tokens(
        input_ids=np.concatenate([ids for ids, _ in pieces]),
        token_type_ids=np.concatenate([types for _, types in pieces]),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        pad_id=pad_id,
        num_truncated=0,
    )


def split_words(text: str, cuts: Iterable[int]) -> list[tuple[int, int]]:
    """Where the words of a text start and end.

    Between spaces is a word. In scripts without spaces a word is what the tokenizer takes at once.

    Args:
        text: the text.
        cuts: where pieces start or end, in any order.

    Example:
        >>> split_words("don't 猫猫", cuts=[0, 3, 4, 5, 6, 7, 8])
        [(0, 5), (6, 7), (7, 8)]
    """
    inner = [
        cut
        for cut in sorted(set(cuts))
        if 0 < cut < len(text)
        and (_UNSPACED.match(text[cut - 1]) or _UNSPACED.match(text[cut]))
        and not unicodedata.category(text[cut]).startswith("M")  # marks belong to what they mark
    ]
    words = []
    for run in re.finditer(r"\S+", text):
        first, last = np.searchsorted(inner, [run.start() + 1, run.end()])
        words += itertools.pairwise([run.start(), *inner[first:last], run.end()])
    return words


def _join(parts: Sequence[str], places: Places) -> tuple[tuple[Span, ...], np.ndarray]:
    spans: list[Span] = []
    word_of = np.full(len(places.text_of), -1)
    for part, text in enumerate(parts):
        is_here = places.text_of == part
        starts, ends = places.starts[is_here], places.ends[is_here]
        words = split_words(text, [*starts.tolist(), *ends.tolist()])
        if words:
            found = _words_of_pieces(text, starts, ends, words)
            word_of[is_here] = len(spans) + found
        spans += (Span(part, start, end) for start, end in words)
    return tuple(spans), word_of


def _words_of_pieces(text: str, starts, ends, words: list[tuple[int, int]]) -> np.ndarray:
    """The number of the word that each piece is of; of a mere blank, the word after it."""
    blanks = [
        len(piece) - len(piece.lstrip())
        for piece in (text[start:end] for start, end in zip(starts, ends, strict=True))
    ]
    # Some tokenizers count the blank before a word to its first piece.
    places = np.asarray(starts) + blanks
    word_ends = np.array([end for _, end in words])
    return np.minimum(np.searchsorted(word_ends, places, side="right"), len(words) - 1)
