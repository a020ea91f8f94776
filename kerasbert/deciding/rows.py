"""The rows that a saved run is decided on: those it was validated on, or a file of others."""

import dataclasses
import warnings
from pathlib import Path
from typing import Any

from kerasbert.config import FitConfig
from kerasbert.config_json import from_dict
from kerasbert.data.dataset import read_dataset, read_test_file
from kerasbert.data.examples import Examples, read_examples
from kerasbert.data.facts import rows_sha256
from kerasbert.data.labels import Labels
from kerasbert.errors import InputError, InputWarning
from kerasbert.run_directory import sha256_of


def held_out_rows(labels: Labels, metadata: dict[str, Any]) -> dict[str, Examples]:
    """Read the rows that a run was validated and tested on once more.

    Args:
        labels: the run's.
        metadata: the run's, as `kerasbert.run_directory.read_metadata` gives it.

    Returns:
        `validation` and `test`, as far as they can be had again and are the same rows. They are not
        where files are gone or changed, or where rows were held out by `--folds`, or by nobody.
    """
    fit, parts = from_dict(FitConfig, metadata["fit"]), {}
    for name, facts in metadata.get("data", {}).items():
        if name == "train":
            continue
        try:
            examples = _read(name, fit, labels)
        except (InputError, OSError):
            continue
        if examples is not None and _is_same(examples, facts):
            parts[name] = examples
    return parts


def where_they_were(metadata: dict[str, Any]) -> str:
    """Where the held-out rows of a run came from, in a sentence, for messages."""
    files = {facts["source"] for facts in metadata.get("data", {}).values()}
    if not files:
        return "an earlier version did not say which they were."
    named = " and ".join(sorted(map(repr, files)))
    return f"{named}, seen from {str(Path.cwd())!r}, is gone or changed, or --folds held them out."


def _read(name: str, fit: FitConfig, labels: Labels) -> Examples | None:
    data = fit.data
    path = getattr(data, name)
    if path is not None:
        return read_test_file(dataclasses.replace(data, test=path), labels)
    if data.drop_duplicates == "none":
        data = dataclasses.replace(data, test=None)  # plays no part, and may be gone
    return read_dataset(data, fit.train.seed).validation


def read_rows(
    path: str | Path, labels: Labels, metadata: dict[str, Any], encoding: str
) -> Examples:
    """Read labelled rows to decide on, with the columns that the run was trained on.

    Raises:
        FileNotFoundError, InputError: as `read_labelled`.
    """
    examples = read_labelled(path, labels, metadata, encoding)
    facts = metadata.get("data", {})
    if facts and sha256_of(Path(path)) == facts.get("test", {}).get("sha256"):
        warnings.warn(
            f"{path} is the file that the run was tested on: what it chooses can no longer be "
            "tested there.",
            InputWarning,
            stacklevel=2,
        )
    return examples


def read_labelled(
    path: str | Path, labels: Labels, metadata: dict[str, Any], encoding: str
) -> Examples:
    """Read labelled rows of a file, with the columns that the run was trained on.

    Raises:
        FileNotFoundError: there is no such file.
        InputError: it cannot be used, or is the very file that the run was trained on.
    """
    columns, facts = metadata["fit"]["data"], metadata.get("data", {})
    examples = read_examples(
        path,
        text_column=columns["text_column"],
        pair_column=columns["pair_column"],
        label_columns=labels.columns,
        encoding=encoding,
    )
    if facts and sha256_of(Path(path)) == facts["train"]["sha256"]:
        raise InputError(
            f"{path} is the file that the run was trained on, of which it is too sure. Name "
            "rows that it was not trained on."
        )
    return examples


def _is_same(examples: Examples, facts: dict[str, Any]) -> bool:
    path = Path(examples.source)
    if facts["sha256"] is not None and (not path.is_file() or sha256_of(path) != facts["sha256"]):
        return False
    return rows_sha256(examples) == facts["rows_sha256"]
