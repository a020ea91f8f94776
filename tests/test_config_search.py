import dataclasses
import json

import keras_tuner
import pytest

from kerasbert import _cli
from kerasbert.config import FitConfig, ModelConfig
from kerasbert.config_json import from_dict, to_json
from kerasbert.config_search import Ranges, SearchConfig, parse_widths, usual_rates, with_values
from kerasbert.config_train import TrainConfig
from kerasbert.errors import InputError
from kerasbert.tune import TuneConfig


def parse(*args):
    return _cli.parse_known(TuneConfig, "tune", args)


def suggested(ranges, config=None, **values):
    """The settings for these values, and the space that was asked for."""
    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.values = values
    config = ranges.suggest(hyperparameters, config or FitConfig())
    return config, {hp.name: hp for hp in hyperparameters.space}


def test_flags_of_the_sweep_and_those_that_are_left_for_fit():
    tune, rest = parse(
        "--learning-rate", "1e-5", "1e-2", "--freeze-base", "--tuner", "grid", "--trials", "7",
        "--hidden-units", "384,384", "128", "--seed", "3", "--head", "mlp", "--max-minutes", "1.5",
        "--batch-size=8", "--refit", "--workers", "2", "--objective", "val_loss",
    )  # fmt: skip
    assert rest == ["--freeze-base", "--seed", "3"]
    assert tune.search == SearchConfig("grid", 7, "val_loss", 1.5, refit=True)
    assert tune.ranges == Ranges((1e-5, 1e-2), ("mlp",), ("384,384", "128"), batch_size=(8,))
    assert tune.ranges.fixed() == {"head": "mlp", "batch_size": 8}
    assert tune.workers == 2
    assert parse() == (TuneConfig(), [])
    assert SearchConfig() == SearchConfig("random", 20, None, None, refit=False)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("--learning-rate 1e-2 1e-5", "`learning_rate` must be a range from low to high. Received"),
        ("--learning-rate 0 1", "`learning_rate` must be above 0, and finite. Received: "),
        ("--learning-rate 1e-3 1e-4 inf", "`learning_rate` must be above 0, and finite"),
        ("--dropout 0.1 0.1", "`dropout` must be different values. Received: dropout=(0.1, 0.1)."),
        ("--dropout 0.5 1", "`dropout` must be at least 0 and below 1. Received: dropout=1.0."),
        ("--l2 -1 1", "`l2` must be 0 or above, and finite. Received: l2=-1.0."),
        ("--head mpl linear", "`head` must be one of 'linear', "),
        ("--pooling meen cls", "Received: pooling='meen'. Did you mean 'mean'?"),
        ("--freeze-layers 1 -1", "`freeze_layers` must be 0 or above. Received: freeze_layers=-1."),
        ("--batch-size 0 8", "`batch_size` must be above 0"),
        ("--max-length 2 32", "`max_length` must be at least 4"),
        ("--hidden-units 384,x", "such as 384,128. Received: '384,x'."),
        ("--head linear pretrained --hidden-units 8 9", "be left out where no head has hidden"),
        ("--head linear --hidden-units 8 9", "be left out where no head has hidden layers"),
        ("--epochs two", "Error parsing --epochs"),
        ("--tuner bayes", "Received: tuner='bayes'. Did you mean 'bayesian'?"),
        ("--objective val_f1", "Did you mean 'val_macro_f1'?"),
        ("--trials 0", "`trials` must be above 0. Received: trials=0."),
        ("--max-minutes 0", "`max_minutes` must be above 0, and finite. Received"),
        ("--workers -1", "`workers` must be 0 or above. Received: workers=-1."),
    ],
)
def test_what_cannot_be_searched(args, message):
    with pytest.raises(InputError) as caught:
        parse(*args.split())
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("flag", "nearest"),
    [
        ("--trails", "--trials"),
        ("--max-minute=3", "--max-minutes"),
        ("--learning-rates", "--learning-rate"),
        ("--frezee-base", "--freeze-base"),
        ("--no-cahce", "--no-cache"),
    ],
)
def test_the_nearest_flag_is_of_the_sweep_or_of_fit(flag, nearest):
    with pytest.raises(InputError, match=rf"options: {flag[:9]}.*\. Did you mean {nearest}\?$"):
        _cli.check_flags(["--train", "a.csv", flag, "3"], TuneConfig, FitConfig)


def test_flags_of_both_are_known():
    _cli.check_flags(
        ["--config=a.json", "--freeze_base", "--no-bucket", "--trials", "-3", "--resume"],
        *(TuneConfig, FitConfig),
    )


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (FitConfig(model=ModelConfig(freeze_base=True)), (2e-4, 1e-1)),
        (FitConfig(model=ModelConfig(lora_rank=8)), (2e-5, 1e-2)),
        (FitConfig(), (1e-6, 5e-4)),
        (FitConfig(train=TrainConfig(learning_rate=3e-4)), (3e-4,)),
    ],
)
def test_the_usual_learning_rates(config, expected):
    assert usual_rates(config) == pytest.approx(expected)


