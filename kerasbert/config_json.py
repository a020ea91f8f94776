"""Configs to JSON and back: unknown keys and wrong types are refused, never passed over."""

import dataclasses
import json
import types
import typing
from collections.abc import Collection
from pathlib import Path
from typing import Any

from kerasbert.errors import InputError, did_you_mean
from kerasbert.run_directory import read_json


def to_json(config: Any) -> str:
    """The config as indented JSON text; `read_config` reads it back to an equal config."""
    return json.dumps(dataclasses.asdict(config), indent=2) + "\n"


def read_config(
    config_class: type,
    path: str | Path,
    *,
    complete: bool = False,
    may_lack: Collection[str] = (),
) -> Any:
    """Read a config of `config_class` from a JSON file.

    Args:
        config_class: a dataclass.
        path: the file.
        complete: refuse a file that leaves out a key, instead of taking its default.
        may_lack: keys for which a complete file may leave it to the default: those that earlier
            versions did not write.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: it is not JSON, has an unknown key, or a value that does not fit.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"There is no config file {str(path)!r}.")
    values = read_json(path)
    try:
        config = from_dict(config_class, values)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    left_out = [
        field.name
        for field in dataclasses.fields(config_class)
        if field.name not in values and field.name not in may_lack
    ]
    if complete and left_out:
        raise InputError(f"{path} lacks the key {left_out[0]!r}. Restore the file that was saved.")
    return config


def from_dict(config_class: type, values: Any, where: str = "") -> Any:
    """Build a config from nested dictionaries; keys left out keep their defaults.

    Raises:
        InputError: an unknown key (the nearest name is given) or a value of another type.
    """
    if not isinstance(values, dict):
        raise InputError(f"Expected an object of settings{where}. Received: {values!r}.")
    hints = typing.get_type_hints(config_class)
    unknown = [key for key in values if key not in hints]
    if unknown:
        raise InputError(
            f"Unknown key {unknown[0]!r}{where}.{did_you_mean(unknown[0], hints)} "
            f"Known keys: {', '.join(hints)}."
        )
    required = [
        field.name
        for field in dataclasses.fields(config_class)
        if field.default is field.default_factory is dataclasses.MISSING
    ]
    if missing := [key for key in required if key not in values]:
        raise InputError(f"The key {missing[0]!r} is missing{where}.")
    return config_class(**{key: _convert(hints[key], values[key], key) for key in values})


_TYPE_NAMES = {
    str: "a string",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "null",
}


def _convert(hint: Any, value: Any, key: str) -> Any:
    """Check one JSON value against a field's type; a list becomes a tuple, an int a float."""
    if dataclasses.is_dataclass(hint):
        return from_dict(hint, value, f" in {key!r}")
    is_union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    options = typing.get_args(hint) if is_union else (hint,)
    for option in options:
        if option is type(None) and value is None:
            return None
        if dataclasses.is_dataclass(option) and isinstance(value, dict):
            return from_dict(option, value, f" in {key!r}")
        if typing.get_origin(option) is tuple and isinstance(value, (list, tuple)):
            item = typing.get_args(option)[0]
            return tuple(_convert(item, part, key) for part in value)
        if option is float and type(value) in (int, float) and abs(value) < 1e300:
            return float(value)
        if type(value) is option:
            return value
    expected = " or ".join(_TYPE_NAMES.get(option, "a list") for option in options)
    raise InputError(f"`{key}` must be {expected}. Received: {key}={value!r}.")
