"""The native encoder, judged by transformers' TensorFlow classes."""

import dataclasses

import keras
import numpy as np
import pytest
from transformers import AutoConfig

from kerasbert.config import ModelConfig
from kerasbert.errors import InputError
from kerasbert.models.base import find_base, read_encoder_config
from kerasbert.models.bert import BertEncoder
from kerasbert.models.bert_config import bert_config
from kerasbert.models.resolving import resolve_model_config
from tests.conftest import FAMILIES, NATIVE, encoder_config

tf = pytest.importorskip("tensorflow")
border = pytest.importorskip("kerasbert.models.transformers_encoder")

# One head's width is no power of two, so a scale that is wrong by rounding shows.
ODD = {
    "bert": {"hidden_size": 21, "num_attention_heads": 3, "num_hidden_layers": 3,
             "intermediate_size": 37, "vocab_size": 99, "max_position_embeddings": 41,
             "type_vocab_size": 3, "layer_norm_eps": 1e-5, "hidden_act": "gelu_new"},
    "distilbert": {"dim": 35, "n_heads": 5, "n_layers": 3, "hidden_dim": 43, "vocab_size": 99,
                   "max_position_embeddings": 41, "sinusoidal_pos_embds": True},
    "roberta": {"hidden_size": 21, "num_attention_heads": 3, "num_hidden_layers": 3,
                "intermediate_size": 37, "vocab_size": 99, "max_position_embeddings": 41,
                "pad_token_id": 1, "hidden_act": "relu"},
}  # fmt: skip


def make_batch(encoder, lengths=(13, 2, 7), padded_to=15, seed=3):
    random = np.random.default_rng(seed)
    shape = (len(lengths), padded_to)
    mask = (np.arange(padded_to) < np.array(lengths)[:, None]).astype(np.int32)
    pad_id = encoder.encoder_config.pad_token_id
    ids = random.integers(5, encoder.encoder_config.vocab_size, shape)
    batch = {
        "input_ids": np.where(mask, ids, pad_id).astype(np.int32),
        "attention_mask": mask,
        "token_type_ids": random.integers(0, 2, shape).astype(np.int32) * mask,
    }
    return {name: batch[name] for name in encoder.input_names}


def copy_of(reference: BertEncoder, **kwargs):
    """The transformers encoder with the same weights, by the names that both store them under."""
    other = border.TransformerEncoder(reference.encoder_config, pooler=reference.pooler, **kwargs)
    store = {}
    reference.save_own_variables(store)
    other.load_own_variables(store)
    return other


def randomised(encoder, scale=0.3):
    """The encoder with weights far from their start, biases and normalisation included."""
    random = np.random.default_rng(11)
    for weight in encoder.weights:
        weight.assign(weight.numpy() + random.normal(0, scale, weight.shape))
    return encoder


@pytest.mark.parametrize("pooler", [False, True])
@pytest.mark.parametrize("family", ODD)
def test_hidden_states_are_those_of_transformers(family, pooler):
    if pooler and family == "distilbert":
        pytest.skip("DistilBERT has no pooler")
    config = AutoConfig.for_model(family, **ODD[family])
    native = randomised(BertEncoder(config, pooler=pooler))
    judge = copy_of(native)
    batch = make_batch(native)
    ours, theirs = np.asarray(native(batch)), np.asarray(judge(batch))
    if not pooler:
        is_piece = batch["attention_mask"] == 1
        ours, theirs = ours[is_piece], theirs[is_piece]
    assert np.ptp(ours, axis=0).max() > 0.05  # the pieces differ, so their vectors must
    np.testing.assert_allclose(ours, theirs, atol=1e-4)


