import dataclasses
import json
import shlex

import pytest

from kerasbert._cli import parse
from kerasbert.config import DataConfig, FitConfig, ModelConfig
from kerasbert.config_json import to_json
from kerasbert.config_train import ObjectiveConfig, OptimizerConfig, TrainConfig
from kerasbert.reporting.command_line import fit_command


def as_json(config):
    return json.loads(to_json(config))


@pytest.mark.parametrize(
    "config",
    [
        FitConfig(),
        FitConfig(
            DataConfig(train="a b.csv", label_columns=("x y", "it's"), limit=7),
            ModelConfig(freeze_base=True, hidden_units=(12, 13), pooling="mean", l2=0.0),
            TrainConfig(bucket=False, learning_rate=1e-05, epochs=1, seed=3),
        ),
        FitConfig(
            DataConfig(train="--odd.csv"),
            ModelConfig(head="linear", hidden_units=()),
            optimizer=OptimizerConfig(ema=0.99, schedule="cosine"),
            objective=ObjectiveConfig(class_weight='{"rude": 3}'),
            folds=3,
        ),
        FitConfig(seeds=(1, 2)),
    ],
)
def test_the_command_is_parsed_to_the_same_settings(config):
    words = shlex.split(fit_command(as_json(config)))
    assert words[:3] == ["python", "-m", "kerasbert.fit"]
    assert parse(FitConfig, "fit", words[3:]) == config


def test_what_is_read_off_the_data_is_no_flag():
    model = ModelConfig(task="multiclass", num_labels=5, target_mean=2.0)
    assert fit_command(as_json(FitConfig(model=model))) == "python -m kerasbert.fit"


def test_where_it_goes_is_left_out():
    config = FitConfig(output="somewhere", overwrite=True, resume=True)
    words = shlex.split(fit_command(as_json(config)))
    expected = dataclasses.replace(config, output=None, overwrite=False, resume=False)
    assert parse(FitConfig, "fit", words[3:]) == expected
