import dataclasses
import json

import pytest

import kerasbert
from kerasbert.config import DataConfig, FitConfig
from kerasbert.config_json import to_json
from tests.test_inference import make_classifier

NAMES = {
    "binary": ("civil", "rude"),
    "multiclass": ("a", "b", "c"),
    "multilabel": ("toxic", "insult", "threat"),
    "regression": ("score",),
}


@pytest.fixture(scope="session")
def saved_run(tmp_path_factory):
    """A function from a task to the directory of a run of it, with random weights, made once."""
    made = {}

    def make(task="binary", pair_column=None):
        if (task, pair_column) not in made:
            directory = tmp_path_factory.mktemp("runs") / f"toy-{task}"
            run = make_classifier(task, NAMES[task], pair_column).run
            fit = json.loads(to_json(FitConfig(data=DataConfig(pair_column=pair_column))))
            kerasbert.save(directory, dataclasses.replace(run, fit=fit))
            made[task, pair_column] = directory
        return made[task, pair_column]

    return make
