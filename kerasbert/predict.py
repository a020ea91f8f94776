"""`python -m kerasbert.predict`: a trained classifier over a file, or over a text."""

import csv
import dataclasses
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import Progress

from kerasbert import _cli, _runtime
from kerasbert.config import RUNNING_PRECISIONS
from kerasbert.config_checks import one_of
from kerasbert.data.examples import cell_text, column_position, read_texts
from kerasbert.data.tables import Table, open_table
from kerasbert.errors import InputError
from kerasbert.output_files import check_output_file, written_file
from kerasbert.prediction_columns import prediction_cells, prediction_columns

_CHUNK = 8192


@dataclasses.dataclass(frozen=True)
class PredictConfig:
    """Predictions for a file, written to another, or for a text, written to the screen."""

    # Directory that `python -m kerasbert.fit` wrote.
    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]

    # File of texts (.csv, .parquet, .jsonl).
    input: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="INPUT")] = None

    # CSV file to write: all columns of the input, `prediction`, and a `probability_LABEL` per
    # label.
    output: str | None = None

    # Texts to classify on the screen, instead of a file.
    text: tuple[str, ...] = ()

    # The second texts, for a model of sentence pairs; as many as --text.
    pair: tuple[str, ...] = ()

    # Column with the text. Default: the one the model was trained on.
    text_column: str | None = None

    # Column with the second text. Default: the one the model was trained on.
    pair_column: str | None = None

    # Number format of the products. auto: bfloat16 where the processor has it, else float32.
    precision: Annotated[str, one_of(*RUNNING_PRECISIONS)] = "auto"

    # Character encoding of CSV and JSON lines files.
    encoding: str = "utf-8"

    # Replace the file that --output names.
    overwrite: bool = False


def main(args: list[str]) -> None:
    """Predict as `args` say."""
    config = _cli.parse(PredictConfig, "predict", args)
    if bool(config.text) == (config.input is not None):
        raise InputError("Expected either an input file or --text.")
    table = None
    if config.input is not None:
        table = open_table(config.input, config.encoding)
        if config.output is None:
            raise InputError("Expected --output FILE.csv beside an input file.")
        check_output_file(config.output, ".csv", config.overwrite, inputs=[config.input])

    _runtime.quiet()
    from kerasbert.inference import load

    classifier = load(config.run, config.precision)
    if table is not None:
        _predict_table(classifier, table, config)
        return
    pairs = list(config.pair) or None
    for text, row in zip(config.text, _predict(classifier, list(config.text), pairs), strict=True):
        columns = zip(prediction_columns(classifier.run.labels), row, strict=True)
        print("  ".join(f"{name}={value}" for name, value in columns), repr(text), sep="  ")


def _predict_table(classifier, table: Table, config: PredictConfig) -> None:
    text_column = config.text_column or classifier.run.text_column
    pair_column = config.pair_column or classifier.run.pair_column
    column_position(table, text_column)
    columns = prediction_columns(classifier.run.labels)
    if taken := [name for name in columns if name in table.columns]:
        raise InputError(
            f"{table.path} has a column {taken[0]!r} already, which the output would have twice. "
            "Rename it first."
        )
    console, num_empty = Console(stderr=True), 0
    with (
        written_file(Path(config.output)) as file,
        Progress(console=console, transient=True, disable=not console.is_terminal) as progress,
    ):
        # Ends lines with \r\n, as csv does unless told, so that a \r in a text is quoted.
        writer = csv.writer(file)
        writer.writerow([*table.columns, *columns])
        bar = progress.add_task("rows", total=None)
        for chunk in _chunks(read_texts(table, text_column, pair_column)):
            is_empty = [not text.strip() for _, text, _ in chunk]
            num_empty += sum(is_empty)
            filled = [row for row, empty in zip(chunk, is_empty, strict=True) if not empty]
            pairs = None if pair_column is None else [pair for _, _, pair in filled]
            found = iter(_predict(classifier, [text for _, text, _ in filled], pairs))
            for (values, _, _), empty in zip(chunk, is_empty, strict=True):
                cells = [""] * len(columns) if empty else next(found)
                writer.writerow([*map(cell_text, values), *cells])
            progress.advance(bar, len(chunk))
    if num_empty:
        print(
            f"warning: {table.path}: no prediction for {num_empty:,} rows whose "
            f"{text_column!r} is empty.",
            file=sys.stderr,
        )
    print(f"wrote {config.output}")


def _predict(classifier, texts: list[str], pairs: list[str] | None) -> list[list[str]]:
    return prediction_cells(classifier.run.labels, classifier.outputs(texts, pairs))


def _chunks(rows: Iterator) -> Iterator[list]:
    while chunk := list(itertools.islice(rows, _CHUNK)):
        yield chunk


if __name__ == "__main__":
    _cli.run(main)
