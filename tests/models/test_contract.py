"""One contract for every classifier: each family of base x task x pooling x head."""

import dataclasses
import itertools

import keras
import numpy as np
import pytest

from kerasbert.config import ModelConfig
from kerasbert.models.classifier import build_classifier
from kerasbert.models.encoder import FAMILIES as SUPPORTED
from kerasbert.models.encoder import encoder_facts
from kerasbert.models.heads import build_head
from kerasbert.models.optimization import AdamW, compile_classifier
from kerasbert.models.pooling import Pooling
from kerasbert.models.resolving import resolve_model_config
from kerasbert.models.running import build_forward
from tests.conftest import FAMILIES, NATIVE, WORDS, encoder_config

TASKS = {"binary": 2, "multiclass": 5, "multilabel": 3, "regression": 1}
HEADS = ("linear", "classification", "mlp")
POOLINGS = ("cls", "mean", "max", "pooler", "last")


def poolings_of(family):
    facts = encoder_facts(encoder_config(family))
    refused = {"cls"} if facts.is_causal else set()
    refused |= set() if facts.has_pooler else {"pooler"}
    return [pooling for pooling in POOLINGS if pooling not in refused]


# A base's own pooler is another encoder; the other poolings stand on one and the same.
CASES = [
    (family, poolings)
    for family in FAMILIES
    for is_own in (False, True)
    if (poolings := [name for name in poolings_of(family) if (name == "pooler") == is_own])
]


def make_batch(model, lengths, padded_to):
    random = np.random.default_rng(5)
    mask = (np.arange(padded_to) < np.array(lengths)[:, None]).astype(np.int32)
    pad_id = model.get_layer("encoder").encoder_config.pad_token_id or 0
    drawn = random.integers(5, len(WORDS), size=(len(lengths), max(lengths)))
    ids = np.full(mask.shape, pad_id)
    ids[:, : max(lengths)] = drawn
    batch = {
        "input_ids": np.where(mask, ids, pad_id).astype(np.int32),
        "attention_mask": mask,
        "token_type_ids": (mask * (np.arange(padded_to) >= 3)).astype(np.int32),
    }
    return {tensor.name: batch[tensor.name] for tensor in model.inputs}


def make_targets(task, count):
    numbers = np.arange(count)
    return {
        "binary": (numbers % 2).astype(np.int32),
        "multiclass": (numbers % 5).astype(np.int32),
        "multilabel": (numbers[:, None] % np.array([2, 3, 4]) == 0).astype(np.float32),
        "regression": (1.0 + numbers % 4).astype(np.float32),
    }[task]


def test_every_supported_family_is_in_the_contract():
    assert set(FAMILIES) == set(SUPPORTED)


@pytest.mark.parametrize(("family", "poolings"), CASES)
def test_contract(family, poolings):
    config = ModelConfig(pooling=poolings[0], max_length=32, target_mean=2.5, target_scale=1.5)
    model = build_classifier(config, encoder_config=encoder_config(family))
    hidden, inputs = model.get_layer("encoder").output, {each.name: each for each in model.inputs}
    pooled = [hidden]
    if poolings != ["pooler"]:
        pooled = [Pooling(name)(hidden, inputs["attention_mask"]) for name in poolings]
    # All poolings and heads stand on the same vectors, so the encoder runs three times.
    encode = build_forward(keras.Model(inputs, keras.ops.stack(pooled)))
    batch = make_batch(model, lengths=[3, 9, 1, 6], padded_to=9)
    features = encode(batch)
    alone = encode({name: values[:1, :3] for name, values in batch.items()})
    longer = encode(make_batch(model, lengths=[3, 9, 1, 6], padded_to=14))

    assert features.shape == (len(poolings), 4, 12)
    assert np.ptp(features, axis=1).max(axis=1).min() > 1e-3  # texts differ, so features must
    np.testing.assert_allclose(longer, features, atol=1e-5)
    for task, head_name in itertools.product(TASKS, HEADS):
        filled = dataclasses.replace(config, task=task, num_labels=TASKS[task], head=head_name)
        filled = resolve_model_config(filled, encoder_config(family))
        head = build_head(filled, width=12)
        outputs = np.asarray(head(features.reshape(-1, 12), training=False))

        assert outputs.shape == (4 * len(poolings), TASKS[task])
        assert outputs.dtype == np.float32
        np.testing.assert_allclose(head(alone[:, 0], training=False), outputs[::4], atol=1e-5)
        if task in ("binary", "multiclass"):
            np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-5)
        if task == "multilabel":
            assert ((outputs > 0) & (outputs < 1)).all()


@pytest.mark.parametrize(
    ("pooling", "task", "head"),
    [
        (pooling, *both)
        for pooling, both in zip(
            itertools.cycle(POOLINGS), itertools.product(TASKS, HEADS), strict=False
        )
    ],
)
def test_a_classifier_is_its_encoder_pooling_and_head(pooling, task, head):
    config = ModelConfig(
        task=task, num_labels=TASKS[task], pooling=pooling, head=head, max_length=32
    )
    model = build_classifier(config, encoder_config=encoder_config("bert"))
    batch = make_batch(model, lengths=[3, 9, 1, 6], padded_to=9)
    features = model.get_layer("encoder")(batch)
    if pooling != "pooler":
        features = Pooling(pooling)(features, batch["attention_mask"])
    np.testing.assert_allclose(model(batch), model.get_layer("head")(features), atol=1e-6)


@pytest.mark.parametrize(
    ("family", "task"), list(zip(FAMILIES, itertools.cycle(TASKS), strict=False))
)
def test_a_step_moves_live_weights_and_no_frozen_one(family, task):
    config = ModelConfig(task=task, num_labels=TASKS[task], freeze_layers=1, max_length=32)
    model = build_classifier(config, encoder_config=encoder_config(family))
    compile_classifier(model, task, AdamW(1e-2, clip_norm=1.0))
    # The native encoder is traced in every other training; one step is over before that.
    model.run_eagerly = family in NATIVE
    before = {weight.path: weight.numpy() for weight in model.weights}
    live = {weight.path for weight in model.trainable_weights}
    frozen = [
        weight.path for weight in model.get_layer("encoder").weights if weight.path not in live
    ]
    batch = make_batch(model, lengths=[3, 9, 4, 6], padded_to=9)

    model.train_on_batch(batch, make_targets(task, 4))

    after = {weight.path: weight.numpy() for weight in model.weights}
    assert frozen
    assert all(np.array_equal(before[path], after[path]) for path in frozen)
    still = [path for path in live if np.array_equal(before[path], after[path])]
    assert not still
