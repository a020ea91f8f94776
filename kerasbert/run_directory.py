"""A run's directory: its files, whether one is there, and writing one whole or not at all."""

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kerasbert.errors import InputError

CONFIG = "config.json"
LABELS = "labels.json"
ENCODER_CONFIG = "encoder_config.json"
TOKENIZER = "tokenizer"
WEIGHTS = "model.weights.h5"
METADATA = "metadata.json"
REPORT = "report.json"
HISTORY = "history.csv"
CURVES = "history.png"
PAGE = "report.html"
CARD = "MODEL_CARD.md"

_METADATA_KINDS = {
    "sha256": dict,
    "labels": dict,
    "precision": str,
    "device": str,
    "probe": list,
    "fit": dict,
    "report": dict,
}
_KIND_NAMES = {dict: "object", str: "string", list: "list"}


def is_run(directory: str | Path) -> bool:
    """Whether `directory` looks like one that `kerasbert.save` wrote."""
    return all((Path(directory) / name).is_file() for name in (CONFIG, METADATA, WEIGHTS))


def is_interrupted(directory: str | Path) -> bool:
    """Whether `directory` holds a run whose training was interrupted."""
    if not is_run(directory):
        return False
    training = read_json(Path(directory) / METADATA).get("training")
    return isinstance(training, dict) and training.get("interrupted") is not None


def check_run(directory: str | Path) -> Path:
    """The directory of a run; a `FileNotFoundError` or `InputError` where there is none."""
    directory = Path(directory)
    if not directory.is_dir():
        raise FileNotFoundError(f"There is no run {str(directory)!r}.")
    needed = (CONFIG, LABELS, ENCODER_CONFIG, WEIGHTS, METADATA)
    missing = [name for name in needed if not (directory / name).is_file()]
    if missing:
        raise InputError(
            f"{directory} is no run: it has no {missing[0]}. Expected a directory that "
            "`python -m kerasbert.fit` wrote."
        )
    return directory


def check_output(
    directory: str | Path,
    overwrite: bool = False,
    *,
    kind: str = "run",
    is_kind: Callable[[str | Path], bool] = is_run,
) -> None:
    """Refuse a directory that could not be written to; call it before hours of training.

    Args:
        directory: the place.
        overwrite: whether it may be there already.
        kind: what will be written, for messages.
        is_kind: whether a directory holds one.

    Raises:
        InputError: the directory holds one, and `overwrite` is False, or holds something else.
        OSError: it cannot be written there.
    """
    directory = Path(directory).resolve()
    if directory == Path.cwd():
        raise InputError("The output cannot be the current directory. Name one below it.")
    if directory.exists() and not directory.is_dir():
        raise InputError(f"The output {str(directory)!r} is a file. Expected a directory.")
    if directory.is_dir() and any(directory.iterdir()):
        if not is_kind(directory):
            raise InputError(
                f"The output directory {str(directory)!r} holds files, but no {kind}. "
                "Name a new directory, or an empty one."
            )
        if not overwrite:
            raise InputError(
                f"The output directory {str(directory)!r} is already a {kind}. Name another one, "
                "or pass --overwrite to replace it."
            )
    parent = next(path for path in directory.parents if path.exists())
    if not parent.is_dir():
        raise InputError(f"The output {str(directory)!r} lies below {str(parent)!r}, a file.")
    # Tried and not only asked, as a name may be too long, or a file system read-only.
    trial = parent / _beside(directory).name
    try:
        trial.mkdir(exist_ok=True)
        trial.rmdir()
    except OSError as error:
        raise OSError(
            f"The output {str(directory)!r} cannot be written: {error.strerror}. Name another."
        ) from None


@contextlib.contextmanager
def written_whole(directory: str | Path, num_bytes: int) -> Iterator[Path]:
    """Give an empty directory to write to; when the block ends, it takes the place of `directory`.

    If the block fails, nothing of it is left, and what was there before is untouched.

    Args:
        directory: the place.
        num_bytes: about how much will be written.

    Raises:
        OSError: the files cannot be written, on a full disk, say.
    """
    directory = Path(directory).resolve()
    beside = _beside(directory)
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir(parents=True)
        # Asked first, since h5py fills standard error with its own words when it meets the end.
        free = shutil.disk_usage(beside).free
        if free < num_bytes:
            raise OSError(f"{num_bytes / 1e6:,.0f} MB are needed and {free / 1e6:,.0f} MB are free")
        yield beside
        _replace(directory, beside)
    except (OSError, RuntimeError) as error:  # h5py says RuntimeError where closing a file fails
        raise OSError(
            f"{directory} could not be written: {error}. Nothing was left there, and a run that "
            "was there before is untouched. Free some space, or name another --output."
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def json_text(values: Any) -> str:
    """Indented JSON; NaN is refused, since other readers of JSON refuse it."""
    return json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def read_metadata(directory: Path) -> dict[str, Any]:
    """Read a run's metadata; an `InputError` names a key that is missing or of another kind."""
    path = directory / METADATA
    metadata = read_json(path)
    for key, kind in _METADATA_KINDS.items():
        if not isinstance(metadata.get(key), kind):
            raise InputError(
                f"{path}: expected {key!r} to be a JSON {_KIND_NAMES[kind]}. Received: "
                f"{metadata.get(key)!r:.60}. Restore the file that was saved."
            )
    for key in ("text_column", "pair_column"):
        if not isinstance(metadata["fit"].get("data"), dict) or key not in metadata["fit"]["data"]:
            raise InputError(
                f"{path}: expected {key!r} in 'data' of 'fit'. Restore the file that was saved."
            )
    return metadata


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object; an `InputError` says that it is none."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}.") from None
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected a JSON object. Received: {values!r:.60}.")
    return values


def sha256_of(path: Path) -> str:
    """The sha256 of a file's contents, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def _beside(directory: Path) -> Path:
    return directory.with_name(f".{directory.name}.{os.getpid()}")


def _replace(directory: Path, beside: Path) -> None:
    """Put `beside` in the place of `directory`; on failure the old one is back in its place."""
    if not directory.exists():
        beside.rename(directory)
        return
    old = beside.with_name(beside.name + ".old")
    directory.rename(old)
    try:
        beside.rename(directory)
    except BaseException:  # an interruption, too, must leave the old run where it was
        old.rename(directory)
        raise
    shutil.rmtree(old, ignore_errors=True)
