import numpy as np
import pytest
import safetensors.numpy
import tf_keras

from kerasbert.errors import InputError
from kerasbert.models.encoder import encoder_facts
from kerasbert.models.transformers_encoder import TransformerEncoder
from tests.conftest import FAMILIES, encoder_config, tensorflow_model

IDS = np.array([[3, 7, 9, 11, 4], [3, 5, 4, 0, 0]], np.int32)
INPUTS = {
    "input_ids": IDS,
    "attention_mask": (IDS > 0).astype(np.int32),
    "token_type_ids": np.array([[0, 0, 0, 1, 1], [0, 0, 0, 0, 0]], np.int32),
}


def inputs_of(encoder):
    return {name: INPUTS[name] for name in encoder.input_names}


def pytorch_layout(model):
    """The weights of a toy TFBertModel under PyTorch's names and in its orientation."""
    state = {}
    for weight in model.weights:
        name = weight.name.split("/", 2)[2].removesuffix(":0").replace("layer_._", "layer.")
        value = weight.numpy()
        if name.endswith("/kernel"):
            name, value = name.replace("/kernel", "/weight"), value.T
        for ours, theirs in {
            "/embeddings": "/weight", "/gamma": "/weight", "/beta": "/bias"
        }.items():  # fmt: skip
            name = name.removesuffix(ours) + theirs if name.endswith(ours) else name
        state[name.replace("/", ".")] = np.ascontiguousarray(value)
    return state


@pytest.mark.parametrize("family", FAMILIES)
def test_equals_the_model_of_transformers(family, tmp_path):
    reference = tensorflow_model(family)
    reference.save_pretrained(tmp_path)
    encoder = TransformerEncoder(encoder_config(family))
    encoder.load_pretrained(tmp_path)
    expected = reference(**inputs_of(encoder), training=False).last_hidden_state
    np.testing.assert_allclose(encoder(inputs_of(encoder)), expected, atol=1e-6)


def test_reads_safetensors_in_pytorch_layout(tmp_path):
    reference = tensorflow_model("bert")
    safetensors.numpy.save_file(pytorch_layout(reference), tmp_path / "model.safetensors")
    encoder = TransformerEncoder(encoder_config("bert"), pooler=True)
    encoder.load_pretrained(tmp_path)
    expected = reference(**INPUTS, training=False).pooler_output
    np.testing.assert_allclose(encoder(INPUTS), expected, atol=1e-6)


def test_reads_safetensors_in_tensorflow_layout(tmp_path):
    reference = tensorflow_model("bert")
    reference.save_pretrained(tmp_path, safe_serialization=True)
    encoder = TransformerEncoder(encoder_config("bert"))
    encoder.load_pretrained(tmp_path)
    expected = reference(**INPUTS, training=False).last_hidden_state
    np.testing.assert_allclose(encoder(INPUTS), expected, atol=1e-6)


def test_weights_that_are_missing_are_refused(tmp_path):
    reference = tensorflow_model("bert")
    state = pytorch_layout(reference)
    del state["encoder.layer.1.output.dense.weight"]
    safetensors.numpy.save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"lacks 1 of the weights.*layer.1.output.dense"):
        TransformerEncoder(encoder_config("bert")).load_pretrained(tmp_path)


def test_a_missing_pooler_matters_only_to_those_who_use_it(tmp_path):
    reference = tensorflow_model("bert")
    state = {k: v for k, v in pytorch_layout(reference).items() if "pooler" not in k}
    safetensors.numpy.save_file(state, tmp_path / "model.safetensors")
    TransformerEncoder(encoder_config("bert")).load_pretrained(tmp_path)
    with pytest.raises(InputError, match="lacks 2 of the weights"):
        TransformerEncoder(encoder_config("bert"), pooler=True).load_pretrained(tmp_path)


def test_a_broken_file_is_refused(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"not weights at all")
    with pytest.raises(InputError, match="cannot be read"):
        TransformerEncoder(encoder_config("bert")).load_pretrained(tmp_path)


@pytest.mark.parametrize("family", FAMILIES)
def test_freezing_by_named_blocks(family):
    encoder = TransformerEncoder(encoder_config(family))
    num_blocks = encoder.facts.num_blocks
    blocks = encoder.blocks()
    assert sum(map(len, blocks.values())) == len(encoder.weights)
    assert list(blocks)[: num_blocks + 1] == [
        "embeddings",
        *(f"block {number + 1}" for number in range(num_blocks)),
    ]

    def frozen():
        return [name for name, part in encoder.blocks().items() if not part[0].trainable]

    encoder.freeze(embeddings=True)
    assert frozen() == ["embeddings"]
    encoder.freeze(layers=1)
    assert frozen() == ["embeddings", "block 1"]
    encoder.freeze(base=True)
    assert encoder.is_frozen
    encoder.freeze()
    assert frozen() == []


def test_a_frozen_encoder_is_a_fixed_function_in_training():
    encoder = TransformerEncoder(encoder_config("bert"))
    quiet = np.asarray(encoder(INPUTS, training=False))
    assert np.abs(quiet - encoder(INPUTS, training=True)).max() > 1e-3  # dropout is alive
    encoder.freeze(base=True)
    np.testing.assert_array_equal(quiet, encoder(INPUTS, training=True))


def test_weights_survive_another_freezing(tmp_path):
    import keras

    def wrap(**freeze):
        encoder = TransformerEncoder(encoder_config("bert"), name="encoder")
        encoder.freeze(**freeze)
        inputs = {
            name: keras.Input((None,), dtype="int32", name=name) for name in encoder.input_names
        }
        return keras.Model(inputs, encoder(inputs))

    open_model, frozen_model = wrap(), wrap(layers=2)
    open_model.save_weights(tmp_path / "w.weights.h5")
    frozen_model.load_weights(tmp_path / "w.weights.h5")
    np.testing.assert_array_equal(open_model(INPUTS), frozen_model(INPUTS))


def test_the_precision_of_tf_keras_is_left_as_it_was():
    TransformerEncoder(encoder_config("bert"), dtype="mixed_bfloat16")
    assert tf_keras.mixed_precision.global_policy().name == "float32"


def test_roberta_positions_leave_room_for_padding():
    assert encoder_facts(encoder_config("roberta")).max_length == 41
    assert encoder_facts(encoder_config("bert")).max_length == 41
