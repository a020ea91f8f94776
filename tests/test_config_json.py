import dataclasses
import json

import pytest

from kerasbert.config import DataConfig, FitConfig, ModelConfig
from kerasbert.config_decide import DecisionConfig
from kerasbert.config_json import from_dict, read_config, to_json
from kerasbert.config_train import ObjectiveConfig, OptimizerConfig, RecordConfig, TrainConfig
from kerasbert.errors import InputError

MODEL_KEYS = (
    "base, encoder, freeze_base, freeze_layers, freeze_embeddings, head, hidden_units, dropout, "
    "l2, pooling, max_length, truncation, lora_rank, task, num_labels, target_mean, target_scale"
)

FIT_KEYS = (
    "data, model, train, optimizer, objective, decision, record, output, overwrite, resume, "
    "keep_lora, seeds, folds, find_learning_rate"
)

# Every field unlike its default, here or in the next one.
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
        drop_duplicates="near",
        group_near_duplicates=True,
        limit=77,
        encoding="cp1252",
    ),
    model=ModelConfig(
        base="some/base",
        encoder="native",
        freeze_base=True,
        freeze_layers=2,
        freeze_embeddings=True,
        head="classification",
        hidden_units=(13,),
        dropout=0.5,
        l2=0.125,
        pooling="mean",
        max_length=99,
        truncation="proportional",
        task="multilabel",
        num_labels=7,
        target_mean=1.5,
        target_scale=2.5,
    ),
    train=TrainConfig(
        epochs=5,
        max_steps=99,
        batch_size=37,
        gradient_accumulation=3,
        learning_rate=3e-4,
        head_learning_rate=2e-3,
        patience=4,
        monitor="val_macro_f1",
        precision="mixed_bfloat16",
        bucket=False,
        cache=False,
        cache_dir="features",
        cache_limit=0.5,
        seed=11,
    ),
    optimizer=OptimizerConfig(
        schedule="cosine",
        warmup=0.25,
        weight_decay=0.5,
        clip_norm=0.0,
        layer_decay=0.9,
        ema=0.99,
    ),
    objective=ObjectiveConfig(
        loss="focal", focal_gamma=1.5, label_smoothing=0.1, class_weight='{"é": 3}'
    ),
    decision=DecisionConfig(decide="recall>=0.9", calibrate="auto", unsure_below=0.25),
    record=RecordConfig(
        eval_every=10, checkpoint_minutes=2.5, checkpoint_steps=7, tensorboard=True, mlflow=True
    ),
    output="runs/one",
    overwrite=True,
    resume=True,
    seeds=(3, 4),
    find_learning_rate=False,
)
# What does not go together with the above.
OTHERWISE = FitConfig(
    model=ModelConfig(lora_rank=8),
    train=TrainConfig(unfreeze_from=2, gradual=True),
    keep_lora=True,
    folds=5,
)
TESTED = FitConfig(find_learning_rate=True)


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


