"""Commands that are killed, in processes that are copies of one which has loaded all libraries.

Linux copies it in no time, where TensorFlow takes seconds to load.
"""

import multiprocessing
import os
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import safetensors.numpy

from kerasbert import _cli, fit, tune
from kerasbert.search.running import TrialRunner
from kerasbert.search.sweeping import sweep  # noqa: F401, which `tune` imports late
from kerasbert.training.recorder import Recorder


def start(target, *args, log) -> BaseProcess:
    """Begin a process that calls a function of this module; what it says is added to a file."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["kerasbert.serving.preloaded", __name__])
    process = context.Process(target=_say_to, args=(str(log), target, *args))
    process.start()
    return process


def _say_to(log, target, *args):
    with open(log, "ab") as file:
        for descriptor in (1, 2):
            os.dup2(file.fileno(), descriptor)
    target(*args)


def _die():
    os.kill(os.getpid(), signal.SIGKILL)


def fit_until(kind: str, number: int, args: list[str]) -> None:
    """Kill at a step, after an epoch or within a checkpoint; the kind "" is for never."""
    take_step, end_epoch = Recorder.step, Recorder.end_epoch
    save_file, written = safetensors.numpy.save_file, []

    def step(self, progress, **numbers):
        take_step(self, progress, **numbers)
        if kind == "step" and progress.num_steps == number:
            _die()

    def between(self, progress, report):
        end_epoch(self, progress, report)
        if kind == "epoch" and progress.epoch == number:
            _die()

    def half(arrays, path):
        written.append(path)
        save_file(arrays, path)
        if kind == "checkpoint" and len(written) == number:
            os.truncate(path, path.stat().st_size // 2)
            _die()

    Recorder.step, Recorder.end_epoch, safetensors.numpy.save_file = step, between, half
    fit.main(args)


def tune_until(number: int, args: list[str]) -> None:
    """Kill at a step, counted through all trials."""
    take_step, taken = Recorder.step, []

    def step(self, progress, **numbers):
        take_step(self, progress, **numbers)
        taken.append(progress.num_steps)
        if len(taken) == number:
            _die()

    Recorder.step = step
    tune.main(args)


def work(place: Path, environment: dict[str, str], args: list[str]) -> None:
    """Be one of two workers.

    Both begin a trial before either goes on; worker1 is killed in its second one, and worker2 waits
    with its own until it is. No other order of things tells more.
    """
    os.environ |= environment | {"KERASBERT_CHIEF_PROCESS": str(os.getppid())}
    name, train_trial, begun = environment["KERASTUNER_TUNER_ID"], TrialRunner.train, []

    def train(*args, **options):
        begun.append(name)
        (place / f"{name}-{len(begun)}").touch()
        others = ["worker1-1", "worker2-1"] if len(begun) == 1 else ["worker1-2"]
        until = time.monotonic() + 60
        while not all((place / other).exists() for other in others) and time.monotonic() < until:
            time.sleep(0.01)
        if (name, len(begun)) == ("worker1", 2):
            _die()
        return train_trial(*args, **options)

    TrialRunner.train = train
    _cli.run(lambda _: tune.main(args))
