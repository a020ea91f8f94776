"""The rows that a saved run is decided on: those it was validated on, or a file of others."""

import dataclasses
from pathlib import Path
from typing import Any

from kerasbert.config import FitConfig
from kerasbert.config_json import from_dict
from kerasbert.data.dataset import read_dataset
from kerasbert.data.examples import Examples, read_examples
from kerasbert.data.facts import rows_sha256
from kerasbert.data.labels import Labels
from kerasbert.errors import InputError
from kerasbert.run_directory import sha256_of


def validation_rows(metadata: dict[str, Any]) -> Examples:
    """Read the rows that a run was validated on, and held out of its training, once more.

    Args:
        metadata: the run's, as `kerasbert.run_directory.read_metadata` gives it.

    Raises:
        InputError: they cannot be had again: the files are gone or changed, or the rows were held
            out by `--folds`, or by nobody.
    """
    facts = metadata.get("data", {}).get("validation")
    fit = from_dict(FitConfig, metadata["fit"])
    try:
        if facts is None:
            raise InputError("it does not say which they were")
        # The test file is not needed, and may be gone.
        examples = read_dataset(dataclasses.replace(fit.data, test=None), fit.train.seed).validation
        if rows_sha256(examples) != facts["rows_sha256"] or _is_changed(examples, facts):
            raise InputError("its files give others now")
    except (InputError, OSError) as error:
        raise InputError(
            f"The rows that the run was validated on cannot be read again: "
            f"{str(error).rstrip('.')}. Name held-out rows with --data FILE."
        ) from None
    return examples


def read_rows(
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
            "held-out rows; without --data, those that it was validated on are used."
        )
    return examples


def _is_changed(examples: Examples, facts: dict[str, Any]) -> bool:
    path = Path(examples.source)
    return facts["sha256"] is not None and (
        not path.is_file() or sha256_of(path) != facts["sha256"]
    )
