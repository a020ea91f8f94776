"""`python -m kerasbert.fit`: from a file of texts and labels to a directory of weights."""

import shlex
import sys
import time
from pathlib import Path

from rich.console import Console

from kerasbert import _cli, _runtime
from kerasbert.config import FitConfig
from kerasbert.data.dataset import Dataset, read_dataset, sample_notice
from kerasbert.places import SUMMARY, choose_output, unfinished_beside
from kerasbert.run_directory import PAGE
from kerasbert.training.trackers import check_trackers


def main(args: list[str]) -> None:
    """Do what `args` say: train once or several times, or look for a learning rate."""
    started = time.perf_counter()
    config = _cli.parse(FitConfig, "fit", args)
    check_trackers(config.record)
    if config.model.freeze_base:
        _runtime.halve_threads()
    output = choose_output(config)
    try:
        _do(config, output, args, started)
    except KeyboardInterrupt:
        if not unfinished_beside(output).directory.exists():
            raise
        print("Interrupted. To go on: the same command with --resume.", file=sys.stderr)
        sys.exit(130)


def _do(config: FitConfig, output: Path, args: list[str], started: float) -> None:
    if config.seeds or config.folds:
        _fit_repeatedly(output, config)
        print(f"saved {output} after {time.perf_counter() - started:.0f} s.")
        return
    dataset = read_dataset(config.data, config.train.seed)
    # Only now, so that --help and a wrong column are answered without waiting for TensorFlow.
    _runtime.quiet()
    if config.find_learning_rate:
        _find_learning_rate(output, config, dataset, args)
        return
    _fit(output, config, dataset, started)


def _fit(output: Path, config: FitConfig, dataset: Dataset, started: float) -> None:
    """Train, save the run, and print its report."""
    from kerasbert.metrics import report_table
    from kerasbert.runs import fit_to

    run = fit_to(output, config, dataset, console=Console(stderr=True))

    console = Console()
    for name, report in run.report.items():
        console.print(report_table(report, name), highlight=False)
    _say_how_it_decides(output, run, config)
    if config.data.train is None:
        print(sample_notice(dataset))
    print(f"saved {output} after {time.perf_counter() - started:.0f} s.")
    if (output / PAGE).is_file():
        print(f"How good it is: {output / PAGE}. Use it:")
    pair = " --pair ..." if config.data.pair_column else ""
    print(f'  python -m kerasbert.predict {shlex.quote(str(output))} --text "..."{pair}')
    if where := run.training.get("interrupted"):
        print(
            f"It was interrupted in epoch {where['epoch']}, after step {where['step']:,}, and is "
            "what was best by then.\nTo go on: the same command with --resume."
        )
        sys.exit(130)


def _say_how_it_decides(output: Path, run, config: FitConfig) -> None:
    """How the decision was chosen or, where nothing was, whether it should be."""
    from kerasbert.deciding.choosing import better_by
    from kerasbert.deciding.table import decision_lines

    if not config.decision.is_default:
        print(*decision_lines(run.labels), sep="\n")
        return
    better = better_by(run.judged["validation"]) if run.judged else None
    if better is not None:
        print(
            f"Other thresholds than 0.5 would decide better: macro F1 {better.macro_f1[0]:.3f} -> "
            f"{better.macro_f1[1]:.3f} on the validation rows. Without training again:\n"
            f"  python -m kerasbert.decide {shlex.quote(str(output))} --decide f1"
        )


def _fit_repeatedly(output: Path, config: FitConfig) -> None:
    """Train for each seed or fold, and print what the runs have in common."""
    _runtime.quiet()
    from kerasbert.metrics import report_table
    from kerasbert.repeats import OUT_OF_FOLD, fit_repeatedly
    from kerasbert.summary import summary_table

    summary = fit_repeatedly(output, config, console=Console(stderr=True))
    console, out_of_fold = Console(), summary.pop("out_of_fold", None)
    for name, part in summary.items():
        console.print(summary_table(part, name), highlight=False)
    if out_of_fold is not None:
        console.print(report_table(out_of_fold, "all rows, each held out once"), highlight=False)
        print(f"wrote {output / OUT_OF_FOLD}")
    print(f"wrote {output / SUMMARY}")


def _find_learning_rate(output: Path, config: FitConfig, dataset: Dataset, args: list[str]) -> None:
    """Run a range test, draw it, and print what it proposes."""
    from kerasbert.plots import draw_range_test
    from kerasbert.training.range_test import find_learning_rate

    test = find_learning_rate(config, dataset, console=Console(stderr=True))
    picture = output.with_name(f"{output.name}.learning_rate.png")
    picture.parent.mkdir(parents=True, exist_ok=True)
    draw_range_test(test.rates, test.losses, test.smoothed, test.proposal, picture)
    print(
        f"{len(test.rates)} steps at {test.rates[0]:.0e} to {test.rates[-1]:.0e}: the loss was "
        f"lowest at {test.lowest:.1e}. Drawn in {picture}. Proposed:"
    )
    done = ("--find-learning-rate", "--resume")
    again = [arg for arg in args if arg.replace("_", "-") not in done]
    if "--config" in "".join(again):  # which may ask for the test as well
        again.append("--no-find-learning-rate")
    print(f"  python -m kerasbert.fit {shlex.join(again)} --learning-rate {test.proposal:g}")


if __name__ == "__main__":
    _cli.run(main)
