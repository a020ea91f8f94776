"""From a config dataclass to flags, and from an exception to one line and an exit code."""

import contextlib
import dataclasses
import io
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tyro

from kerasbert.config_json import read_config
from kerasbert.errors import InputError, InputWarning, TrainingError, did_you_mean

# Flags carry their field's name alone (--train, not --data.train), and a default of None is left
# out of the help's choices.
_STYLE = (tyro.conf.OmitArgPrefixes, tyro.conf.DisallowNone)


def parse(config_class: type, command: str, args: Sequence[str]) -> Any:
    """Read an instance of `config_class` from `args`.

    Where every field has a default, `--config FILE.json` is read first, wherever it stands, and the
    flags override it.

    Args:
        config_class: a frozen dataclass; the comment above each field is its help.
        command: the name of the module, such as `"fit"`.
        args: the arguments without the program's name.

    Raises:
        InputError: the arguments do not fit; the message is one line.
        SystemExit: with code 0, after `--help` was printed.
    """
    args, default = list(args), None
    takes_config = all(_has_default(field) for field in dataclasses.fields(config_class))
    for position, arg in enumerate(args):
        if takes_config and (arg == "--config" or arg.startswith("--config=")):
            given = arg.partition("=")[2] if "=" in arg else "".join(args[position + 1 :][:1])
            if not given:
                raise InputError("`--config` must be followed by a JSON file.")
            default = read_config(config_class, given)
            del args[position : position + (1 if "=" in arg else 2)]
            break
    with _printed_as_errors():
        return tyro.cli(
            config_class,
            prog=f"python -m kerasbert.{command}",
            args=args,
            default=default,
            config=_STYLE,
        )


def parse_known(config_class: type, command: str, args: Sequence[str]) -> tuple[Any, list[str]]:
    """Read an instance of `config_class` from those of `args` that are its flags.

    Returns:
        The instance, and the other arguments, for `parse` to read.

    Raises:
        InputError, SystemExit: as `parse`.
    """
    with _printed_as_errors():
        return tyro.cli(
            config_class,
            prog=f"python -m kerasbert.{command}",
            args=list(args),
            config=_STYLE,
            return_unknown_args=True,
        )


def check_flags(args: Sequence[str], *config_classes: type) -> None:
    """Refuse flags that are of none of these classes, and name the nearest of them all.

    Raises:
        InputError: there is such a flag.
    """
    known = ["--config", *(flag for one in config_classes for flag in _flags(one))]
    for arg in args:
        flag = arg.partition("=")[0].replace("_", "-")
        if flag.startswith("--") and flag not in known:
            nearest = did_you_mean(flag, known).replace("'", "")
            raise InputError(f"Unrecognized options: {flag}.{nearest}")


def run(main: Callable[[list[str]], None]) -> None:
    """Run a command with `sys.argv`; turn what a user can mend into one line on stderr.

    Exit codes: 0 done, 1 training went wrong, 2 the input cannot be used, 130 interrupted.
    """
    code, message = 0, ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("always", InputWarning)
            warnings.showwarning = _show_warning_once(set())
            main(sys.argv[1:])
    except SystemExit as stop:  # after --help
        code = stop.code or 0
    except BrokenPipeError:
        pass  # whoever reads us has enough, as `head` does
    except (InputError, OSError) as error:
        code, message = 2, f"error: {error}"
    except TrainingError as error:
        code, message = 1, f"error: {error}"
    except KeyboardInterrupt:
        code, message = 130, "Interrupted."
    if message:
        print(" ".join(message.split()), file=sys.stderr)
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Python would try again at its end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if code:
        sys.exit(code)


@contextlib.contextmanager
def _printed_as_errors() -> Iterator[None]:
    """Turn what tyro prints when it exits into an `InputError`."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stderr(printed):
            yield
    except SystemExit as stop:
        if not stop.code:
            raise
        raise InputError(_one_line(printed.getvalue())) from None


def _has_default(field: dataclasses.Field) -> bool:
    missing = dataclasses.MISSING
    return field.default is not missing or field.default_factory is not missing


def _flags(config_class: type) -> Iterator[str]:
    for field in dataclasses.fields(config_class):
        if dataclasses.is_dataclass(field.type):
            yield from _flags(field.type)
            continue
        name = field.name.replace("_", "-")
        yield from (f"--{name}", f"--no-{name}") if field.type is bool else (f"--{name}",)


def _show_warning_once(shown: set[str]) -> Callable[..., None]:
    """What shows a warning, but not what several trainings of a command would say again."""

    def show(message, category, filename, lineno, file=None, line=None) -> None:
        # Those of the libraries below are for their developers.
        if issubclass(category, InputWarning) and str(message) not in shown:
            shown.add(str(message))
            print(f"warning: {message}", file=sys.stderr)

    return show


def _one_line(box: str) -> str:
    """The first sentence of a boxed error message and the nearest flag, without the box."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", box)  # colours
    rows = [row.strip(" │") for row in text.splitlines() if not row.startswith("╰")]
    # Where the terminal's encoding has no lines to draw, hyphens rule off the title below it.
    rows = rows[1:] if rows[0].startswith("╭") else rows[2:]
    what, *more = re.split(r"[─-]{3,}", " ".join(row for row in rows if row))
    what = re.sub(r"^Error parsing \w+: ", "", what.strip())
    what = re.sub(r"^Missing from .*?: (\w+).*", r"Missing: \1.", what)
    similar = r"(?:Perhaps you meant|Arguments similar to \S+): (--[\w-]+)"
    nearest = re.search(similar, " ".join(more))
    return f"{what}. Did you mean {nearest[1]}?" if nearest else what
