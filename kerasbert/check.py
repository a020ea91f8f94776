"""`python -m kerasbert.check`: what would spoil a training, or its measure, found before it."""

import dataclasses
import itertools
import sys
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from kerasbert import _cli, _runtime
from kerasbert.checking.checking import check_rows, read_rows
from kerasbert.checking.showing import show
from kerasbert.checking.writing import finding_json, write_rows
from kerasbert.config import DataConfig
from kerasbert.config_checks import STRINGS, check, one_of
from kerasbert.data.near_duplicates import SIMILARITY
from kerasbert.output_files import check_output_file, is_same_file, written_file
from kerasbert.run_directory import json_text
from kerasbert.tasks import TASKS


@dataclasses.dataclass(frozen=True)
class CheckConfig:
    """Rows, labels, lengths, repeated and broken texts of files, before a model learns from them.

    Serious is: the same text in two files, or with different labels; labels that are missing,
    cannot be learned, or read as the same; a wrong --encoding and broken letters; a training
    file with nothing to learn; a --max-length that cuts more than half of a file's texts.
    """

    # The file to train on (.csv, .parquet, .jsonl), and then those to validate and test on.
    files: Annotated[tyro.conf.Positional[tuple[str, ...]], tyro.conf.arg(metavar="FILES")]

    # Column with the text.
    text_column: str = "text"

    # Column with a second text, for sentence pairs.
    pair_column: str | None = None

    # One column of classes or scores, or several 0/1 columns.
    label_columns: Annotated[tuple[str, ...], STRINGS] = ("label",)

    # What to predict; auto reads it off the labels, as kerasbert.fit does.
    task: Annotated[str, one_of("auto", *TASKS)] = "auto"

    # Pretrained base whose tokens are counted.
    base: str = "minilm"

    # Tokens kept of each text, special ones included, as kerasbert.fit is told.
    max_length: int = 256

    # Share of runs of 5 characters that near-duplicates have in common, above 0 and at most 1.
    similarity: float = SIMILARITY

    # Name the labels that are believed least by the predictions in this file, out_of_fold.csv of
    # `kerasbert.fit --folds`, on the first of FILES.
    suspects: str | None = None

    # So many of them.
    num_suspects: int = 20

    # JSON file to write: all numbers.
    json: str | None = None

    # CSV file to write: a line for each row concerned, by problem.
    rows: str | None = None

    # Exit with code 1 if anything is serious.
    strict: bool = False

    # Replace the files that --json and --rows name.
    overwrite: bool = False

    # Character encoding of CSV and JSON lines files.
    encoding: str = "utf-8"

    def __post_init__(self):
        is_each_once = len(self.files) > 0 and not any(
            is_same_file(*two) for two in itertools.combinations(self.files, 2)
        )
        check(self, "files", is_each_once, "be at least one file, each named once")
        check(self, "max_length", self.max_length >= 4, "be at least 4")
        check(self, "similarity", 0 < self.similarity <= 1, "be above 0 and at most 1")
        check(self, "num_suspects", self.num_suspects > 0, "be above 0")

    @property
    def columns(self) -> DataConfig:
        """What the files' columns mean."""
        names = {field.name for field in dataclasses.fields(DataConfig)}
        own = {field.name for field in dataclasses.fields(self)}
        return DataConfig(**{name: getattr(self, name) for name in names & own})


def main(args: list[str]) -> None:
    """Look as `args` say, print what was found and write it."""
    config = _cli.parse(CheckConfig, "check", args)
    inputs = [*config.files, *([config.suspects] if config.suspects else [])]
    for name, suffix in (("json", ".json"), ("rows", ".csv")):
        path = getattr(config, name)
        if path is not None:
            check_output_file(path, suffix, config.overwrite, inputs=inputs, name=name)
    with Console(stderr=True).status("reading") as status:
        rows = read_rows(config.files, config.columns)
        # Only now, so that a wrong column is answered at once: the base brings TensorFlow along.
        _runtime.quiet()
        finding = check_rows(
            rows,
            config.task,
            base=config.base,
            max_length=config.max_length,
            similarity=config.similarity,
            suspects=config.suspects and (config.suspects, config.num_suspects),
            say=status.update,
        )
    show(finding, Console(highlight=False))
    has_rows = any(problem.rows is not None for problem in finding.problems)
    if has_rows and config.rows is None:
        print("--rows FILE.csv writes all rows concerned.")
    if config.json is not None:
        with written_file(Path(config.json)) as file:
            file.write(json_text(finding_json(finding)))
        print(f"wrote {config.json}")
    if config.rows is not None:
        with written_file(Path(config.rows)) as file:
            write_rows(finding, file)
        print(f"wrote {config.rows}")
    if config.strict and finding.is_serious:
        sys.exit(1)


if __name__ == "__main__":
    _cli.run(main)
