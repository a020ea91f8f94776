"""Sweeps whose trainings are made up: the score is a function of the settings."""

import dataclasses
import json
from pathlib import Path

import pytest

from kerasbert import saving
from kerasbert.config_search import Ranges, SearchConfig
from kerasbert.data.dataset import read_dataset
from kerasbert.run_directory import CONFIG, METADATA, REPORT, WEIGHTS
from kerasbert.search import sweeping, winner
from kerasbert.search.running import TrialRunner
from kerasbert.search.sweeping import sweep
from kerasbert.training.unfinished import settings_digest
from tests.conftest import toy_config

REAL_TRAIN = TrialRunner.train
RATES = (1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)


def score_of(config) -> float:
    """Best at a learning rate of 0.03; a little better with more epochs."""
    return 1 / (1 + abs(config.train.learning_rate - 0.03)) - 0.1 / config.train.epochs


@dataclasses.dataclass(frozen=True)
class FakeRun:
    """What a training gives."""

    report: dict
    training: dict
    history: list = dataclasses.field(default_factory=list)
    judged: dict = dataclasses.field(default_factory=dict)
    data: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Fakes:
    """Takes the place of trainings.

    Attributes:
        score: of a config; what it raises, the training raises.
        trained: the configs that were trained, in order.
        datasets: what they were trained on.
    """

    score = staticmethod(score_of)
    trained: list = dataclasses.field(default_factory=list)
    datasets: list = dataclasses.field(default_factory=list)

    def train(self, runner, config, dataset=None, **options):
        self.trained.append(config)
        self.datasets.append(dataset)
        score = self.score(config)
        report = {"validation": {"count": 8, "loss": 1.0, "macro_f1": score, "labels": []}}
        training = {"best_epoch": 2, "interrupted": None, "settings": settings_digest(config)}
        return FakeRun(report, training)

    def save(self, directory, run, *, overwrite=False):
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        metadata = {"training": run.training, "report": run.report}
        for name, values in {METADATA: metadata, REPORT: run.report, CONFIG: {}}.items():
            (directory / name).write_text(json.dumps(values))
        (directory / WEIGHTS).touch()

    @property
    def rates(self):
        return [config.train.learning_rate for config in self.trained]


@pytest.fixture
def fakes(monkeypatch):
    """Sweeps in which nothing is trained and nothing drawn, of a base that is not there."""
    made = Fakes()
    monkeypatch.setattr(TrialRunner, "train", lambda *args, **options: made.train(*args, **options))
    monkeypatch.setattr(saving, "save", lambda *args, **options: made.save(*args, **options))
    monkeypatch.setattr(sweeping, "draw_sweep", lambda *args, **options: None)
    monkeypatch.setattr(winner, "_judge", lambda *args: None)
    monkeypatch.setattr(sweeping, "check_space", lambda *args: None)
    return made


@pytest.fixture
def search(tmp_path, comments_csv):
    """A function that sweeps over `RATES` in this test's directory."""
    dataset = read_dataset(toy_config("none", comments_csv).data, 0)

    def run(tuner="grid", trials=6, ranges=None, resume=False, **changes):
        settings = {"freeze_base": True, "epochs": 2, "head": "linear", "resume": resume}
        names = SearchConfig.__dataclass_fields__
        asked = {name: changes.pop(name) for name in tuple(changes) if name in names}
        config = toy_config("none", comments_csv, **settings | changes)
        ranges = ranges or Ranges(learning_rate=RATES)
        suggest = ranges.suggest if isinstance(ranges, Ranges) else ranges
        how = SearchConfig(tuner=tuner, trials=trials, **asked)
        return sweep(tmp_path / "sweep", config, how, suggest=suggest, dataset=dataset)

    return run


def table_of(trials):
    """What a sweep found, without the seconds it took."""
    return [dataclasses.replace(trial, seconds=None) for trial in trials]
