import dataclasses
import json
import os
import re
import subprocess
import sys

import pytest

from kerasbert.config import (
    DataConfig,
    FitConfig,
    ModelConfig,
    TrainConfig,
    from_dict,
    read_json,
    to_json,
)
from kerasbert.errors import InputError

MODEL_KEYS = (
    "base, freeze_base, freeze_layers, freeze_embeddings, head, hidden_units, dropout, l2, "
    "pooling, max_length, task, num_labels, target_mean, target_scale"
)

# Every field unlike its default.
CHANGED = FitConfig(
    data=DataConfig(
        train="train.csv",
        validation="validation.parquet",
        test="test.jsonl",
        text_column="comment",
        pair_column="reply",
        label_columns=("rude", "kind"),
        task="multilabel",
        validation_fraction=0.25,
        limit=77,
        encoding="cp1252",
    ),
    model=ModelConfig(
        base="some/base",
        freeze_base=True,
        freeze_layers=2,
        freeze_embeddings=True,
        head="classification",
        hidden_units=(13,),
        dropout=0.5,
        l2=0.125,
        pooling="mean",
        max_length=99,
        task="multilabel",
        num_labels=7,
        target_mean=1.5,
        target_scale=2.5,
    ),
    train=TrainConfig(
        epochs=5, batch_size=37, learning_rate=3e-4, precision="mixed_float16", seed=11
    ),
    output="runs/one",
    overwrite=True,
)


def leaves(config):
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from leaves(value)
        else:
            yield field.name, value


