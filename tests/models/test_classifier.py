import numpy as np
import pytest
from transformers import DistilBertConfig, T5Config

from kerasbert.config import ModelConfig
from kerasbert.errors import InputError
from kerasbert.models.classifier import build_classifier, freezing_table
from kerasbert.models.encoder import encoder_config_from_dict
from kerasbert.models.resolving import resolve_model_config
from kerasbert.models.running import build_forward
from tests.conftest import encoder_config


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


def test_counts_of_distilbert_base_with_a_frozen_mlp():
    model = build_classifier(ModelConfig(freeze_base=True), encoder_config=DistilBertConfig())
    assert model.count_params() == 67_551_746
    assert count(model.trainable_weights) == 1_185_794
    assert count(model.non_trainable_weights) == 66_365_952
    assert count(model.get_layer("encoder").weights) == 66_362_880
    assert [layer.name for layer in model.get_layer("head").layers[1:]] == [
        "01_dropout",
        "01_dense_relu_no_regularizer",
        "01_bn",
        "01_relu",
        "02_dense_relu_no_regularizer",
        "02_bn",
        "02_relu",
        "softmax",
    ]


def test_counts_of_distilbert_base_with_a_classification_head():
    config = ModelConfig(head="classification")
    model = build_classifier(config, encoder_config=DistilBertConfig())
    assert model.count_params() == 66_955_010
    assert count(model.trainable_weights) == 66_955_010


def test_inputs_are_those_the_base_reads():
    for family, names in {
        "bert": ["input_ids", "attention_mask", "token_type_ids"],
        "distilbert": ["input_ids", "attention_mask"],
    }.items():
        model = build_classifier(ModelConfig(max_length=32), encoder_config=encoder_config(family))
        assert sorted(tensor.name for tensor in model.inputs) == sorted(names)


def test_freezing_table_counts_each_block():
    config = ModelConfig(freeze_layers=1, max_length=32)
    model = build_classifier(config, encoder_config=encoder_config("bert"))
    table = freezing_table(model)
    rows = list(zip(*(column.cells for column in table.columns), strict=True))
    assert [row[0] for row in rows] == [
        "encoder, embeddings",
        "encoder, block 1",
        "encoder, block 2",
        "head",
    ]
    assert [row[1] == "0" for row in rows] == [True, True, False, False]
    total = sum(int(cell.replace(",", "")) for row in rows for cell in row[1:])
    assert total == model.count_params()


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        (
            "bert",
            {"freeze_layers": 99},
            "`freeze_layers` must be at most 2, the number of blocks of the base 'minilm'. "
            "Received: freeze_layers=99.",
        ),
        (
            "bert",
            {"max_length": 1000},
            "`max_length` must be at most 41, the number of positions of the base 'minilm'. "
            "Received: max_length=1000.",
        ),
        (
            "distilbert",
            {"pooling": "pooler", "max_length": 32},
            "`pooling` cannot be 'pooler': a distilbert base has no pooler of its own. "
            "Expected 'cls', 'mean', 'max' or 'last'.",
        ),
        (
            "gpt2",
            {"pooling": "cls", "max_length": 32},
            "`pooling` cannot be 'cls': in a gpt2 base the first piece has seen no other. "
            "Expected 'last', 'mean' or 'max'.",
        ),
    ],
)
def test_what_the_base_does_not_have_is_refused(family, changes, message):
    with pytest.raises(InputError) as error:
        build_classifier(ModelConfig(**changes), encoder_config=encoder_config(family))
    assert str(error.value) == message


def test_an_unsupported_family_is_refused():
    with pytest.raises(InputError, match="A base of the type 't5' is not supported"):
        encoder_config_from_dict({"model_type": "t5"})
    with pytest.raises(InputError, match="A base of the type 't5' is not supported"):
        resolve_model_config(ModelConfig(), T5Config())


def test_pooling_and_widths_are_filled_in(tmp_path):
    for family, head, pooling, widths in [
        ("bert", "mlp", "cls", (12, 12)),
        ("gpt2", "classification", "last", (12,)),
        ("distilbert", "linear", "cls", ()),
    ]:
        config = ModelConfig(head=head, max_length=32)
        resolved = resolve_model_config(config, encoder_config(family))
        assert (resolved.pooling, resolved.hidden_units) == (pooling, widths)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_float32_weights_and_outputs(policy):
    config = ModelConfig(max_length=32, pooling="mean")
    model = build_classifier(config, encoder_config=encoder_config("bert"), dtype=policy)
    assert {weight.dtype for weight in model.weights} == {"float32"}
    batch = {
        "input_ids": np.array([[3, 7, 8, 4]], np.int32),
        "attention_mask": np.ones((1, 4), np.int32),
        "token_type_ids": np.zeros((1, 4), np.int32),
    }
    half = build_forward(model)(batch)
    full = build_classifier(config, encoder_config=encoder_config("bert"))
    full.set_weights(model.get_weights())
    assert half.dtype == np.float32
    difference = np.abs(half - build_forward(full)(batch)).max()
    assert 0 < difference < 0.02
