"""`python -m kerasbert.evaluate`: a trained classifier against labelled examples."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from kerasbert import _cli, _runtime
from kerasbert.config import DataConfig
from kerasbert.config_json import from_dict
from kerasbert.data.examples import read_examples
from kerasbert.run_directory import METADATA, check_run, read_json, write_json


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

    # Character encoding of CSV and JSON lines files.
    encoding: str = "utf-8"


def main(args: list[str]) -> None:
    """Score as `args` say, print the report and write it."""
    config = _cli.parse(EvaluateConfig, "evaluate", args)
    data = _data_config(Path(config.run))
    examples = read_examples(
        config.test,
        text_column=config.text_column or data.text_column,
        pair_column=config.pair_column or data.pair_column,
        label_columns=data.label_columns,
        encoding=config.encoding,
    )

    _runtime.quiet()
    from kerasbert.inference import load
    from kerasbert.metrics import build_report, report_table

    classifier = load(config.run)
    targets = classifier.run.labels.encode(examples)
    outputs = classifier.outputs(examples.texts, examples.pairs)
    report = build_report(classifier.run.labels, targets, outputs)
    Console().print(report_table(report, Path(config.test).name), highlight=False)
    output = Path(config.output or Path(config.run, f"evaluation_{Path(config.test).stem}.json"))
    write_json(output, {"test": report})
    print(f"wrote {output}")


def _data_config(run: Path) -> DataConfig:
    """The columns a run was trained on, read without loading its weights."""
    metadata = read_json(check_run(run) / METADATA)
    return from_dict(DataConfig, metadata["fit"]["data"])


if __name__ == "__main__":
    _cli.run(main)