@pytest.mark.parametrize("family", ODD)
def test_gradients_are_those_of_transformers(family):
    native = randomised(BertEncoder(AutoConfig.for_model(family, **ODD[family])))
    judge = copy_of(native)
    batch = make_batch(native)
    mask = batch["attention_mask"][:, :, None].astype(np.float32)
    direction = np.random.default_rng(5).normal(size=(*mask.shape[:2], native.facts.width))

    def gradients(encoder):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(encoder(batch) * mask * direction.astype(np.float32))
        variables = [weight.value for weight in encoder.trainable_variables]
        found = [tf.convert_to_tensor(part) for part in tape.gradient(loss, variables)]
        holder = type(encoder)(encoder.encoder_config)
        for weight, value in zip(holder.trainable_variables, found, strict=True):
            weight.assign(value)
        store = {}
        holder.save_own_variables(store)
        return store

    ours, theirs = gradients(native), gradients(judge)
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        if name.endswith(("key/bias", "k_lin/bias")):
            continue  # the softmax takes it out again: both are rounding around nothing
        error = np.linalg.norm(ours[name] - value) / np.linalg.norm(value)
        assert error < 1e-4, name


def test_minilm_is_that_of_transformers():
    directory = find_base("minilm")
    config = read_encoder_config(directory)
    native, judge = BertEncoder(config), border.TransformerEncoder(config)
    native.load_pretrained(directory)
    judge.load_pretrained(directory)
    batch = make_batch(native, lengths=(40, 3, 21), padded_to=40)
    is_piece = batch["attention_mask"] == 1
    ours, theirs = np.asarray(native(batch))[is_piece], np.asarray(judge(batch))[is_piece]
    np.testing.assert_allclose(ours, theirs, atol=1e-4)
    half = BertEncoder(config, dtype="bfloat16")
    half.load_pretrained(directory)
    rounded = np.asarray(half(batch))[is_piece]
    assert rounded.dtype == np.float32
    cosines = (rounded * ours).sum(axis=1)
    cosines /= np.linalg.norm(rounded, axis=1) * np.linalg.norm(ours, axis=1)
    assert cosines.min() > 0.9995


def test_padding_changes_nothing_and_a_text_alone_is_as_in_a_batch():
    native = randomised(BertEncoder(encoder_config("bert")))
    batch = make_batch(native, padded_to=13)
    longer = make_batch(native, padded_to=13)
    longer = {name: np.pad(values, ((0, 0), (0, 9))) for name, values in longer.items()}
    hidden = np.asarray(native(batch))
    np.testing.assert_allclose(np.asarray(native(longer))[0, :13], hidden[0], atol=1e-5)
    alone = {name: values[1:2, :2] for name, values in batch.items()}
    np.testing.assert_allclose(np.asarray(native(alone))[0], hidden[1, :2], atol=1e-5)


@pytest.mark.parametrize(
    ("family", "rates"),
    [
        ("bert", [0.11, 0.22, 0.11, 0.11]),
        ("distilbert", [0.11, 0.22, 0, 0.11]),
    ],
)
def test_dropout_is_where_the_original_has_it(family, rates):
    names = {
        "bert": {"hidden_dropout_prob": 0.11, "attention_probs_dropout_prob": 0.22},
        "distilbert": {"dropout": 0.11, "attention_dropout": 0.22},
    }[family]
    encoder = BertEncoder(AutoConfig.for_model(family, **FAMILIES[family] | names))
    block = encoder.stack[0]
    assert rates == [
        encoder.embeddings.dropout.rate,
        block.attention_dropout.rate,
        block.attention_output_dropout.rate,
        block.output_dropout.rate,
    ]


def test_frozen_blocks_are_a_fixed_function_in_training():
    encoder = BertEncoder(encoder_config("bert"))
    batch = make_batch(encoder)
    quiet = np.asarray(encoder.lower(batch, 1))
    assert np.abs(quiet - encoder.lower(batch, 1, training=True)).max() > 1e-3
    encoder.freeze(layers=1)
    np.testing.assert_array_equal(quiet, encoder.lower(batch, 1, training=True))
    assert np.abs(np.asarray(encoder(batch)) - encoder(batch, training=True)).max() > 1e-3
    encoder.freeze(base=True)
    np.testing.assert_array_equal(encoder(batch), encoder(batch, training=True))


