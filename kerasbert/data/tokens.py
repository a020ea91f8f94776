"""Words to numbers: the base's tokenizer, set up once, and ragged arrays of word pieces."""

import dataclasses
import functools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Encoding
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from kerasbert.config import TRUNCATIONS
from kerasbert.data.columns import Spool
from kerasbert.errors import InputError, did_you_mean

_CHUNK = 4096


@dataclasses.dataclass(frozen=True)
class Tokens:
    """Word pieces of n texts, end to end, without padding; mapped from disk where they are many.

    Attributes:
        input_ids: piece numbers, int32 of shape (pieces,).
        token_type_ids: 0 for pieces of the first text and 1 for those of the second, int8 of shape
            (pieces,).
        offsets: text i has the pieces from `offsets[i]` up to `offsets[i + 1]`; int64 of shape
            (n + 1,).
        pad_id: the piece that stands for nothing.
        num_truncated: how many texts were longer than the tokenizer's maximum.
    """

    input_ids: np.ndarray
    token_type_ids: np.ndarray
    offsets: np.ndarray
    pad_id: int
    num_truncated: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @functools.cached_property
    def lengths(self) -> np.ndarray:
        """Pieces per text, shape (n,)."""
        return np.diff(self.offsets)


@dataclasses.dataclass(frozen=True)
class Places:
    """Where the pieces of a text, or pair, stand in it; each array of shape (pieces,).

    Attributes:
        text_of: 0 for pieces of the first text, 1 for those of the second, -1 for special ones.
        starts: the first character of each piece, counted in its text.
        ends: the one after its last.
    """

    text_of: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


class Tokenizer:
    """A base's tokenizer with a fixed maximum length, safe to call from several threads.

    Args:
        tokenizer: a fast tokenizer of transformers.
        max_length: pieces kept of each text, or pair, special ones included.
        truncation: what goes where a pair is longer. `"longest_first"`: the end of the longer text,
            until both are equally long. `"proportional"`: the end of both, so that each keeps the
            same share of its pieces, at least one. A single text loses its end either way.

    Raises:
        InputError: a `truncation` that is neither.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        max_length: int,
        truncation: str = "longest_first",
    ):
        if truncation not in TRUNCATIONS:
            raise InputError(
                f"`truncation` must be one of {', '.join(map(repr, TRUNCATIONS))}. "
                f"Received: truncation={truncation!r}.{did_you_mean(truncation, TRUNCATIONS)}"
            )
        self._tokenizer = tokenizer
        self.max_length = max_length
        self.truncation = truncation
        # The library's own object, set up once: transformers' wrapper sets it anew in each call,
        # which two threads cannot do at the same time.
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_padding()
        if truncation == "longest_first":
            self._backend.enable_truncation(max_length, strategy="longest_first")
        else:
            # The library knows no shares, so what is too long is cut after it.
            self._backend.no_truncation()
        pad = tokenizer.pad_token_id
        # GPT-2 has no piece for padding; any will do, as it is masked.
        self.pad_id = pad if pad is not None else (tokenizer.eos_token_id or 0)

    @classmethod
    def from_directory(
        cls, directory: str | Path, max_length: int, truncation: str = "longest_first"
    ) -> "Tokenizer":
        """Read the tokenizer of a base, or one that `save` wrote; needs no network.

        Neither the length nor the truncation is read: they are the model's, and in its config.
        """
        try:
            tokenizer = AutoTokenizer.from_pretrained(
                directory, local_files_only=True, use_fast=True
            )
        except Exception as error:  # the tokenizers library raises nothing narrower
            raise InputError(f"The tokenizer in {directory} cannot be read: {error}") from None
        if not isinstance(tokenizer, PreTrainedTokenizerFast):
            raise InputError(
                f"The tokenizer in {directory} has no fast version. Expected a tokenizer.json, or "
                "files that transformers can convert to one."
            )
        return cls(tokenizer, max_length, truncation)

    @property
    def max_id(self) -> int:
        """The highest piece number the tokenizer may give."""
        return max(self._backend.get_vocab(with_added_tokens=True).values())

    def __call__(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> Tokens:
        """Cut texts, or pairs of texts, into word pieces.

        Raises:
            InputError: a text that is not Unicode (it holds half of a surrogate pair).
        """
        ids, segments, num_truncated = Spool("int32"), Spool("int8"), 0
        lengths = np.empty(len(texts), np.int64)
        for start in range(0, len(texts), _CHUNK):
            chunk = list(texts[start : start + _CHUNK])
            if pairs is not None:
                chunk = list(zip(chunk, pairs[start : start + _CHUNK], strict=True))
            _check_unicode(chunk, start)
            # On all cores; without the places of the pieces in the text, which nobody asks for.
            encodings = self._backend.encode_batch_fast(chunk)
            pieces = [encoding.ids for encoding in encodings]
            types = [encoding.type_ids for encoding in encodings]
            for index, encoding in enumerate(encodings):
                num_truncated += bool(encoding.overflowing)
                if self.truncation == "proportional" and len(encoding) > self.max_length:
                    is_kept = _kept_in_proportion(encoding, self.max_length)
                    pieces[index] = np.array(pieces[index])[is_kept]
                    types[index] = np.array(types[index])[is_kept]
                    num_truncated += 1
                lengths[start + index] = len(pieces[index])
            ids.append(np.concatenate(pieces))
            segments.append(np.concatenate(types))
        return Tokens(
            input_ids=ids.finish(),
            token_type_ids=segments.finish(),
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            pad_id=self.pad_id,
            num_truncated=num_truncated,
        )

    def places(self, texts: Sequence[str], pairs: Sequence[str] | None = None) -> list[Places]:
        """Where the pieces that a call gives for the same texts stand in them.

        Raises:
            InputError: as a call.
        """
        items = list(texts) if pairs is None else list(zip(texts, pairs, strict=True))
        _check_unicode(items, 0)
        return [self._places_of(encoding) for encoding in self._backend.encode_batch(items)]

    def _places_of(self, encoding: Encoding) -> Places:
        bounds = np.array(encoding.offsets, np.int64).reshape(-1, 2)
        places = Places(_text_of(encoding), bounds[:, 0], bounds[:, 1])
        if self.truncation == "longest_first" or len(encoding) <= self.max_length:
            return places
        is_kept = _kept_in_proportion(encoding, self.max_length)
        return Places(places.text_of[is_kept], places.starts[is_kept], places.ends[is_kept])

    def save(self, directory: str | Path) -> None:
        """Write the tokenizer's own files, by which `from_directory` reads it."""
        self._tokenizer.save_pretrained(directory)
        # What transformers 5 calls by another name, which 4 does not know, is the same class.
        path = Path(directory) / "tokenizer_config.json"
        settings = json.loads(path.read_text(encoding="utf-8"))
        if settings.get("tokenizer_class") == "TokenizersBackend":
            settings["tokenizer_class"] = "PreTrainedTokenizerFast"
            path.write_text(json.dumps(settings, indent=2, ensure_ascii=False), encoding="utf-8")


