"""`python -m kerasbert.evaluate`: a trained classifier against labelled examples."""

import dataclasses
import warnings
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from kerasbert import _cli, _runtime
from kerasbert.config import RUNNING_PRECISIONS
from kerasbert.config_checks import STRINGS, one_of
from kerasbert.config_json import read_config
from kerasbert.data.examples import Examples, read_examples
from kerasbert.data.labels import Labels
from kerasbert.errors import InputError, InputWarning
from kerasbert.judged import Judged
from kerasbert.output_files import check_output_file, written_file
from kerasbert.run_directory import LABELS, check_run, json_text, read_metadata, sha256_of


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """The report of a run on a file of labelled texts, printed, and written as JSON and as a page.

    Numbers come with 95 % bootstrap intervals.
    """

    # Directory that `python -m kerasbert.fit` wrote.
    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]

    # File of texts and labels (.csv, .parquet, .jsonl), with the columns of the training file.
    test: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TEST")]

    # Another run, with the same labels, to compare with on the same rows: McNemar's test, and an
    # interval for each difference.
    against: str | None = None

    # Columns whose values the rows are grouped by, for numbers of each group. Many different
    # numbers are cut into five ranges.
    by: Annotated[tuple[str, ...], STRINGS] = ()

    # JSON file to write; the page goes beside it. Default: evaluation_NAME.json in the run's
    # directory.
    output: str | None = None

    # Column with the text. Default: the one the model was trained on.
    text_column: str | None = None

    # Column with the second text. Default: the one the model was trained on.
    pair_column: str | None = None

    # Number format of the products. auto: bfloat16 where the processor has it, else float32.
    precision: Annotated[str, one_of(*RUNNING_PRECISIONS)] = "auto"

    # Character encoding of CSV and JSON lines files.
    encoding: str = "utf-8"

    # Replace the files that --output names.
    overwrite: bool = False


def main(args: list[str]) -> None:
    """Score as `args` say, print the report and write it."""
    config = _cli.parse(EvaluateConfig, "evaluate", args)
    check_run(config.run)
    if config.output is not None:
        page = Path(config.output).with_suffix(".html")
        for path, suffix in ((config.output, ".json"), (page, ".html")):
            check_output_file(path, suffix, config.overwrite, inputs=[config.test])
    first = _read(config, config.run)
    second = None if config.against is None else _read_other(config, first)

    _runtime.quiet()
    from kerasbert.reporting.comparing import compare
    from kerasbert.reporting.intervals import find_intervals
    from kerasbert.reporting.slices import slice_by

    judged = _judge(config, config.run, *first)
    intervals = find_intervals(judged)
    slices = {column: slice_by(judged, judged.examples.labels[column]) for column in config.by}
    comparison = None
    if second is not None:
        comparison = {"run": config.against}
        comparison |= compare(judged, _judge(config, config.against, *second))
    written = _write(config, judged, intervals, slices, comparison)
    _show(config, judged, intervals, slices, comparison)
    print(f"wrote {written[0]}\nwrote {written[1]}")


def _read(config: EvaluateConfig, run: str) -> tuple[Labels, Examples]:
    """A run's labels, and the rows as it reads them."""
    directory = check_run(run)
    labels = read_config(Labels, directory / LABELS)
    metadata = read_metadata(directory)
    data = metadata["fit"]["data"]
    examples = read_examples(
        config.test,
        text_column=config.text_column or data["text_column"],
        pair_column=config.pair_column or data["pair_column"],
        label_columns=tuple(dict.fromkeys([*labels.columns, *config.by])),
        encoding=config.encoding,
    )
    if sha256_of(Path(config.test)) == metadata.get("data", {}).get("train", {}).get("sha256"):
        warnings.warn(
            f"{config.test} is the file that {run} was trained on: these numbers say nothing of "
            "new rows.",
            InputWarning,
            stacklevel=2,
        )
    labels.encode(examples)  # cells that do not fit are told before anything is loaded
    return labels, examples


def _read_other(config: EvaluateConfig, first: tuple[Labels, Examples]) -> tuple[Labels, Examples]:
    """The same of the run to compare with."""
    from kerasbert.reporting.comparing import check_comparable

    check_comparable(first[0], read_config(Labels, check_run(config.against) / LABELS))
    second = _read(config, config.against)
    if list(first[1].rows) != list(second[1].rows):
        raise InputError(
            f"The two runs read different rows of {config.test}, as they read other columns of "
            "texts, and some are empty. Expected the same rows; name one column with --text-column."
        )
    return second


def _judge(config: EvaluateConfig, run: str, labels: Labels, examples: Examples) -> Judged:
    from kerasbert.inference import load

    classifier = load(run, config.precision)
    return Judged(labels, examples, classifier.raw_outputs(examples.texts, examples.pairs))


def _write(
    config: EvaluateConfig,
    judged: Judged,
    intervals: dict[str, Any],
    slices: dict[str, list],
    comparison: dict[str, Any] | None,
) -> tuple[Path, Path]:
    """Write the JSON file and the page; gives their places."""
    from kerasbert.reporting.page import write_page

    name = Path(config.test).stem
    output = Path(config.output or Path(config.run) / f"evaluation_{name}.json")
    values: dict[str, Any] = {"test": judged.report, "intervals": {"test": intervals}}
    if slices:
        values["slices"] = slices
    if comparison:
        values["comparison"] = comparison
    with written_file(output) as file:
        file.write(json_text(values))
    page = output.with_suffix(".html")
    write_page(
        page,
        {Path(config.test).name: judged},
        read_metadata(Path(config.run)),
        {Path(config.test).name: intervals},
        slices=slices,
        comparison=comparison,
    )
    return output, page


def _show(
    config: EvaluateConfig,
    judged: Judged,
    intervals: dict[str, Any],
    slices: dict[str, list],
    comparison: dict[str, Any] | None,
) -> None:
    """Print what was found."""
    from kerasbert.reporting.intervals import interval_table
    from kerasbert.reporting.printed import comparison_table, slices_table
    from kerasbert.reporting.versus import verdict

    console = Console()
    name = Path(config.test).name
    console.print(interval_table(judged.report, intervals, name), highlight=False)
    for column, parts in slices.items():
        console.print(slices_table(column, parts), highlight=False)
    if comparison:
        console.print(comparison_table(comparison), highlight=False)
        console.print(verdict(comparison), highlight=False, markup=False)


if __name__ == "__main__":
    _cli.run(main)
