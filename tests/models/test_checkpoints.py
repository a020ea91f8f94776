"""Directories of Hugging Face's, read in each of their layouts and written back."""

import json

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy

from kerasbert.errors import InputError
from kerasbert.models.bert import BertEncoder
from kerasbert.models.checkpoints import named_tensors, read_checkpoint, write_checkpoint
from tests.conftest import NATIVE, encoder_config, tensorflow_model


def state_of(encoder):
    """The encoder's weights by PyTorch's names, as PyTorch has them."""
    return {
        tensor.name: np.ascontiguousarray(tensor.value.T if tensor.is_kernel else tensor.value)
        for tensor in named_tensors(encoder)
    }


def random_encoder(family="bert", seed=1, **kwargs):
    encoder = BertEncoder(encoder_config(family), **kwargs)
    random = np.random.default_rng(seed)
    for weight in encoder.weights:
        weight.assign(random.normal(size=weight.shape))
    return encoder


def assert_same(encoder, other):
    for ours, theirs in zip(encoder.weights, other.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def save(directory, state, **metadata):
    directory.mkdir(exist_ok=True)
    safetensors.numpy.save_file(
        state, directory / "model.safetensors", metadata={"format": "pt"} | metadata
    )
    return directory


def read(directory, family="bert", **kwargs):
    encoder = BertEncoder(encoder_config(family), **kwargs)
    left_out = read_checkpoint(directory, encoder)
    return encoder, left_out


def test_the_names_of_one_block_by_hand():
    encoder = random_encoder()
    state = state_of(encoder)
    block = encoder.stack[1]
    kernel = block.query_key_value.kernel.numpy()
    layer = "encoder.layer.1"
    for number, name in enumerate(("query", "key", "value")):
        part = kernel[:, 12 * number : 12 * (number + 1)]
        np.testing.assert_array_equal(state[f"{layer}.attention.self.{name}.weight"], part.T)
    np.testing.assert_array_equal(
        state[f"{layer}.intermediate.dense.weight"], block.intermediate.kernel.numpy().T
    )
    np.testing.assert_array_equal(
        state[f"{layer}.output.LayerNorm.bias"], block.output_normalization.beta.numpy()
    )
    np.testing.assert_array_equal(
        state["embeddings.token_type_embeddings.weight"], encoder.embeddings.segment.embeddings
    )
    assert len(state) == 5 + 2 * 16


@pytest.mark.parametrize("family", NATIVE)
def test_written_and_read_again(family, tmp_path):
    encoder = random_encoder(family, pooler=family != "distilbert")
    write_checkpoint(tmp_path, encoder)
    again, left_out = read(tmp_path, family, pooler=family != "distilbert")
    assert_same(again, encoder)
    assert left_out == ()
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["model_type"] == family
    assert config["architectures"][0].endswith("Model")


@pytest.mark.parametrize("family", NATIVE)
def test_what_is_written_is_read_by_the_class_of_transformers(family, tmp_path):
    border = pytest.importorskip("kerasbert.models.transformers_encoder")
    encoder = random_encoder(family)
    write_checkpoint(tmp_path, encoder)
    judge = border.TransformerEncoder(encoder_config(family))
    judge.load_pretrained(tmp_path)
    store, theirs = {}, {}
    encoder.save_own_variables(store)
    judge.save_own_variables(theirs)
    assert set(store) == set(theirs)
    for name, value in theirs.items():
        np.testing.assert_array_equal(store[name], value)


@pytest.mark.parametrize("family", NATIVE)
@pytest.mark.parametrize("as_safetensors", [False, True])
def test_reads_what_the_tensorflow_classes_write(family, as_safetensors, tmp_path):
    border = pytest.importorskip("kerasbert.models.transformers_encoder")
    tensorflow_model(family).save_pretrained(tmp_path, safe_serialization=as_safetensors)
    name = "model.safetensors" if as_safetensors else "tf_model.h5"
    assert (tmp_path / name).is_file()
    encoder, _ = read(tmp_path, family)
    judge = border.TransformerEncoder(encoder_config(family))
    judge.load_pretrained(tmp_path)
    store, theirs = {}, {}
    encoder.save_own_variables(store)
    judge.save_own_variables(theirs)
    for name, value in theirs.items():
        np.testing.assert_array_equal(store[name], value)


def test_reads_a_text_classifier_of_tensorflow_and_names_its_head(tmp_path):
    pytest.importorskip("tf_keras")
    kind = "TFAutoModelForSequenceClassification"
    tensorflow_model("distilbert", kind).save_pretrained(tmp_path)
    _, left_out = read(tmp_path, "distilbert")
    assert set(left_out) == {
        *("pre_classifier.weight", "pre_classifier.bias", "classifier.weight", "classifier.bias")
    }


def test_a_head_in_front_of_named_weights_is_left_out(tmp_path):
    encoder = random_encoder()
    state = {f"bert.{name}": value for name, value in state_of(encoder).items()}
    state["cls.predictions.bias"] = np.zeros(37, np.float32)
    state["any.other.head"] = np.zeros(3, np.float32)
    again, left_out = read(save(tmp_path, state))
    assert_same(again, encoder)
    assert set(left_out) == {"cls.predictions.bias", "any.other.head"}


def test_a_pooler_without_use_is_passed_over_and_a_missing_one_missed(tmp_path):
    encoder = random_encoder(pooler=True)
    write_checkpoint(tmp_path, encoder)
    again, left_out = read(tmp_path)
    assert len(again.weights) == len(encoder.weights) - 2
    assert left_out == ()
    write_checkpoint(tmp_path, again)
    with pytest.raises(InputError, match=r"lacks 2 \('pooler.dense.weight', 'pooler.dense.bias'"):
        read(tmp_path, pooler=True)


def test_names_and_tables_of_older_files(tmp_path):
    encoder = random_encoder()
    state = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): value
        for name, value in state_of(encoder).items()
    }
    assert "embeddings.LayerNorm.gamma" in state
    state["embeddings.position_ids"] = np.arange(41, dtype=np.int64)[None]
    again, left_out = read(save(tmp_path, state))
    assert_same(again, encoder)
    assert left_out == ()


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_files(dtype, tmp_path):
    encoder = random_encoder()
    state = {name: value.astype(dtype) for name, value in state_of(encoder).items()}
    again, _ = read(save(tmp_path, state))
    name = "encoder.layer.0.attention.self.value.weight"
    np.testing.assert_array_equal(state_of(again)[name], state[name].astype(np.float32))