def message_of(function, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        function(*args, **kwargs)
    return str(caught.value)


def test_json_there_and_back(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(to_json(CHANGED), encoding="utf-8")
    unchanged = [
        name
        for (name, value), (_, default) in zip(leaves(CHANGED), leaves(FitConfig()), strict=True)
        if value == default
    ]
    assert not unchanged
    assert read_json(FitConfig, path) == CHANGED
    assert from_dict(FitConfig, json.loads(to_json(CHANGED))) == CHANGED


def test_defaults_there_and_back():
    assert from_dict(FitConfig, json.loads(to_json(FitConfig()))) == FitConfig()


def test_keys_left_out_keep_their_defaults():
    config = from_dict(FitConfig, {"train": {"epochs": 9}})
    assert config == FitConfig(train=TrainConfig(epochs=9))


def test_a_list_becomes_a_tuple_and_a_whole_number_a_float():
    config = from_dict(ModelConfig, {"hidden_units": [4, 5], "dropout": 0})
    assert config.hidden_units == (4, 5)
    assert type(config.dropout) is float


@pytest.mark.parametrize(
    ("config_class", "values", "message"),
    [
        (
            FitConfig,
            {"trian": {}},
            "Unknown key 'trian'. Did you mean 'train'? "
            "Known keys: data, model, train, output, overwrite.",
        ),
        (
            FitConfig,
            {"model": {"dropuot": 0.1}},
            f"Unknown key 'dropuot' in 'model'. Did you mean 'dropout'? Known keys: {MODEL_KEYS}.",
        ),
        (
            FitConfig,
            {"model": {"qqq": 1}},
            f"Unknown key 'qqq' in 'model'. Known keys: {MODEL_KEYS}.",
        ),
    ],
)
def test_an_unknown_key_is_answered_with_the_nearest(config_class, values, message):
    assert message_of(from_dict, config_class, values) == message


@pytest.mark.parametrize(
    ("config_class", "values", "message"),
    [
        (FitConfig, [], "Expected an object of settings. Received: []."),
        (FitConfig, {"model": 3}, "Expected an object of settings in 'model'. Received: 3."),
        (FitConfig, {"overwrite": 1}, "`overwrite` must be bool. Received: overwrite=1."),
        (TrainConfig, {"epochs": "3"}, "`epochs` must be int. Received: epochs='3'."),
        (TrainConfig, {"epochs": 3.0}, "`epochs` must be int. Received: epochs=3.0."),
        (TrainConfig, {"epochs": True}, "`epochs` must be int. Received: epochs=True."),
        (TrainConfig, {"seed": None}, "`seed` must be int. Received: seed=None."),
        (ModelConfig, {"dropout": "0.1"}, "`dropout` must be float. Received: dropout='0.1'."),
        (ModelConfig, {"dropout": False}, "`dropout` must be float. Received: dropout=False."),
        (ModelConfig, {"base": 7}, "`base` must be str. Received: base=7."),
        (
            ModelConfig,
            {"hidden_units": [4, "5"]},
            "`hidden_units` must be int. Received: hidden_units='5'.",
        ),
    ],
)
def test_a_value_of_another_type_is_refused(config_class, values, message):
    assert message_of(from_dict, config_class, values) == message


@pytest.mark.parametrize(
    ("config_class", "name", "value"),
    [
        (DataConfig, "label_columns", "label"),
        (DataConfig, "limit", 1.5),
        (ModelConfig, "pooling", 3),
        (ModelConfig, "hidden_units", 768),
        (TrainConfig, "learning_rate", "1e-3"),
    ],
)
def test_a_value_that_fits_none_of_the_types_is_refused(config_class, name, value):
    message = message_of(from_dict, config_class, {name: value})
    assert message.startswith(f"`{name}` must be ")
    assert message.endswith(f" Received: {name}={value!r}.")


@pytest.mark.parametrize(
    ("config_class", "values", "message"),
    [
        (
            DataConfig,
            {"label_columns": ()},
            "`label_columns` must name at least one column. Received: label_columns=().",
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
            "`head` must be one of 'linear', 'classification', 'mlp'. "
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
            {"dropout": float("nan")},
            "`dropout` must be at least 0 and below 1. Received: dropout=nan.",
        ),
        (ModelConfig, {"l2": -0.01}, "`l2` must be 0 or above. Received: l2=-0.01."),
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
            "`num_labels` must fit the task. Received: num_labels=1.",
        ),
        (
            ModelConfig,
            {"task": "multilabel", "num_labels": 0},
            "`num_labels` must fit the task. Received: num_labels=0.",
        ),
        (
            ModelConfig,
            {"target_scale": 0.0},
            "`target_scale` must be above 0. Received: target_scale=0.0.",
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
        (TrainConfig, {"epochs": 0}, "`epochs` must be above 0. Received: epochs=0."),
        (TrainConfig, {"batch_size": 0}, "`batch_size` must be above 0. Received: batch_size=0."),
        (
            TrainConfig,
            {"learning_rate": 0.0},
            "`learning_rate` must be above 0. Received: learning_rate=0.0.",
        ),
        (
            TrainConfig,
            {"precision": "bfloat16"},
            "`precision` must be one of 'float32', 'mixed_bfloat16', 'mixed_float16'. "
            "Received: precision='bfloat16'. Did you mean 'mixed_bfloat16'?",
        ),
        (TrainConfig, {"seed": -1}, "`seed` must be at least 0 and below 2^32. Received: seed=-1."),
        (
            TrainConfig,
            {"seed": 2**32},
            "`seed` must be at least 0 and below 2^32. Received: seed=4294967296.",
        ),
    ],
)
def test_a_value_out_of_range_is_refused(config_class, values, message):
    assert message_of(config_class, **values) == message


@pytest.mark.parametrize(
    ("config_class", "values"),
    [
        (DataConfig, {"limit": 1, "validation_fraction": 0.999}),
        (ModelConfig, {"freeze_layers": 0, "dropout": 0.0, "l2": 0.0, "max_length": 4}),
        (ModelConfig, {"head": "linear", "hidden_units": ()}),
        (ModelConfig, {"head": "classification", "hidden_units": (1,)}),
        (ModelConfig, {"head": "mlp", "hidden_units": (1, 2, 3)}),
        (ModelConfig, {"task": "regression", "num_labels": 1}),
        (TrainConfig, {"epochs": 1, "batch_size": 1, "seed": 2**32 - 1}),
    ],
)
def test_the_values_at_the_edge_are_accepted(config_class, values):
    config = config_class(**values)
    assert {name: getattr(config, name) for name in values} == values


@pytest.mark.parametrize("config", [DataConfig(), ModelConfig(), TrainConfig(), FitConfig()])
def test_a_config_cannot_be_changed(config):
    name = dataclasses.fields(config)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, name, "other")


def test_a_missing_config_file_is_named(tmp_path):
    path = str(tmp_path / "none.json")
    with pytest.raises(FileNotFoundError) as caught:
        read_json(FitConfig, path)
    assert str(caught.value) == f"There is no config file {path!r}."


def test_a_config_file_that_is_not_json_is_named(tmp_path):
    path = tmp_path / "config.json"
    path.write_text("epochs: 3", encoding="utf-8")
    assert message_of(read_json, FitConfig, path) == (
        f"{path} is not JSON: Expecting value: line 1 column 1 (char 0)."
    )


def test_a_wrong_value_in_a_config_file_names_the_file(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"train": {"epochs": 0}}', encoding="utf-8")
    assert message_of(read_json, FitConfig, path) == (
        f"{path}: `epochs` must be above 0. Received: epochs=0."
    )


@pytest.fixture(scope="module")
def help_of_flags():
    """Flag to help text, as `python -m kerasbert.fit --help` prints them."""
    done = subprocess.run(
        [sys.executable, "-m", "kerasbert.fit", "--help"],
        env=os.environ | {"COLUMNS": "200"},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    texts, flag = {}, None
    # Each flag stands in a box; the rows above the first box describe the command.
    for row in done.stdout.splitlines():
        boxed, row = row.startswith("│"), row.strip(" │")
        if not boxed:
            flag = None
        elif row.startswith("-"):
            flag = re.match(r"-[-\w]+", row)[0]
            # The help stands behind a gap, or on the next rows where the flag is too long.
            texts[flag] = " ".join(re.split(r"\s{2,}", row)[1:])
        elif flag:
            texts[flag] = f"{texts[flag]} {row}".strip()
    return texts


def flags_of(config_class):
    hidden = {"task", "num_labels", "target_mean", "target_scale"}
    names = {field.name for field in dataclasses.fields(config_class)}
    if config_class is ModelConfig:
        names -= hidden
    if config_class is FitConfig:
        names -= {"data", "model", "train"}
    return {"--" + name.replace("_", "-") for name in names}


@pytest.mark.parametrize("config_class", [DataConfig, ModelConfig, TrainConfig, FitConfig])
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
    ours = set.union(*map(flags_of, (DataConfig, ModelConfig, TrainConfig, FitConfig)))
    assert set(help_of_flags) == ours | {"-h"}
