import dataclasses
import math

import pytest

from kerasbert.config_train import (
    MONITORS,
    ObjectiveConfig,
    OptimizerConfig,
    RecordConfig,
    TrainConfig,
)
from kerasbert.errors import InputError


def message_of(function, *args, **kwargs):
    with pytest.raises(InputError) as caught:
        function(*args, **kwargs)
    return str(caught.value)


# Class, field, what it must be, and the values that it must not.
LIMITS = [
    (TrainConfig, "epochs", "be 0 or above", [-1]),
    (TrainConfig, "max_steps", "be above 0", [0, -3]),
    (TrainConfig, "batch_size", "be above 0", [0]),
    (TrainConfig, "gradient_accumulation", "be above 0", [0, -1]),
    (TrainConfig, "learning_rate", "be above 0, and finite", [0.0, -1e-3, math.inf, math.nan]),
    (TrainConfig, "unfreeze_from", "be 2 or above, since epochs count from 1", [1, 0]),
    (TrainConfig, "gradual", "come with --unfreeze-from, which says when to begin", [True]),
    (TrainConfig, "head_learning_rate", "be above 0, and finite", [0.0, math.inf, math.nan]),
    (TrainConfig, "patience", "be above 0", [0, -1]),
    (TrainConfig, "cache_limit", "be 0 or above, and finite", [-0.1, math.inf, math.nan]),
    (TrainConfig, "seed", "be at least 0 and below 2^32", [-1, 2**32]),
    (OptimizerConfig, "warmup", "be at least 0 and below 1", [-0.1, 1.0, math.nan]),
    (OptimizerConfig, "weight_decay", "be 0 or above, and finite", [-0.1, math.inf, math.nan]),
    (OptimizerConfig, "clip_norm", "be 0 or above, and finite", [-1.0, math.inf, math.nan]),
    (OptimizerConfig, "layer_decay", "be above 0 and at most 1", [0.0, 1.01, -1.0, math.nan]),
    (OptimizerConfig, "ema", "be above 0 and below 1", [0.0, 1.0, math.nan]),
    (ObjectiveConfig, "focal_gamma", "be 0 or above, and finite", [-1.0, math.inf, math.nan]),
    (ObjectiveConfig, "label_smoothing", "be at least 0 and below 1", [-0.1, 1.0, math.nan]),
    (RecordConfig, "eval_every", "be above 0", [0, -50]),
    (RecordConfig, "checkpoint_minutes", "be 0 or above, and finite", [-1.0, math.inf, math.nan]),
    (RecordConfig, "checkpoint_steps", "be above 0", [0, -1]),
]


@pytest.mark.parametrize(
    ("config_class", "name", "requirement", "value"),
    [(*limit, value) for *limit, values in LIMITS for value in values],
)
def test_a_value_out_of_range_is_refused(config_class, name, requirement, value):
    assert message_of(config_class, **{name: value}) == (
        f"`{name}` must {requirement}. Received: {name}={value!r}."
    )


@pytest.mark.parametrize(
    ("config_class", "values", "message"),
    [
        (
            TrainConfig,
            {"monitor": "val_f1"},
            "`monitor` must be one of 'val_loss', 'val_accuracy', 'val_macro_f1', 'val_roc_auc', "
            "'val_pearson'. Received: monitor='val_f1'. Did you mean 'val_macro_f1'?",
        ),
        (
            OptimizerConfig,
            {"schedule": "cosin"},
            "`schedule` must be one of 'linear', 'cosine', 'constant'. "
            "Received: schedule='cosin'. Did you mean 'cosine'?",
        ),
        (
            ObjectiveConfig,
            {"loss": "focl"},
            "`loss` must be one of 'crossentropy', 'focal'. "
            "Received: loss='focl'. Did you mean 'focal'?",
        ),
    ],
)
def test_an_unknown_choice_is_answered_with_the_nearest(config_class, values, message):
    assert message_of(config_class, **values) == message


@pytest.mark.parametrize(
    ("config_class", "values"),
    [
        (TrainConfig, {"epochs": 0, "max_steps": 1, "gradient_accumulation": 1, "patience": 1}),
        (TrainConfig, {"unfreeze_from": 2, "gradual": True, "head_learning_rate": 1e-30}),
        (TrainConfig, {"cache_limit": 0.0, "seed": 2**32 - 1, "batch_size": 1}),
        *((TrainConfig, {"monitor": monitor}) for monitor in MONITORS),
        (OptimizerConfig, {"warmup": 0.0, "weight_decay": 0.0, "clip_norm": 0.0}),
        (
            OptimizerConfig,
            {"warmup": 0.999, "layer_decay": 1.0, "ema": 0.999, "schedule": "cosine"},
        ),
        (OptimizerConfig, {"layer_decay": 1e-9, "ema": 1e-9, "schedule": "constant"}),
        (ObjectiveConfig, {"loss": "focal", "focal_gamma": 0.0, "label_smoothing": 0.999}),
        (ObjectiveConfig, {"class_weight": "balanced"}),
        (ObjectiveConfig, {"class_weight": '{"rude": 0, "kind": 2.5}'}),
        (RecordConfig, {"eval_every": 1, "checkpoint_minutes": 0.0, "checkpoint_steps": 1}),
    ],
)
def test_the_values_at_the_edge_are_accepted(config_class, values):
    config = config_class(**values)
    assert {name: getattr(config, name) for name in values} == values


@pytest.mark.parametrize(
    "config_class", [TrainConfig, OptimizerConfig, ObjectiveConfig, RecordConfig]
)
def test_a_config_cannot_be_changed(config_class):
    config = config_class()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, dataclasses.fields(config)[0].name, "other")


# Weights by class


def test_weights_by_name_are_those_of_the_json():
    config = ObjectiveConfig(class_weight='{"rude": 3, "kind": 0.5}')
    weights = config.weights_by_name()
    assert weights == {"rude": 3.0, "kind": 0.5}
    assert {type(weight) for weight in weights.values()} == {float}
    assert ObjectiveConfig(class_weight="{}").weights_by_name() == {}


@pytest.mark.parametrize(
    "given",
    [
        *("balance", "", "3", "null", '"balanced"', '["rude", 3]', '{"rude": 3', "{'rude': 3}"),
        *('{"rude": -1}', '{"rude": "3"}', '{"rude": true}', '{"rude": null}'),
        *('{"rude": NaN}', '{"rude": Infinity}', '{"rude": 1e400}', '{"rude": {"kind": 1}}'),
        '{"rude": 1' + "0" * 400 + "}",
        "[" * 100_000,
    ],
    ids=lambda given: given[:20],
)
def test_weights_that_are_no_json_object_of_numbers_are_refused(given):
    assert message_of(ObjectiveConfig, class_weight=given) == (
        "`class_weight` must be 'none', 'balanced' or a JSON object of weights, 0 or above, by "
        f"class, such as '{{\"rude\": 3}}'. Received: {given!r}."
    )
