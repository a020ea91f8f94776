"""`python -m kerasbert.tune`: many trainings, and which settings did best."""

import dataclasses
import functools
import shlex
import sys
import time

from rich.console import Console

from kerasbert import _cli, _runtime
from kerasbert.config import FitConfig
from kerasbert.config_checks import check
from kerasbert.config_search import Ranges, SearchConfig, check_sweep, with_values
from kerasbert.data.dataset import read_dataset, sample_notice
from kerasbert.errors import InputError
from kerasbert.search.place import choose_directory
from kerasbert.training.trackers import check_trackers


@dataclasses.dataclass(frozen=True)
class TuneConfig:
    """Train many times and keep the best: of learning rates, and of whatever else is named.

    One value of a flag below holds for all trials, several are searched. Any other flag of
    kerasbert.fit holds for all trials; --config, --output, --resume and --seed are among them.
    """

    search: SearchConfig = dataclasses.field(default_factory=SearchConfig)
    ranges: Ranges = dataclasses.field(default_factory=Ranges)

    # Processes on this machine that share the trials; 0 runs them in this one.
    workers: int = 0

    def __post_init__(self):
        check(self, "workers", self.workers >= 0, "be 0 or above")


def main(args: list[str]) -> None:
    """Do what `args` say."""
    started = time.perf_counter()
    tune, rest = _cli.parse_known(TuneConfig, "tune", args)
    _cli.check_flags(rest, TuneConfig, FitConfig)
    config = with_values(_cli.parse(FitConfig, "tune", rest), tune.ranges.fixed())
    check_sweep(config, tune.search, tune.ranges)
    check_trackers(config.record)
    if config.model.freeze_base and not tune.workers:  # which share the cores themselves
        _runtime.halve_threads()
    dataset = read_dataset(config.data, config.train.seed)
    # Only now, so that --help and a wrong column are answered without waiting for TensorFlow.
    _runtime.quiet()
    from kerasbert.search.sweeping import sweep, sweep_settings
    from kerasbert.search.workers import role, started_workers

    suggest = tune.ranges.suggest
    place = choose_directory(config, sweep_settings(config, tune.search, suggest))
    if role() != "alone" and config.output is None:
        raise InputError(
            "Name the sweep's directory with --output, the same for chief and workers."
        )
    start_workers = None
    if tune.workers:
        again = [*args, "--workers", "0", "--output", str(place.path)]
        start_workers = functools.partial(started_workers, count=tune.workers, args=again)
    try:
        found = sweep(
            place.path,
            config,
            tune.search,
            suggest=suggest,
            dataset=dataset,
            start_workers=start_workers,
            console=Console(stderr=True),
        )
    except KeyboardInterrupt:
        print("Interrupted. To go on: the same command with --resume.", file=sys.stderr)
        sys.exit(130)
    if found is not None:
        _show(found, started, None if config.data.train else sample_notice(dataset))


def _show(found, started: float, notice: str | None) -> None:
    """Print the trials, the winner and how to go on with it."""
    from kerasbert.metrics import report_table
    from kerasbert.search.table import sweep_table

    console = Console()
    console.print(sweep_table(found.trials, found.objective, found.is_higher_better))
    for name, report in found.report.items():
        console.print(report_table(report, f"trial {found.best.number}, {name}"), highlight=False)
    if notice:
        print(notice)
    directory = shlex.quote(str(found.directory))
    print(f"wrote {found.directory} after {time.perf_counter() - started:.0f} s. Use it:")
    print(f'  python -m kerasbert.predict {directory}/best --text "..."')
    print(
        f"  python -m kerasbert.fit --config {directory}/best.json --seed {found.config.train.seed}"
    )


if __name__ == "__main__":
    _cli.run(main)