@pytest.mark.parametrize(
    "config", [CHANGED, OTHERWISE, TESTED], ids=["changed", "otherwise", "tested"]
)
def test_json_there_and_back(config, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(to_json(config), encoding="utf-8")
    assert read_config(FitConfig, path) == config
    assert from_dict(FitConfig, json.loads(to_json(config))) == config


def test_every_field_is_unlike_its_default_once():
    configs = (CHANGED, OTHERWISE, TESTED, FitConfig())
    unchanged = [
        fields[0][0]
        for fields in zip(*map(leaves, configs), strict=True)
        if all(value == fields[-1][1] for _, value in fields)
    ]
    assert not unchanged


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
            f"Unknown key 'trian'. Did you mean 'train'? Known keys: {FIT_KEYS}.",
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
        (FitConfig, {"overwrite": 1}, "`overwrite` must be true or false. Received: overwrite=1."),
        (TrainConfig, {"epochs": "3"}, "`epochs` must be a whole number. Received: epochs='3'."),
        (TrainConfig, {"epochs": 3.0}, "`epochs` must be a whole number. Received: epochs=3.0."),
        (TrainConfig, {"epochs": True}, "`epochs` must be a whole number. Received: epochs=True."),
        (TrainConfig, {"seed": None}, "`seed` must be a whole number. Received: seed=None."),
        (ModelConfig, {"dropout": "0.1"}, "`dropout` must be a number. Received: dropout='0.1'."),
        (ModelConfig, {"dropout": False}, "`dropout` must be a number. Received: dropout=False."),
        (ModelConfig, {"base": 7}, "`base` must be a string. Received: base=7."),
        (
            ModelConfig,
            {"hidden_units": [4, "5"]},
            "`hidden_units` must be a whole number. Received: hidden_units='5'.",
        ),
        (
            DataConfig,
            {"label_columns": "label"},
            "`label_columns` must be a list. Received: label_columns='label'.",
        ),
        (
            ModelConfig,
            {"hidden_units": 768},
            "`hidden_units` must be a list or null. Received: hidden_units=768.",
        ),
        (
            DataConfig,
            {"limit": 1.5},
            "`limit` must be a whole number or null. Received: limit=1.5.",
        ),
        (ModelConfig, {"pooling": 3}, "`pooling` must be a string or null. Received: pooling=3."),
        (
            TrainConfig,
            {"learning_rate": "1e-3"},
            "`learning_rate` must be a number or null. Received: learning_rate='1e-3'.",
        ),
    ],
)
def test_a_value_of_another_type_is_refused(config_class, values, message):
    assert message_of(from_dict, config_class, values) == message


def test_a_missing_config_file_is_named(tmp_path):
    path = str(tmp_path / "none.json")
    with pytest.raises(FileNotFoundError) as caught:
        read_config(FitConfig, path)
    assert str(caught.value) == f"There is no config file {path!r}."


def test_a_config_file_that_is_not_json_is_named(tmp_path):
    path = tmp_path / "config.json"
    path.write_text("epochs: 3", encoding="utf-8")
    assert message_of(read_config, FitConfig, path) == (
        f"{path} is not JSON: Expecting value: line 1 column 1 (char 0)."
    )


def test_a_config_file_that_holds_a_list_is_named(tmp_path):
    path = tmp_path / "config.json"
    path.write_text("[1, 2]", encoding="utf-8")
    assert message_of(read_config, FitConfig, path) == (
        f"{path}: expected a JSON object. Received: [1, 2]."
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            '{"train": {"epochs": 0}}',
            "`epochs` must be above 0, but with --head pretrained. Received: epochs=0.",
        ),
        (
            '{"model": {"l2": Infinity}}',
            "`l2` must be 0 or above, and finite. Received: l2=inf.",
        ),
        (
            '{"model": {"head": "mpl"}}',
            "`head` must be one of 'linear', 'classification', 'mlp', 'pretrained'. "
            "Received: head='mpl'. Did you mean 'mlp'?",
        ),
        (
            '{"overwrite": "yes"}',
            "`overwrite` must be true or false. Received: overwrite='yes'.",
        ),
    ],
)
def test_a_wrong_value_in_a_config_file_names_the_file(content, problem, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(content, encoding="utf-8")
    assert message_of(read_config, FitConfig, path) == f"{path}: {problem}"


def test_a_config_file_that_is_not_utf_8_is_named(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes('{"train": "caf\xe9"}'.encode("cp1252"))
    assert message_of(read_config, FitConfig, path) == (
        f"{path} is not JSON: 'utf-8' codec can't decode byte 0xe9 in position 14: invalid "
        "continuation byte."
    )


def test_a_config_file_that_is_nested_too_deep_is_named(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"train": ' + "[" * 100_000 + "]" * 100_000 + "}", encoding="utf-8")
    assert message_of(read_config, FitConfig, path).startswith(f"{path} is not JSON: ")


def test_a_whole_number_beyond_all_floats_is_refused(tmp_path):
    path = tmp_path / "config.json"
    path.write_text('{"model": {"dropout": 1' + "0" * 400 + "}}", encoding="utf-8")
    message = message_of(read_config, FitConfig, path)
    assert message.startswith(f"{path}: `dropout` must be a number. Received: dropout=1000")
