"""Which script the letters of a text are of."""

import functools
import unicodedata
from collections.abc import Sequence

import numpy as np

# The scripts of Unicode's first planes; what lies above has no letters.
_NUM_CODES = 0x32000
# One language writes them side by side.
_SAME = {"HIRAGANA": "CJK", "KATAKANA": "CJK", "HALFWIDTH": "CJK", "FULLWIDTH": "LATIN"}
# First words of names of letters that go with any script.
_OF_NONE = {"MODIFIER", "FEMININE", "MASCULINE", "SCRIPT", "DOUBLE-STRUCK", "BLACK-LETTER"}


def count_letters(texts: Sequence[str]) -> np.ndarray:
    """Letters of each script in each text, int64 of shape (texts, scripts)."""
    script_of, names = _scripts()
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
    scripts = script_of[np.minimum(codes, _NUM_CODES - 1)]
    text_of = np.repeat(np.arange(len(texts)), [len(text) for text in texts])
    counts = np.bincount(text_of * len(names) + scripts, minlength=len(texts) * len(names))
    counts = counts.reshape(len(texts), len(names))
    counts[:, 0] = 0  # what is no letter
    return counts


def script_name(number: int) -> str:
    """`"Latin"`."""
    return _scripts()[1][number]


@functools.cache
def _scripts() -> tuple[np.ndarray, list[str]]:
    """The script of each code point, 0 for none, and the scripts' names."""
    numbers = {"": 0, "LATIN": 1}
    script_of = np.zeros(_NUM_CODES, np.uint8)
    for code in range(_NUM_CODES):
        letter = chr(code)
        if unicodedata.category(letter)[0] == "L":
            word = unicodedata.name(letter, "").partition(" ")[0]
            word = "" if word in _OF_NONE else _SAME.get(word, word)
            script_of[code] = numbers.setdefault(word, len(numbers))
    return script_of, [name if name == "CJK" else name.title() for name in numbers]
