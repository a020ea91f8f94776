"""How a config checks itself, and how a flag shows its choices."""

from collections.abc import Iterable
from typing import Any

import tyro

from kerasbert.errors import InputError, did_you_mean

INTEGERS = tyro.conf.arg(metavar="INT [INT ...]")
STRINGS = tyro.conf.arg(metavar="STR [STR ...]")


def one_of(*choices: str) -> Any:
    """Show a flag's choices in its help; the config checks them, and names the nearest."""
    return tyro.conf.arg(metavar="{" + ",".join(choices) + "}")


def check(config: Any, name: str, holds: bool, requirement: str) -> None:
    """Raise an `InputError` that says what a field must be and what it is, unless it `holds`."""
    if not holds:
        raise InputError(
            f"`{name}` must {requirement}. Received: {name}={getattr(config, name)!r}."
        )


def check_choice(config: Any, name: str, choices: Iterable[str]) -> None:
    """Raise an `InputError` with the nearest choice, unless the field is one of them."""
    choices, value = tuple(choices), getattr(config, name)
    if value not in choices:
        raise InputError(
            f"`{name}` must be one of {', '.join(map(repr, choices))}. "
            f"Received: {name}={value!r}.{did_you_mean(str(value), choices)}"
        )
