"""`python -m kerasbert.fit`: from a file of texts and labels to a directory of weights."""

import shlex
import time

from rich.console import Console

from kerasbert import _cli, _runtime
from kerasbert.config import FitConfig
from kerasbert.data.dataset import read_dataset
from kerasbert.places import choose_output


def main(args: list[str]) -> None:
    """Train as `args` say, save the run, and print its report."""
    started = time.perf_counter()
    config = _cli.parse(FitConfig, "fit", args)
    output = choose_output(config)
    dataset = read_dataset(config.data, config.train.seed)

    # Only here, so that --help and a wrong column are answered without waiting for TensorFlow.
    _runtime.quiet()
    from kerasbert.metrics import report_table
    from kerasbert.runs import fit_to

    run = fit_to(output, config, dataset, console=Console(stderr=True))

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
    if run.training["interrupted"]:
        print(
            "It was interrupted in epoch {epoch}, after step {step:,}, and is what was best by "
            "then.\nTo go on: the same command with --resume.".format(**run.training["interrupted"])
        )


if __name__ == "__main__":
    _cli.run(main)
