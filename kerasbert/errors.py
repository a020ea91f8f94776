"""The ways in which things go wrong that a user can mend, and the nearest right name."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """What the user gave cannot be used; the message says what, where and how to mend it."""


class TrainingError(RuntimeError):
    """Training went wrong; nothing was saved."""


class InputWarning(UserWarning):
    """What the user gave was used, but perhaps not as meant."""


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`" Did you mean 'text'?"` for the nearest of `names`, or an empty string if none is near."""
    names = list(names)
    by_lower_case = {candidate.lower(): candidate for candidate in names}
    found = difflib.get_close_matches(name.lower(), list(by_lower_case), n=1, cutoff=0.5)
    return f" Did you mean {by_lower_case[found[0]]!r}?" if found else ""
