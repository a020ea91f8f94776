import dataclasses
import math
import os
import re
import subprocess
import sys

import pytest

from kerasbert.config import DataConfig, FitConfig, ModelConfig
from kerasbert.config_decide import DecisionConfig
from kerasbert.config_train import ObjectiveConfig, OptimizerConfig, RecordConfig, TrainConfig
from kerasbert.errors import InputError


def message_of(function, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        function(*args, **kwargs)
    return str(caught.value)


@pytest.mark.parametrize(
    ("config_class", "values", "message"),
    [
        (
            DataConfig,
            {"label_columns": ()},
            "`label_columns` must be a list of at least one column. Received: label_columns=().",
        ),
        (
            DataConfig,
            {"label_columns": "label"},
            "`label_columns` must be a list of at least one column. "
            "Received: label_columns='label'.",
        ),
        (
            DataConfig,
            {"label_columns": ("a", "b", "a")},
            "`label_columns` must name each column once. Received: label_columns=('a', 'b', 'a').",
        ),
        (
            DataConfig,
            {"validation_fraction": 0.0},
            "`validation_fraction` must be above 0 and below 1. Received: validation_fraction=0.0.",
        ),
        (
            DataConfig,
            {"validation_fraction": 1.0},
            "`validation_fraction` must be above 0 and below 1. Received: validation_fraction=1.0.",
        ),
        (DataConfig, {"limit": 0}, "`limit` must be above 0. Received: limit=0."),
        (
            DataConfig,
            {"task": "binry"},
            "`task` must be one of 'auto', 'binary', 'multiclass', 'multilabel', 'regression'. "
            "Received: task='binry'. Did you mean 'binary'?",
        ),
        (
            ModelConfig,
            {"freeze_layers": -1},
            "`freeze_layers` must be 0 or above. Received: freeze_layers=-1.",
        ),
        (
            ModelConfig,
            {"head": "mpl"},
            "`head` must be one of 'linear', 'classification', 'mlp', 'pretrained'. "
            "Received: head='mpl'. Did you mean 'mlp'?",
        ),
        (
            ModelConfig,
            {"pooling": "men"},
            "`pooling` must be one of 'cls', 'mean', 'max', 'pooler', 'last'. "
            "Received: pooling='men'. Did you mean 'mean'?",
        ),
        (
            ModelConfig,
            {"dropout": 1.0},
            "`dropout` must be at least 0 and below 1. Received: dropout=1.0.",
        ),
        (
            ModelConfig,
            {"dropout": -0.1},
            "`dropout` must be at least 0 and below 1. Received: dropout=-0.1.",
        ),
        (
            ModelConfig,
            {"dropout": math.nan},
            "`dropout` must be at least 0 and below 1. Received: dropout=nan.",
        ),
        (
            ModelConfig,
            {"pooling": "avg"},
            "`pooling` must be one of 'cls', 'mean', 'max', 'pooler', 'last'. "
            "Received: pooling='avg'.",
        ),
        (ModelConfig, {"l2": -0.01}, "`l2` must be 0 or above, and finite. Received: l2=-0.01."),
        (
            ModelConfig,
            {"l2": math.inf},
            "`l2` must be 0 or above, and finite. Received: l2=inf.",
        ),
        (
            ModelConfig,
            {"l2": math.nan},
            "`l2` must be 0 or above, and finite. Received: l2=nan.",
        ),
        (
            ModelConfig,
            {"max_length": 3},
            "`max_length` must be at least 4. Received: max_length=3.",
        ),
        (
            ModelConfig,
            {"task": "auto"},
            "`task` must be one of 'binary', 'multiclass', 'multilabel', 'regression'. "
            "Received: task='auto'.",
        ),
        (
            ModelConfig,
            {"num_labels": 1},
            "`num_labels` must be from 2 to 2 for binary. Received: num_labels=1.",
        ),
        (
            ModelConfig,
            {"num_labels": 3},
            "`num_labels` must be from 2 to 2 for binary. Received: num_labels=3.",
        ),
        (
            ModelConfig,
            {"task": "multiclass", "num_labels": 1},
            "`num_labels` must be from 2 to inf for multiclass. Received: num_labels=1.",
        ),
        (
            ModelConfig,
            {"task": "multilabel", "num_labels": 0},
            "`num_labels` must be from 1 to inf for multilabel. Received: num_labels=0.",
        ),
        (
            ModelConfig,
            {"task": "regression", "num_labels": 2},
            "`num_labels` must be from 1 to 1 for regression. Received: num_labels=2.",
        ),
        (
            ModelConfig,
            {"target_scale": 0.0},
            "`target_scale` must be above 0, and finite. Received: target_scale=0.0.",
        ),
        (
            ModelConfig,
            {"target_scale": math.inf},
            "`target_scale` must be above 0, and finite. Received: target_scale=inf.",
        ),
        (
            ModelConfig,
            {"target_scale": math.nan},
            "`target_scale` must be above 0, and finite. Received: target_scale=nan.",
        ),
        (
            ModelConfig,
            {"target_mean": -math.inf},
            "`target_mean` must be finite. Received: target_mean=-inf.",
        ),
        (
            ModelConfig,
            {"target_mean": math.nan},
            "`target_mean` must be finite. Received: target_mean=nan.",
        ),
        (
            ModelConfig,
            {"hidden_units": (4, 0)},
            "`hidden_units` must be above 0. Received: hidden_units=(4, 0).",
        ),
        (
            ModelConfig,
            {"head": "linear", "hidden_units": (4,)},
            "`hidden_units` must be left out with --head linear. Received: hidden_units=(4,).",
        ),
        (
            ModelConfig,
            {"head": "classification", "hidden_units": (4, 5)},
            "`hidden_units` must be one width with --head classification. "
            "Received: hidden_units=(4, 5).",
        ),
        (
            ModelConfig,
            {"head": "mlp", "hidden_units": ()},
            "`hidden_units` must be at least one width with --head mlp. Received: hidden_units=().",
        ),
        (
            FitConfig,
            {"train": TrainConfig(epochs=0)},
            "`epochs` must be above 0, but with --head pretrained. Received: epochs=0.",
        ),
        (
            TrainConfig,
            {"precision": "bfloat16"},
            "`precision` must be one of 'auto', 'float32', 'mixed_bfloat16', 'mixed_float16'. "
            "Received: precision='bfloat16'. Did you mean 'mixed_bfloat16'?",
        ),
        (
            ModelConfig,
            {"lora_rank": -1},
            "`lora_rank` must be 0 or above. Received: lora_rank=-1.",
        ),
        (
            ModelConfig,
            {"lora_rank": 8, "freeze_base": True},
            "`lora_rank` must be left out with --freeze-base, which trains no block. "
            "Received: lora_rank=8.",
        ),
        (
            ModelConfig,
            {"truncation": "longest"},
            "`truncation` must be one of 'longest_first', 'proportional'. "
            "Received: truncation='longest'. Did you mean 'longest_first'?",
        ),
    ],
)
def test_a_value_out_of_range_is_refused(config_class, values, message):
    assert message_of(config_class, **values) == message


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"train": TrainConfig(unfreeze_from=2), "model": ModelConfig(freeze_base=True)},
            "`unfreeze_from` must be left out with --freeze-base, which keeps the base frozen. "
            "Received: unfreeze_from=2.",
        ),
        (
            {"train": TrainConfig(epochs=3, unfreeze_from=4)},
            "`unfreeze_from` must be at most 3, the number of epochs. Received: unfreeze_from=4.",
        ),
        (
            {"keep_lora": True},
            "`keep_lora` must come with --lora-rank, which makes what is kept. "
            "Received: keep_lora=True.",
        ),
        (
            {"seeds": ()},
            "`seeds` must be different seeds. Received: seeds=().",
        ),
        (
            {"seeds": (1, 2, 1)},
            "`seeds` must be different seeds. Received: seeds=(1, 2, 1).",
        ),
        (
            {"seeds": (0, -1)},
            "`seeds` must be from 0 to below 2^32. Received: seeds=(0, -1).",
        ),
        (
            {"seeds": (2**32,)},
            "`seeds` must be from 0 to below 2^32. Received: seeds=(4294967296,).",
        ),
        (
            {"seeds": (1, 2), "folds": 5},
            "`seeds` must be left out with --folds. Received: seeds=(1, 2).",
        ),
        ({"folds": 1}, "`folds` must be 2 or above. Received: folds=1."),
        (
            {"folds": 5, "data": DataConfig(validation="b.csv")},
            "`validation` must be left out with --folds, which holds out parts of the training "
            "file. Received: validation='b.csv'.",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(values, message):
    assert message_of(FitConfig, **values) == message


@pytest.mark.parametrize(
    "values",
    [
        {"train": TrainConfig(epochs=2, unfreeze_from=2, gradual=True)},
        # How many epochs there will be the data decide.
        {"train": TrainConfig(epochs=2, unfreeze_from=9, max_steps=1000)},
        {"train": TrainConfig(epochs=0), "model": ModelConfig(head="pretrained")},
        {"keep_lora": True, "model": ModelConfig(lora_rank=1)},
        {"seeds": (0, 2**32 - 1), "data": DataConfig(validation="b.csv")},
        {"folds": 2},
    ],
)
def test_what_goes_together_is_accepted(values):
    config = FitConfig(**values)
    assert {name: getattr(config, name) for name in values} == values


@pytest.mark.parametrize(
    ("config_class", "values"),
    [
        (DataConfig, {"limit": 1, "validation_fraction": 0.999}),
        (ModelConfig, {"freeze_layers": 0, "dropout": 0.0, "l2": 0.0, "max_length": 4}),
        (ModelConfig, {"head": "linear", "hidden_units": ()}),
        (ModelConfig, {"head": "classification", "hidden_units": (1,)}),
        (ModelConfig, {"head": "mlp", "hidden_units": (1, 2, 3)}),
        (DataConfig, {"label_columns": ("label",)}),
        (ModelConfig, {"task": "binary", "num_labels": 2}),
        (ModelConfig, {"task": "multiclass", "num_labels": 2}),
        (ModelConfig, {"task": "multiclass", "num_labels": 1000}),
        (ModelConfig, {"task": "multilabel", "num_labels": 1}),
        (ModelConfig, {"task": "multilabel", "num_labels": 1000}),
        (ModelConfig, {"task": "regression", "num_labels": 1}),
        (ModelConfig, {"target_mean": -1e30, "target_scale": 1e-30}),
        (ModelConfig, {"lora_rank": 1, "freeze_layers": 1, "truncation": "proportional"}),
    ],
)
def test_the_values_at_the_edge_are_accepted(config_class, values):
    config = config_class(**values)
    assert {name: getattr(config, name) for name in values} == values


@pytest.mark.parametrize("config", [DataConfig(), ModelConfig(), FitConfig()])
def test_a_config_cannot_be_changed(config):
    name = dataclasses.fields(config)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, name, "other")


