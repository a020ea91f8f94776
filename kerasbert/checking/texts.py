"""What each text holds beside words: broken letters, markup, names; and what it lacks."""

import re
from collections.abc import Iterable, Iterator

import numpy as np

from kerasbert.checking.finding import Problem, Rows
from kerasbert.checking.scripts import count_letters, script_name

# Characters of the longest text that is called very short.
_VERY_SHORT = 4
_CHUNK = 8192
# What the bytes 0x80 to 0xbf of UTF-8 become when they are read as cp1252, or as Latin-1.
_CP1252 = bytes(range(0x80, 0xA0)).decode("cp1252", "ignore")
_REST = f"[\u0080-\u00bf{_CP1252}]"
# The bytes before them: of Western letters, of Cyrillic and Greek ones, of quotes, of emojis.
_MISREAD = re.compile(f"[ÂÃ]{_REST}|(?:[ÐÑÎÏ]{_REST}){{2}}|[âã]{_REST}{{2}}|ðŸ{_REST}{{2}}|ï»¿")
# Neither white space nor the joiners that emojis and Indic scripts are written with.
_INVISIBLE = re.compile(
    "[\0-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\ufeff]"
)
_TAG = re.compile(r"</?[a-zA-Z][a-zA-Z0-9]*(?:\s[^<>]*)?/?>|<!--")
_ENTITY = re.compile(r"&(?:[a-zA-Z]{2,8}[1-4]?|#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6});")
_URL = re.compile(r"https?://\S|\bwww\.\w")
_NAME = re.compile(r"(?<![\w@])@\w")

_SUMMARIES = {
    "very_short": f"texts of {_VERY_SHORT} characters at most",
    "broken_encoding": "broken letters (Ã© for é, or \ufffd)",
    "invisible_characters": "invisible or control characters",
    "markup": "HTML tags or entities",
    "url": "web addresses",
    "user_name": "@names",
}


def faults(text: str) -> Iterator[str]:
    """Names of what is odd about a text, keys of the problems that `text_problems` gives."""
    # Most texts lack even the letter that a pattern begins with, which is asked faster.
    if len(text) <= _VERY_SHORT and len(text.strip()) <= _VERY_SHORT:
        yield "very_short"
    if is_broken(text):
        yield "broken_encoding"
    if not text.isprintable() and _INVISIBLE.search(text):
        yield "invisible_characters"
    if ("<" in text and _TAG.search(text)) or ("&" in text and _ENTITY.search(text)):
        yield "markup"
    if ("://" in text or "www." in text) and _URL.search(text):
        yield "url"
    if "@" in text and _NAME.search(text):
        yield "user_name"


def is_broken(text: str) -> bool:
    """Whether a text was read in another encoding than it was written in."""
    return not text.isascii() and ("\ufffd" in text or _MISREAD.search(text) is not None)


def text_problems(rows: Rows) -> list[Problem]:
    """What is odd about single texts, those of pairs included."""
    found: dict[str, list[int]] = {name: [] for name in _SUMMARIES}
    for index in np.flatnonzero(rows.is_filled).tolist():
        for name in set().union(*map(faults, _texts_of(rows, index))):
            found[name].append(index)
    empty = Problem("empty_text", "no text, so they are left out", np.flatnonzero(~rows.is_filled))
    problems = [
        Problem(name, summary, np.array(found[name], np.int64), None, name == "broken_encoding")
        for name, summary in _SUMMARIES.items()
    ]
    misread = [
        Problem("wrong_encoding", what.rstrip("."), None, is_serious=True) for what in rows.misread
    ]
    return [*misread, empty, *problems, _other_scripts(rows)]


def _texts_of(rows: Rows, index: int) -> Iterable[str]:
    yield rows.examples.texts[index]
    # A second text may be empty, and is then not very short.
    if rows.examples.pairs is not None and (pair := rows.examples.pairs[index]):
        yield pair


def _other_scripts(rows: Rows) -> Problem:
    """Texts most of whose letters are of another script than most letters of all texts."""
    script_of = np.zeros(len(rows), np.uint8)
    total = 0
    for start in range(0, len(rows), _CHUNK):
        counts = count_letters(rows.examples.texts[start : start + _CHUNK])  # (texts, scripts)
        total = total + counts.sum(axis=0)
        script_of[start : start + _CHUNK] = counts.argmax(axis=1)
    usual = int(np.argmax(total))
    other = np.flatnonzero((script_of != usual) & (script_of != 0))
    names = [script_name(script) for script in script_of[other]]
    return Problem(
        "other_script", f"texts in another script than {script_name(usual)}", other, names
    )
