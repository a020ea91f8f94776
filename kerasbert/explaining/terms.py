"""Groups of terms that may be exchanged for each other, and texts in which they are."""

import dataclasses
import re
from pathlib import Path

from kerasbert.errors import InputError

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
        terms = [term for group in self.groups for term in group]
        # A group of the pattern for each term, whose number says which one it is, whatever letter
        # case it was found in. Of terms that begin alike the longest is taken.
        longest_first = sorted(terms, key=len, reverse=True)
        branches = "|".join(f"({_pattern(term)})" for term in longest_first)
        pattern = re.compile(rf"(?<!\w)(?:{branches})(?!\w)", re.IGNORECASE)
        object.__setattr__(self, "_by_number", [None, *longest_first])
        object.__setattr__(self, "_pattern", pattern)

    def found_in(self, text: str) -> list[str]:
        """The terms that are in a text as whole words, in any letter case, each once."""
        found = (self._by_number[match.lastindex] for match in self._pattern.finditer(text))
        return list(dict.fromkeys(found))

    def others(self, term: str) -> tuple[str, ...]:
        """The other terms of its group."""
        (group,) = (group for group in self.groups if term in group)
        return tuple(other for other in group if other != term)

    def exchange(self, text: str, term: str, other: str) -> str:
        """The text with `other` for `term` wherever it stands, and the other way round.

        Capital letters stay: of a term that is written in them all, or that begins with one.
        """
        swapped = {term: other, other: term}

        def replace(match: re.Match) -> str:
            found = self._by_number[match.lastindex]
            return _in_the_case_of(match[0], swapped[found]) if found in swapped else match[0]

        return self._pattern.sub(replace, text)


def read_terms(path: str | Path = NEUTRAL_TERMS) -> Terms:
    """Read a file with one group a line, its terms with commas between them.

    What follows a `#` is a comment; letter case does not matter. A plural is a term of its own.

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
        content = line.partition("#")[0]
        if not content.strip():
            continue
        group = tuple(" ".join(term.split()) for term in content.split(","))
        if len(group) < 2 or not all(group):
            raise InputError(
                f"{path}, line {number}: expected at least two terms with commas between them. "
                f"Received: {content.strip()!r}."
            )
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


def _pattern(term: str) -> str:
    return r"\s+".join(map(re.escape, term.split()))


def _in_the_case_of(found: str, term: str) -> str:
    if found.islower():
        return term.lower()
    if found.isupper() and len(found) > 1:
        return term.upper()
    return term[0].upper() + term[1:] if found[0].isupper() else term