def _kept_in_proportion(encoding: Encoding, max_length: int) -> np.ndarray:
    """Which pieces of a text or pair that is too long stay, bool of shape (pieces,)."""
    # Special pieces all stay. Text pieces are where they are without a cut: the library adds the
    # special ones whatever stands between them.
    text_of = _text_of(encoding)
    lengths = [int((text_of == text).sum()) for text in (0, 1)]
    available = max(0, max_length - int((text_of == -1).sum()))
    is_kept = np.ones(len(text_of), dtype=bool)
    for text, count in enumerate(proportional_lengths(*lengths, available)):
        is_kept[np.flatnonzero(text_of == text)[count:]] = False
    return is_kept


def _text_of(encoding: Encoding) -> np.ndarray:
    """Which text each piece is of: 0 or 1, and -1 for special pieces."""
    return np.array([-1 if text is None else text for text in encoding.sequence_ids], np.int8)


def proportional_lengths(first: int, second: int, available: int) -> tuple[int, int]:
    """How many pieces two texts keep, in proportion to how many they have.

    Args:
        first: pieces of the first text.
        second: pieces of the second.
        available: pieces that both keep together, at most as many as they have.

    Returns:
        Two counts that add up to `available`, each at least 1 where its text is not empty and there
        are two to share. What falls between two numbers goes to the nearer one; half a piece, and
        the only one there is, to the first text.

    Example:
        >>> proportional_lengths(30, 10, available=20)
        (15, 5)
    """
    total = first + second
    nearest = (2 * available * first + total) // max(1, 2 * total)
    kept = max(min(nearest, available - (second > 0)), int(first > 0))
    kept = min(kept, available)
    return kept, available - kept


def _check_unicode(chunk: list, start: int) -> None:
    for index, item in enumerate(chunk):
        try:
            "".join(item).encode("utf-8")
        except UnicodeEncodeError as error:
            raise InputError(
                f"Text number {start + index + 1} is not Unicode: {error.reason} at character "
                f"{error.start + 1}."
            ) from None
