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
from kerasbert.models.resolving import resolve_model_config
from kerasbert.models.running import build_forward
from tests.conftest import FAMILIES, WORDS, encoder_config

TASKS = {"binary": 2, "multiclass": 5, "multilabel": 3, "regression": 1}
HEADS = ("linear", "classification", "mlp")
POOLINGS = ("cls", "mean", "max", "pooler", "last")


def poolings_of(family):
    facts = encoder_facts(encoder_config(family))
    refused = {"cls"} if facts.is_causal else set()
    refused |= set() if facts.has_pooler else {"pooler"}
    return [pooling for pooling in POOLINGS if pooling not in refused]


CASES = [(family, pooling) for family in FAMILIES for pooling in poolings_of(family)]


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


@pytest.mark.parametrize(("family", "pooling"), CASES)
def test_contract(family, pooling):
    config = ModelConfig(pooling=pooling, max_length=32, target_mean=2.5, target_scale=1.5)
    model = build_classifier(config, encoder_config=encoder_config(family))
    pooled = model.get_layer("encoder" if pooling == "pooler" else "pooling").output
    # Every head below stands on the same features, so the encoder runs three times, not 36.
    encode = build_forward(keras.Model(model.inputs, pooled))
    batch = make_batch(model, lengths=[3, 9, 1, 6], padded_to=9)
    features = encode(batch)
    alone = encode({name: values[:1, :3] for name, values in batch.items()})
    longer = encode(make_batch(model, lengths=[3, 9, 1, 6], padded_to=14))

    assert features.shape == (4, 12)
    assert np.ptp(features, axis=0).max() > 1e-3  # the texts differ, so their features must
    np.testing.assert_allclose(longer, features, atol=1e-5)
    for task, head_name in itertools.product(TASKS, HEADS):
        filled = dataclasses.replace(config, task=task, num_labels=TASKS[task], head=head_name)
        filled = resolve_model_config(filled, encoder_config(family))
        head = build_head(filled, width=12)
        outputs = np.asarray(head(features, training=False))

        assert outputs.shape == (4, TASKS[task])
        assert outputs.dtype == np.float32
        np.testing.assert_allclose(head(alone, training=False), outputs[:1], atol=1e-5)
        if task in ("binary", "multiclass"):
            np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-5)
        if task == "multilabel":
            assert ((outputs > 0) & (outputs < 1)).all()


@pytest.mark.parametrize(("task", "head"), list(itertools.product(TASKS, HEADS)))
def test_a_classifier_is_its_encoder_pooling_and_head(task, head):
    config = ModelConfig(task=task, num_labels=TASKS[task], head=head, max_length=32)
    model = build_classifier(config, encoder_config=encoder_config("bert"))
    batch = make_batch(model, lengths=[3, 9, 1, 6], padded_to=9)
    encoder, pooling, head = (model.get_layer(name) for name in ("encoder", "pooling", "head"))
    by_parts = head(pooling(encoder(batch), batch["attention_mask"]))
    np.testing.assert_allclose(model(batch), by_parts, atol=1e-6)


@pytest.mark.parametrize(
    ("family", "task"), list(zip(FAMILIES, itertools.cycle(TASKS), strict=False))
)
def test_a_step_moves_live_weights_and_no_frozen_one(family, task):
    config = ModelConfig(task=task, num_labels=TASKS[task], freeze_layers=1, max_length=32)
    model = build_classifier(config, encoder_config=encoder_config(family))
    compile_classifier(model, task, AdamW(1e-2, clip_norm=1.0))
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