def test_shards(tmp_path):
    encoder = random_encoder()
    state = state_of(encoder)
    names = sorted(state)
    parts = {
        "model-00001-of-00002.safetensors": names[:9],
        "model-00002-of-00002.safetensors": names[9:],
    }
    for file, part in parts.items():
        safetensors.numpy.save_file({name: state[name] for name in part}, tmp_path / file)
    index = {"weight_map": {name: file for file, part in parts.items() for name in part}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    again, _ = read(tmp_path)
    assert_same(again, encoder)
    (tmp_path / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path)


@pytest.mark.parametrize(
    "shards", [None, ["a"], {}, {"x": 3}, {"x": "../model.safetensors"}, {"x": "/a.safetensors"}]
)
def test_an_index_names_files_beside_it(shards, tmp_path):
    write_checkpoint(tmp_path, random_encoder())
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    with pytest.raises(InputError, match="names of files beside it"):
        read(inside)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            np.full(12, np.nan, np.float32),
            "'embeddings.LayerNorm.bias' that is not finite",
        ),
        (np.zeros(12, np.int8), "'embeddings.LayerNorm.bias' is of the type I8. Expected float32"),
    ],
)
def test_weights_that_are_no_numbers_are_named(value, message, tmp_path):
    state = state_of(random_encoder()) | {"embeddings.LayerNorm.bias": value}
    with pytest.raises(InputError, match=message):
        read(save(tmp_path, state))


def test_missing_weights_are_named(tmp_path):
    state = state_of(random_encoder())
    del state["encoder.layer.1.output.dense.weight"]
    with pytest.raises(InputError, match=r"lacks 1 \('encoder.layer.1.output.dense.weight'\)"):
        read(save(tmp_path, state))


def test_unexpected_weights_are_named(tmp_path):
    state = state_of(random_encoder())
    state["encoder.layer.2.output.dense.weight"] = np.zeros((12, 37), np.float32)
    message = r"has 1 \('encoder.layer.2.output.dense.weight'\) of the weights .* not call for"
    with pytest.raises(InputError, match=message):
        read(save(tmp_path, state))


def test_misshapen_weights_are_named(tmp_path):
    state = state_of(random_encoder())
    name = "embeddings.position_embeddings.weight"
    state[name] = state[name][:-1].copy()
    with pytest.raises(InputError, match=rf"{name}' in the shape \(40, 12\), expected \(41, 12\)"):
        read(save(tmp_path, state))


def test_a_broken_file_is_refused(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"not weights at all")
    with pytest.raises(InputError, match="cannot be read"):
        read(tmp_path)