@pytest.mark.parametrize("num_blocks", [0, 1, 2])
@pytest.mark.parametrize("pooler", [False, True])
def test_lower_and_upper_blocks_make_the_whole(num_blocks, pooler):
    encoder = randomised(BertEncoder(encoder_config("bert"), pooler=pooler))
    batch = make_batch(encoder)
    hidden = encoder.lower(batch, num_blocks)
    whole = encoder.upper(hidden, batch["attention_mask"], num_blocks)
    np.testing.assert_array_equal(whole, encoder(batch))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "bfloat16", "mixed_float16"])
def test_residuals_are_float32_and_products_follow_the_policy(policy):
    encoder = BertEncoder(encoder_config("bert"), dtype=policy)
    block = encoder.stack[0]
    kernel = "bfloat16" if policy == "bfloat16" else "float32"
    assert block.query_key_value.kernel.dtype == kernel
    assert block.query_key_value.compute_dtype == policy.removeprefix("mixed_")
    assert block.output_normalization.compute_dtype == "float32"
    assert encoder.embeddings.word.embeddings.dtype == "float32"
    hidden = encoder(make_batch(encoder))
    assert hidden.dtype == "float32"
    full = BertEncoder(encoder_config("bert"))
    store = {}
    encoder.save_own_variables(store)
    full.load_own_variables(store)
    np.testing.assert_allclose(full(make_batch(full)), hidden, atol=0.05)


def test_a_text_that_is_all_padding_is_still_a_number():
    encoder = BertEncoder(encoder_config("bert"), dtype="mixed_float16")
    batch = make_batch(encoder, lengths=(0, 3), padded_to=3)
    assert np.isfinite(np.asarray(encoder(batch))).all()


@pytest.mark.parametrize("family", NATIVE)
def test_freezing_by_named_blocks(family):
    encoder = BertEncoder(encoder_config(family))
    assert list(encoder.blocks()) == ["embeddings", "block 1", "block 2"]
    assert sum(map(len, encoder.blocks().values())) == len(encoder.weights)
    encoder.freeze(layers=1)
    assert [block[0].trainable for block in encoder.blocks().values()] == [False, False, True]
    encoder.freeze(embeddings=True)
    assert [block[0].trainable for block in encoder.blocks().values()] == [False, True, True]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"hidden_act": "quick_gelu"}, "the activation 'quick_gelu' is not one of gelu, gelu_new"),
        ({"position_embedding_type": "relative_key"}, "the positions are 'relative_key'"),
        ({"is_decoder": True}, "the base is a decoder"),
        ({"num_attention_heads": 0}, "it has 0 heads and a middle width of 37"),
        ({"hidden_dropout_prob": 1.5}, r"its dropout rates are \(1.5, 0.1\)"),
        ({"num_attention_heads": 5}, "5 heads do not divide a width of 12"),
    ],
)
def test_a_base_of_another_form_is_refused_by_native_and_left_to_transformers(changes, reason):
    config = encoder_config("bert")
    for name, value in changes.items():
        setattr(config, name, value)
    with pytest.raises(InputError, match=f"The native encoder cannot hold this base: {reason}"):
        bert_config(config)
    asked = ModelConfig(max_length=32)
    assert resolve_model_config(asked, config).encoder == "transformers"
    with pytest.raises(InputError, match=reason):
        resolve_model_config(dataclasses.replace(asked, encoder="native"), config)


@pytest.mark.parametrize("family", FAMILIES)
def test_native_is_taken_for_the_families_it_knows(family):
    resolved = resolve_model_config(ModelConfig(max_length=32), encoder_config(family))
    assert resolved.encoder == ("native" if family in NATIVE else "transformers")


def test_config_there_and_back():
    encoder = BertEncoder(encoder_config("distilbert"), dtype="mixed_bfloat16", name="encoder")
    again = BertEncoder.from_config(encoder.get_config())
    assert bert_config(again.encoder_config) == bert_config(encoder.encoder_config)
    assert again.dtype_policy.name == "mixed_bfloat16"


def test_random_weights_follow_the_seed_and_differ_by_layer():
    def kernels():
        keras.utils.set_random_seed(3)
        encoder = BertEncoder(encoder_config("bert"))
        return [np.array(block.output_dense.kernel) for block in encoder.stack]

    first, again = kernels(), kernels()
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first[0], first[1])
