"""Where a command writes its run, and whether it may; without TensorFlow."""

import glob
import itertools
from pathlib import Path

from kerasbert.config import DataConfig, FitConfig
from kerasbert.errors import InputError
from kerasbert.run_directory import (
    METADATA,
    check_output,
    is_interrupted,
    is_run,
    read_json,
    sha256_of,
)
from kerasbert.training.unfinished import Unfinished, settings_digest

# Of several runs, written when all are there.
SUMMARY = "summary.json"
_SUFFIX = ".unfinished"


def unfinished_beside(output: str | Path) -> Unfinished:
    """The directory of checkpoints of the run that `output` will hold."""
    output = Path(output)
    return Unfinished(output.with_name(output.name + _SUFFIX))


def choose_output(config: FitConfig) -> Path:
    """The directory that a run goes to: the one that was named, or a free one.

    With `config.resume` and no name it is that of an unfinished run of the same settings.

    Raises:
        InputError: it is taken.
        OSError: it cannot be written.
    """
    if config.output is not None:
        check_place(config, config.output)
        return Path(config.output)
    data = Path(config.data.train).stem if config.data.train else "sample"
    name = f"{data}-{Path(config.model.base).name}"
    parent = Path("saved_weights")
    if config.resume:
        for directory in sorted(parent.glob(f"{glob.escape(name)}*{_SUFFIX}")):
            if Unfinished(directory).is_of(config):
                return parent / directory.name.removesuffix(_SUFFIX)
    for number in itertools.count(1):
        output = parent / (name if number == 1 else f"{name}-{number}")
        if not output.exists() and not unfinished_beside(output).directory.exists():
            check_output(output)
            return output


def check_place(config: FitConfig, output: str | Path) -> None:
    """Refuse a directory that holds what `config` does not say may go.

    Raises:
        InputError: it holds a run, or a run was begun there, or it holds something else.
        OSError: it cannot be written.
    """
    unfinished = unfinished_beside(output)
    if config.seeds or config.folds:
        _check_place_of_several(config, Path(output))
        return
    if unfinished.has_checkpoints and not (config.resume or config.overwrite):
        raise InputError(
            f"A run was begun in {str(unfinished.directory)!r} and not finished. Pass --resume to "
            "go on with it, or --overwrite to begin anew."
        )
    may_replace = config.overwrite or (config.resume and is_interrupted(output))
    if not is_finished(config, output):
        check_output(output, may_replace)


def _check_place_of_several(config: FitConfig, output: Path) -> None:
    unfinished = unfinished_beside(output).directory
    if config.resume and (unfinished.exists() or (output / SUMMARY).is_file()):
        return
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        if unfinished.exists():
            raise InputError(
                f"Several runs were begun in {str(output)!r} and not finished. Pass --resume to go "
                "on with them, or name a new directory."
            )
        raise InputError(
            f"The output {str(output)!r} of several runs is taken. Name a new directory, or remove "
            "it yourself; --overwrite replaces a single run only."
        )
    check_output(output)


def is_finished(config: FitConfig, output: str | Path) -> bool:
    """Whether `config` asks to go on with a run that is complete already.

    Raises:
        InputError: the run is of other settings.
    """
    is_whole = is_run(output) and not is_interrupted(output)
    if not config.resume or config.overwrite or not is_whole:
        return False
    begun_with = read_json(Path(output) / METADATA).get("training", {}).get("settings")
    if begun_with not in (None, settings_digest(config)):  # earlier versions did not write it
        raise InputError(
            f"{str(output)!r} is a complete run of other settings. Name another output, or pass "
            "--overwrite as well, to replace it."
        )
    return True


def file_digests(data: DataConfig) -> dict[str, str]:
    """Of the files that a config names, by what they are for: several runs are of the same rows."""
    named = {"training file": data.train, "validation file": data.validation}
    named["test file"] = data.test
    return {
        name: sha256_of(Path(path))
        for name, path in named.items()
        if path is not None and Path(path).is_file()
    }
