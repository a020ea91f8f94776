"""`python -m kerasbert.fit`: from a file of texts and labels to a directory of weights."""

import itertools
import shlex
import time
from pathlib import Path

from rich.console import Console

from kerasbert import _cli, _runtime
from kerasbert.config import FitConfig
from kerasbert.data.dataset import read_dataset
from kerasbert.run_directory import check_output


def main(args: list[str]) -> None:
    """Train as `args` say, save the run, and print its report."""
    started = time.perf_counter()
    config = _cli.parse(FitConfig, "fit", args)
    output = config.output or _free_directory(config)
    check_output(output, config.overwrite)
    dataset = read_dataset(config.data, config.train.seed)

    # Only here, so that --help and a wrong column are answered without waiting for TensorFlow.
    _runtime.quiet()
    from kerasbert import saving
    from kerasbert.metrics import report_table
    from kerasbert.training.fitting import fit_classifier

    run = fit_classifier(config, dataset, console=Console(stderr=True))
    saving.save(output, run, overwrite=config.overwrite)

    console = Console()
    for name, report in run.report.items():
        console.print(report_table(report, name), highlight=False)
    if config.data.train is None:
        print(
            f"This is the packaged sample, {len(dataset.train):,} + {len(dataset.validation):,} "
            "comments for trying things out.\nFor numbers that mean something, name your own data "
            "with --train."
        )
    print(f"saved {output} after {time.perf_counter() - started:.0f} s. Use it:")
    pair = " --pair ..." if config.data.pair_column else ""
    print(f'  python -m kerasbert.predict {shlex.quote(str(output))} --text "..."{pair}')


def _free_directory(config: FitConfig) -> Path:
    data = Path(config.data.train).stem if config.data.train else "sample"
    base = Path(config.model.base).name
    for number in itertools.count(1):
        directory = Path("saved_weights", f"{data}-{base}" + (f"-{number}" if number > 1 else ""))
        if not directory.exists():
            return directory


if __name__ == "__main__":
    _cli.run(main)
