"""Groups of terms that may be exchanged for each other, and texts in which they are."""

import csv
import dataclasses
import re
from collections.abc import Iterable
from pathlib import Path

from kerasbert.errors import InputError

_HYPHEN = "[-\u2010\u2011]"
# A comment behind terms; but C# and #hashtags are terms.
_COMMENT = re.compile(r"\s#|^#\s")
NEUTRAL_TERMS = Path(__file__).parent / "identity_terms.csv"


@dataclasses.dataclass(frozen=True)
class Terms:
    """Groups of terms, each term in one group.

    Example:
        >>> terms = Terms((("cat", "dog", "guinea pig"), ("man", "woman")))
        >>> terms.found_in("A dog, a Woman")
        ['dog', 'woman']
        >>> terms.exchange("Dogs? My DOG!", "dog", "guinea pig")
        'Dogs? My GUINEA PIG!'
    """

    groups: tuple[tuple[str, ...], ...]

    def __post_init__(self):
        group_of: dict[str, tuple[str, ...]] = {}
        for group in self.groups:
            if len(group) < 2 or not all(term.strip() for term in group):
                raise InputError(f"Expected groups of at least two terms. Received: {group!r}.")
            for term in group:
                if _key(term) in group_of:
                    raise InputError(f"The term {term!r} is listed twice. Remove one of them.")
                group_of[_key(term)] = group
        if not group_of:
            raise InputError("Expected at least one group of terms. Received none.")
        listed = {_key(term): term for group in self.groups for term in group}
        object.__setattr__(self, "_listed", listed)
        object.__setattr__(self, "_group_of", group_of)
        object.__setattr__(self, "_pattern", _compile(listed.values()))

    def found_in(self, text: str) -> list[str]:
        """The terms that are in a text as whole words, in any letter case, each once.

        What a hyphen joins is one word: there is no man in what is man-made.
        """
        found = (self._listed[_key(match[0])] for match in self._pattern.finditer(text))
        return list(dict.fromkeys(found))

    def others(self, term: str) -> tuple[str, ...]:
        """The other terms of its group."""
        return tuple(other for other in self._group_of[_key(term)] if other != term)

    def exchange(self, text: str, term: str, other: str) -> str:
        """The text with `other` for `term` wherever it stands, and the other way round.

        Capital letters stay: of a term that is written in them all, or that begins with one. A term
        that is listed with capitals loses them only to one that has lost its own.
        """
        swapped = {term: other, other: term}

        def replace(match: re.Match) -> str:
            found = self._listed[_key(match[0])]
            if found not in swapped:
                return match[0]
            return _in_the_case_of(match[0], found, swapped[found])

        return self._pattern.sub(replace, text)


def read_terms(path: str | Path = NEUTRAL_TERMS) -> Terms:
    """Read a CSV file with one group a row, as many terms as there are.

    A line that begins with `#` is a comment. A term with a comma, or one that begins with `#` and
    begins its line, is in quotes. Empty cells at the end of a row, which spreadsheets write, are
    none. Letter case does not matter. A plural is a term of its own.

    Args:
        path: the file, in UTF-8. Default: neutral terms of religion, origin, gender, orientation,
            disability and age, which the package carries.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: a group of fewer than two terms, a term that stands there twice, or no groups.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no file of terms {str(path)!r}.")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8: {error.reason}. Save it as UTF-8.") from None
    groups, line_of = [], {}
    for number, line in enumerate(lines, start=1):
        group = _read_line(line, f"{path}, line {number}")
        if not group:
            continue
        for term in group:
            if before := line_of.get(term.casefold()):
                raise InputError(
                    f"{path}, line {number}: the term {term!r} is in line {before} already. "
                    "Remove one of them."
                )
            line_of[term.casefold()] = number
        groups.append(group)
    if not groups:
        raise InputError(f"{path} has no terms. Expected one group a line, such as man,woman.")
    return Terms(tuple(groups))


def _read_line(line: str, where: str) -> tuple[str, ...]:
    """The terms of a line; none of a comment or an empty one."""
    if line.lstrip().startswith("#"):
        return ()
    try:
        (cells,) = csv.reader([line], skipinitialspace=True, strict=True)
    except csv.Error as error:
        raise InputError(f"{where}: not CSV: {error}. Received: {line!r}.") from None
    group = [" ".join(cell.split()) for cell in cells]
    while group and not group[-1]:
        group.pop()
    if group and (len(group) < 2 or not all(group)):
        separators = [name for sign, name in ((";", "semicolons"), ("\t", "tabs")) if sign in line]
        hint = f" It has {separators[0]}: write commas instead." if separators else ""
        raise InputError(
            f"{where}: expected at least two terms with commas between them. "
            f"Received: {line.strip()!r}.{hint}"
        )
    for term in group:
        if _COMMENT.search(term):
            raise InputError(f"{where}: put the comment on a line of its own. Received: {term!r}.")
    return tuple(group)


def _key(term: str) -> str:
    """What a term has in common with itself in other letter cases and with other blanks."""
    return _plain(term).casefold()


def _plain(term: str) -> str:
    # To regular expressions the Turkish i's are the English one, to `casefold` they are not.
    return " ".join(term.replace("\u0130", "i").replace("\u0131", "i").split())


def _compile(terms: Iterable[str]) -> re.Pattern:
    """What finds the longest of the terms, as a whole word, wherever one of them is."""
    branches = _branches(map(_plain, terms), 3)
    # What a hyphen joins is one word, but two hyphens are a dash.
    before, after = rf"(?<!\w)(?<!\w{_HYPHEN})", rf"(?!\w|{_HYPHEN}\w)"
    return re.compile(f"{before}{branches}{after}", re.IGNORECASE)


def _branches(ends: Iterable[str], depth: int) -> str:
    """A pattern of terms, or of their ends, in which those that begin alike are compared once."""
    longest_first = sorted(ends, key=len, reverse=True)
    if not depth or len(longest_first) == 1:
        return f"(?:{'|'.join(map(_pattern, longest_first))})"
    by_start: dict[str, list[str]] = {}
    for end in longest_first:
        by_start.setdefault(end[:1].lower(), []).append(end[1:])
    # A term that ends here is tried after the longer ones.
    is_end = by_start.pop("", None) is not None
    branches = [_pattern(start) + _branches(ends, depth - 1) for start, ends in by_start.items()]
    return f"(?:{'|'.join([*branches, *[''] * is_end])})"


def _pattern(text: str) -> str:
    """Of letters and single blanks, each of which any blanks may stand for."""
    return r"\s+".join(map(re.escape, text.split(" ")))


def _in_the_case_of(found: str, listed: str, term: str) -> str:
    """A term in the letter case in which another, listed in its own, was found."""
    if found.islower() and not listed.islower():
        return term.lower()
    if found.isupper() and len(found) > 1 and not listed.isupper():
        return term.upper()
    return term[0].upper() + term[1:] if found[0].isupper() else term
