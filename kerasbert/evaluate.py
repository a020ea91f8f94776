"""`python -m kerasbert.evaluate`: a trained classifier against labelled examples."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from kerasbert import _cli, _runtime
from kerasbert.config import RUNNING_PRECISIONS
from kerasbert.config_checks import one_of
from kerasbert.config_json import read_config
from kerasbert.data.examples import read_examples
from kerasbert.data.labels import Labels
from kerasbert.output_files import check_output_file, written_file
from kerasbert.run_directory import LABELS, check_run, json_text, read_metadata


@dataclasses.dataclass(frozen=True)
class EvaluateConfig:
    """The report of a run on a file of labelled texts, printed and written as JSON."""

    # Directory that `python -m kerasbert.fit` wrote.
    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]

    # File of texts and labels (.csv, .parquet, .jsonl), with the columns of the training file.
    test: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="TEST")]

    # JSON file to write. Default: evaluation_NAME.json in the run's directory.
    output: str | None = None

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
    """Score as `args` say, print the report and write it."""
    config = _cli.parse(EvaluateConfig, "evaluate", args)
    run = check_run(config.run)
    labels = read_config(Labels, run / LABELS)
    data = read_metadata(run)["fit"]["data"]
    if config.output is not None:
        check_output_file(config.output, ".json", config.overwrite)
    output = Path(config.output or run / f"evaluation_{Path(config.test).stem}.json")
    examples = read_examples(
        config.test,
        text_column=config.text_column or data["text_column"],
        pair_column=config.pair_column or data["pair_column"],
        label_columns=labels.columns,
        encoding=config.encoding,
    )
    targets = labels.encode(examples)

    _runtime.quiet()
    from kerasbert.inference import load
    from kerasbert.metrics import build_report, report_table

    outputs = load(run, config.precision).outputs(examples.texts, examples.pairs)
    report = build_report(labels, targets, outputs)
    with written_file(output) as file:
        file.write(json_text({"test": report}))
    Console().print(report_table(report, Path(config.test).name), highlight=False)
    print(f"wrote {output}")


if __name__ == "__main__":
    _cli.run(main)
