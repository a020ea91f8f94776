"""From the settings of a run to the command that does it again."""

import dataclasses
import shlex
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import tyro

from kerasbert.config import FitConfig
from kerasbert.config_decide import DecisionConfig
from kerasbert.config_json import from_dict
from kerasbert.data.labels import Labels

# Where the run goes does not change what it is.
_LEFT_OUT = ("output", "overwrite", "resume")


def fit_command(fit: Mapping[str, Any]) -> str:
    """The command that trains with these settings.

    Args:
        fit: JSON values of a `FitConfig`, as `kerasbert.run.Run.fit` has them.

    Returns:
        `python -m kerasbert.fit` with the flags that differ from their defaults, quoted for a
        shell; without those that say where the run goes.

    Raises:
        InputError: it is no `FitConfig`.
    """
    config = from_dict(FitConfig, dict(fit))
    return shlex.join(["python", "-m", "kerasbert.fit", *_flags(config, FitConfig())])


def run_commands(labels: Labels, metadata: Mapping[str, Any]) -> list[str]:
    """The commands that give a run: its training and, if it was decided later, `decide`.

    Args:
        labels: of the run.
        metadata: as `metadata.json` has it.
    """
    commands, chosen = [fit_command(metadata["fit"])], labels.chosen
    if chosen is None:
        return commands
    config = DecisionConfig(chosen.decide, chosen.calibrate, labels.unsure_below)
    asked = from_dict(FitConfig, dict(metadata["fit"])).decision
    held_out = metadata.get("data", {}).get("validation", {}).get("rows_sha256")
    if asked.is_default or held_out != chosen.rows_sha256:
        words = ["python", "-m", "kerasbert.decide", "DIRECTORY", *_flags(config, DecisionConfig())]
        if held_out != chosen.rows_sha256:
            words += ["--data", chosen.source]
        commands.append(shlex.join(words))
    return commands


def _flags(config: Any, default: Any) -> Iterator[str]:
    hints = typing.get_type_hints(type(config), include_extras=True)
    for field in dataclasses.fields(config):
        value, usual = getattr(config, field.name), getattr(default, field.name)
        if dataclasses.is_dataclass(value):
            yield from _flags(value, usual)
            continue
        is_flag = tyro.conf.Suppress not in getattr(hints[field.name], "__metadata__", ())
        # There is no flag for None; it is a default wherever it is allowed.
        if value == usual or value is None or not is_flag or field.name in _LEFT_OUT:
            continue
        name = field.name.replace("_", "-")
        if isinstance(value, bool):
            yield f"--{name}" if value else f"--no-{name}"
        elif isinstance(value, tuple):
            yield from (f"--{name}", *map(str, value))
        else:
            # In one word: a value may begin with a hyphen.
            yield f"--{name}={value}" if str(value).startswith("-") else f"--{name}"
            if not str(value).startswith("-"):
                yield str(value)