@pytest.fixture(scope="module")
def help_text():
    """What `python -m kerasbert.fit --help` prints."""
    done = subprocess.run(
        [sys.executable, "-m", "kerasbert.fit", "--help"],
        # Too narrow for two boxes side by side, wide enough for each flag with its choices.
        env=os.environ | {"COLUMNS": "100"},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def help_of_flags(help_text):
    """Flag to the text of its help."""
    texts, flag = {}, None
    # Each flag begins a row of a box; its help stands behind a gap, or on the next rows.
    for row in help_text.splitlines():
        if not row.startswith("│"):
            flag = None
        elif begun := re.match(r"│ (--?[-\w]+)", row):
            flag = begun[1]
            texts[flag] = " ".join(re.split(r"\s{2,}", row.strip(" │"))[1:])
        elif flag:
            texts[flag] = f"{texts[flag]} {row.strip(' │')}".strip()
    return texts


GROUPS = (
    *(DataConfig, ModelConfig, TrainConfig, OptimizerConfig, ObjectiveConfig, DecisionConfig),
    *(RecordConfig, FitConfig),
)


def flags_of(config_class):
    hidden = {"task", "num_labels", "target_mean", "target_scale"}
    names = {field.name for field in dataclasses.fields(config_class)}
    if config_class is ModelConfig:
        names -= hidden
    if config_class is FitConfig:
        names -= {"data", "model", "train", "optimizer", "objective", "decision", "record"}
    return {"--" + name.replace("_", "-") for name in names}


@pytest.mark.parametrize("config_class", GROUPS)
def test_each_field_is_a_flag_with_help(config_class, help_of_flags):
    for flag in flags_of(config_class):
        text, _, default = help_of_flags[flag].partition("(default: ")
        assert len(text.split()) >= 3, flag
        assert text.rstrip().endswith("."), flag
        assert default, flag


def test_the_comment_above_a_field_is_its_help(help_of_flags):
    assert help_of_flags["--dropout"] == (
        "Share of the head's features set to zero in training, 0 to below 1, against "
        "overfitting. (default: 0.15)"
    )


def test_there_are_no_other_flags(help_of_flags):
    ours = set.union(*map(flags_of, GROUPS))
    assert set(help_of_flags) == ours | {"-h"}


@pytest.mark.parametrize(
    "line",
    [
        "--task {auto,binary,multiclass,multilabel,regression}",
        "--head {linear,classification,mlp,pretrained}",
        "--pooling {cls,mean,max,pooler,last}",
        "--precision {auto,float32,mixed_bfloat16,mixed_float16}",
        "--monitor {val_loss,val_accuracy,val_macro_f1,val_roc_auc,val_pearson}",
        "--schedule {linear,cosine,constant}",
        "--class-weight {none,balanced,JSON}",
        "--label-columns STR [STR ...]",
        "--hidden-units INT [INT ...]",
    ],
)
def test_the_choices_stand_beside_their_flag(line, help_text):
    # The help of a short flag stands beside it, behind a gap.
    rows = [row.strip(" │") for row in help_text.splitlines()]
    assert line in [re.split(r"\s{2,}", row)[0] for row in rows]


@pytest.mark.parametrize("several", [{"seeds": (0, 1)}, {"folds": 3}], ids=str)
def test_a_range_test_is_one(several):
    with pytest.raises(InputError, match="`find_learning_rate` must be left out with --seeds"):
        FitConfig(find_learning_rate=True, **several)