def test_without_a_range_learning_rates_are_searched():
    config, space = suggested(Ranges(), learning_rate=1e-5)
    assert list(space) == ["learning_rate"]
    rate = space["learning_rate"]
    assert (rate.min_value, rate.max_value) == pytest.approx((1e-6, 5e-4))
    assert rate.sampling == "log"
    assert config == FitConfig(train=TrainConfig(learning_rate=1e-5))


def test_two_numbers_are_a_range_and_more_are_choices():
    ranges = Ranges(learning_rate=(1e-5, 1e-2), dropout=(0.0, 0.5), l2=(0.0, 0.1))
    space = suggested(ranges)[1]
    assert {name: (hp.min_value, hp.max_value, hp.sampling) for name, hp in space.items()} == {
        "learning_rate": (1e-5, 1e-2, "log"),
        "dropout": (0.0, 0.5, "linear"),
        "l2": (0.0, 0.1, "linear"),
    }
    assert suggested(Ranges(l2=(1e-4, 0.1)))[1]["l2"].sampling == "log"
    ranges = Ranges(learning_rate=(1e-5, 1e-2, 1e-3), epochs=(1, 3), batch_size=(8, 16))
    space = suggested(ranges)[1]
    assert {name: list(hp.values) for name, hp in space.items()} == {
        "learning_rate": [1e-5, 1e-2, 1e-3], "epochs": [1, 3], "batch_size": [8, 16]
    }  # fmt: skip


def test_each_value_has_its_place_in_the_settings():
    ranges = Ranges(
        learning_rate=(1e-5, 1e-2), head=("linear", "mlp"), hidden_units=("128", "384,128"),
        dropout=(0.0, 0.5), l2=(0.0, 0.1), pooling=("cls", "mean"), freeze_layers=(0, 2),
        batch_size=(8, 16), epochs=(1, 3), max_length=(64, 128), base=("minilm", "other"),
    )  # fmt: skip
    assert all(len(values) == 2 for values in dataclasses.asdict(ranges).values())
    held = FitConfig(train=TrainConfig(seed=5, patience=2), resume=True)
    chosen = {
        **{"learning_rate": 1e-3, "head": "mlp", "hidden_units": "384,128", "dropout": 0.25},
        **{"l2": 0.05, "pooling": "mean", "freeze_layers": 2, "batch_size": 16, "epochs": 3},
        **{"max_length": 128, "base": "other"},
    }
    config, space = suggested(ranges, held, **chosen)
    assert set(space) == set(chosen)
    assert config.model == ModelConfig(
        base="other", head="mlp", hidden_units=(384, 128), dropout=0.25, l2=0.05, pooling="mean",
        freeze_layers=2, max_length=128,
    )  # fmt: skip
    assert config.train == TrainConfig(
        learning_rate=1e-3, batch_size=16, epochs=3, seed=5, patience=2
    )
    assert config.resume
    assert from_dict(FitConfig, json.loads(to_json(config))) == config


def test_hidden_layers_of_the_heads_that_have_them():
    ranges = Ranges(head=("linear", "classification", "mlp"), hidden_units=("128", "64"))
    units = {
        head: suggested(ranges, head=head, hidden_units="64")[0].model.hidden_units
        for head in ranges.head
    }
    assert units == {"linear": None, "classification": (64,), "mlp": (64,)}
    hyperparameters = keras_tuner.HyperParameters()
    hyperparameters.values = {"head": "linear"}
    ranges.suggest(hyperparameters, FitConfig())
    assert set(hyperparameters.values) == {"head", "learning_rate"}
    # What holds for all trials holds for those heads.
    one = Ranges(head=("linear", "mlp"), hidden_units=("384,384",))
    held = with_values(FitConfig(), one.fixed())
    assert suggested(one, held, head="mlp")[0].model.hidden_units == (384, 384)
    assert suggested(one, held, head="linear")[0].model.hidden_units is None
    assert suggested(Ranges(hidden_units=("8", "9,9")), hidden_units="9,9")[0].model.head == "mlp"


def test_widths():
    assert parse_widths("384,128") == (384, 128)
    assert parse_widths("64") == (64,)


def test_the_objective_of_a_task():
    assert SearchConfig().objective_for("multiclass") == "val_macro_f1"
    assert SearchConfig().objective_for("regression") == "val_pearson"
    assert SearchConfig(objective="val_loss").objective_for("regression") == "val_loss"
    with pytest.raises(InputError, match="val_pearson has no value for binary"):
        SearchConfig(objective="val_pearson").objective_for("binary")
    with pytest.raises(InputError, match=r"has no value for regression\. .* or val_pearson\."):
        SearchConfig(objective="val_accuracy").objective_for("regression")


def test_values_that_do_not_go_together():
    with pytest.raises(InputError, match="`lora_rank` must be left out with --freeze-base"):
        with_values(FitConfig(model=ModelConfig(lora_rank=4)), {"freeze_base": True})
