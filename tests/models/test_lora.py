"""LoRA: what it adds, what it trains, how it is merged, saved and refused."""

import dataclasses

import keras
import numpy as np
import pytest
import safetensors.numpy

from kerasbert import saving
from kerasbert.config import ModelConfig
from kerasbert.data.labels import Labels
from kerasbert.data.tokens import Tokenizer
from kerasbert.errors import InputError
from kerasbert.models.bert import BertEncoder
from kerasbert.models.classifier import build_classifier, freezing_table
from kerasbert.models.lora import merge_lora
from kerasbert.models.optimization import AdamW, compile_classifier, default_learning_rate
from kerasbert.models.resolving import resolve_model_config
from kerasbert.models.running import running_copy
from kerasbert.models.stored_by_name import Dense
from kerasbert.run import Run
from kerasbert.training.fitting import fit_classifier
from kerasbert.training.stages import frozen_stage
from tests.conftest import encoder_config, make_tokenizer, toy_config

RANK = 5
# Of a toy block: (inputs + outputs) * RANK for query, key and value in one, for what follows them,
# and for the two of the feed-forward part.
PER_BLOCK = (12 + 36) * RANK + (12 + 12) * RANK + (12 + 37) * RANK + (37 + 12) * RANK
POOLER = 12 * 12 + 12

BATCH = {
    "input_ids": np.array([[3, 7, 9, 11, 4], [3, 15, 4, 0, 0]], np.int32),
    "attention_mask": np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.int32),
    "token_type_ids": np.zeros((2, 5), np.int32),
}


def make(dtype="float32", family="bert", **changes):
    """A toy classifier as it is at the start, and its config."""
    keras.utils.set_random_seed(7)
    given = {
        "max_length": 32,
        "base": "toy",
        "pooling": "mean",
        "lora_rank": RANK,
        "head": "linear",
    }
    config = resolve_model_config(ModelConfig(**given | changes), encoder_config(family))
    return build_classifier(config, encoder_config=encoder_config(family), dtype=dtype), config


def make_without(model, **options):
    """A classifier without LoRA, with all other weights of one that has it, and its config."""
    plain, config = make(lora_rank=0, **options)
    own = [weight for weight in model.weights if not is_matrix(weight)]
    for weight, value in zip(plain.weights, own, strict=True):
        weight.assign(value)
    return plain, config


def make_trained(**options):
    """A classifier whose second matrices are not zero any more."""
    model, config = make(**options)
    random = np.random.default_rng(3)
    for weight in model.weights:
        if is_matrix(weight):
            weight.assign(random.normal(0, 0.2, weight.shape))
    return model, config


def make_run(model, config):
    labels = Labels("binary", ("label",), ("civil", "rude"), (0.5, 0.5))
    return Run(model, config, labels, Tokenizer(make_tokenizer(), 32))


def is_matrix(weight):
    return weight.name.startswith("lora_kernel")


def outputs(model):
    batch = {tensor.name: BATCH[tensor.name] for tensor in model.inputs}
    return np.asarray(model(batch, training=False))


def count(weights):
    return sum(int(np.prod(weight.shape)) for weight in weights)


def train_step(model):
    compile_classifier(model, "binary", AdamW(1e-2))
    model.run_eagerly = True  # one step is over before it is traced
    model.train_on_batch(BATCH, np.array([0, 1]))


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16", "bfloat16"])
def test_at_the_start_nothing_is_changed(dtype):
    model, _ = make(dtype)
    plain, _ = make_without(model, dtype=dtype)
    # Products of bfloat16 are rounded once more where a sum follows them.
    atol = 0 if dtype == "float32" else 0.005
    np.testing.assert_allclose(outputs(model), outputs(plain), rtol=0, atol=atol)


def test_the_correction_is_that_of_keras():
    layer = Dense(4, "relu", lora_rank=2)
    layer.build((None, 3))
    theirs = keras.layers.Dense(4, "relu", lora_rank=2)
    theirs.build((None, 3))
    x = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    for ours, other in zip(layer.weights, theirs.weights, strict=True):
        ours.assign(np.random.default_rng(1).normal(size=ours.shape))
        other.assign(ours)
    np.testing.assert_allclose(layer(x), theirs(x), atol=1e-5)
    np.testing.assert_allclose(layer.merged_kernel(), theirs.kernel, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "blocks", "top"),
    [
        ({}, 2, 0),
        ({"freeze_layers": 1}, 1, 0),
        ({"freeze_layers": 2}, 0, 0),
        ({"freeze_embeddings": True}, 2, 0),
        ({"pooling": "pooler"}, 2, POOLER),
    ],
)
def test_what_can_be_trained(changes, blocks, top):
    model, config = make(**changes)
    encoder = model.get_layer("encoder")
    assert count(encoder.trainable_weights) == blocks * PER_BLOCK + top
    for closed in (dict(base=True), {}):  # closed and opened again
        encoder.freeze(**(closed or {"layers": config.freeze_layers}))
        assert count(encoder.trainable_weights) == (0 if closed else blocks * PER_BLOCK + top)
    table = freezing_table(model)
    trained = [int(cell.replace(",", "")) for cell in table.columns[1].cells]
    assert trained[:3] == [0, PER_BLOCK * (blocks == 2), PER_BLOCK * (blocks >= 1)]
    assert len({weight.path for weight in model.weights}) == len(model.weights)


def test_an_encoder_on_its_own_trains_the_matrices_alone():
    encoder = BertEncoder(encoder_config("distilbert"), lora_rank=RANK)
    assert all(map(is_matrix, encoder.trainable_weights))
    again = BertEncoder.from_config(encoder.get_config())
    assert again.lora_rank == RANK
    assert count(again.trainable_weights) == 2 * PER_BLOCK


def test_a_block_with_open_matrices_has_its_dropout():
    encoder = BertEncoder(encoder_config("bert"), lora_rank=RANK)
    encoder.freeze(layers=1)
    lower = [encoder.lower(BATCH, 1, training=training) for training in (False, True)]
    np.testing.assert_array_equal(*lower)
    upper = [
        np.asarray(encoder.upper(lower[0], BATCH["attention_mask"], 1, training=training))
        for training in (False, True)
    ]
    assert np.abs(upper[0] - upper[1]).max() > 1e-3


@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_a_step_moves_the_open_matrices_and_the_head_only(dtype):
    model, _ = make_trained(dtype=dtype, freeze_layers=1)
    before = [weight.numpy() for weight in model.weights]
    train_step(model)
    for weight, value in zip(model.weights, before, strict=True):
        is_open = weight.path.startswith("softmax/")
        is_open |= is_matrix(weight) and weight.path.startswith("block_2/")
        assert np.array_equal(weight.numpy(), value) != is_open, weight.path


@pytest.mark.parametrize("family", ["bert", "distilbert", "roberta"])
@pytest.mark.parametrize("pooling", ["mean", "pooler"])
def test_merged_answers_as_unmerged(family, pooling):
    if (family, pooling) == ("distilbert", "pooler"):
        pytest.skip("DistilBERT has no pooler")
    model, config = make_trained(family=family, pooling=pooling)
    plain, plain_config = merge_lora(model, config)
    assert plain_config == dataclasses.replace(config, lora_rank=0)
    assert not any(map(is_matrix, plain.weights))
    np.testing.assert_allclose(outputs(plain), outputs(model), atol=1e-5)
    untrained, _ = make(family=family, pooling=pooling)
    assert np.abs(outputs(untrained) - outputs(model)).max() > 1e-3
    assert merge_lora(plain, plain_config) == (plain, plain_config)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_what_was_trained_in_mixed_precision_is_merged_in_float32(dtype):
    model, config = make_trained(dtype=dtype)
    plain, _ = merge_lora(model, config)
    assert plain.get_layer("encoder").dtype_policy.name == dtype
    assert {weight.dtype for weight in plain.weights} == {"float32"}
    kernel = plain.get_layer("encoder").stack[0].intermediate.kernel
    layer = model.get_layer("encoder").stack[0].intermediate
    a, b = (matrix.numpy() for matrix in layer.lora_matrices.values())
    np.testing.assert_allclose(kernel, layer.kernel.numpy() + a @ b, atol=1e-6)
    np.testing.assert_allclose(outputs(plain), outputs(model), atol=0.02)


def test_a_running_copy_is_rounded_after_merging():
    model, config = make_trained()
    copy = running_copy(model, config, "bfloat16")
    assert not any(map(is_matrix, copy.weights))
    np.testing.assert_allclose(outputs(copy), outputs(model), atol=0.02)
    rounded, _ = make_trained(dtype="bfloat16")  # matrices beside rounded kernels serve as well
    np.testing.assert_allclose(outputs(rounded), outputs(model), atol=0.02)


def test_kept_matrices_are_saved_and_loaded(tmp_path):
    model, config = make_trained()
    saving.save(tmp_path / "run", make_run(model, config))
    loaded = saving.load_run(tmp_path / "run", "float32")
    assert loaded.config.lora_rank == RANK
    np.testing.assert_array_equal(outputs(loaded.model), outputs(model))
    for ours, theirs in zip(loaded.model.weights, model.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    rounded = saving.load_run(tmp_path / "run", "bfloat16")
    np.testing.assert_allclose(outputs(rounded.model), outputs(model), atol=0.02)
    # Another freezing opens other matrices, and answers the same.
    again = saving.rebuild(tmp_path / "run", freeze_layers=1)
    again.load_weights(tmp_path / "run" / "model.weights.h5")
    assert count(again.get_layer("encoder").trainable_weights) == PER_BLOCK
    np.testing.assert_array_equal(outputs(again), outputs(model))


def test_a_base_is_written_merged(tmp_path):
    model, config = make_trained()
    saving.save_base(tmp_path / "base", make_run(model, config))
    plain = BertEncoder(encoder_config("bert"))
    plain.load_pretrained(tmp_path / "base")
    np.testing.assert_allclose(plain(BATCH), model.get_layer("encoder")(BATCH), atol=1e-4)
    # The third of query, key and value, and transposed.
    layer = model.get_layer("encoder").stack[1].query_key_value
    a, b = (matrix.numpy() for matrix in layer.lora_matrices.values())
    value = (layer.kernel.numpy() + a @ b)[:, 24:].T
    written = safetensors.numpy.load_file(tmp_path / "base" / "model.safetensors")
    np.testing.assert_allclose(
        written["encoder.layer.1.attention.self.value.weight"], value, atol=1e-6
    )


def stored(**options):
    store = {}
    BertEncoder(encoder_config("bert"), **options).save_own_variables(store)
    return store


def test_the_matrices_are_stored_beside_the_same_weights():
    with_lora, without = stored(lora_rank=RANK), stored()
    added = set(with_lora) - set(without)
    assert set(without) < set(with_lora)
    assert len(added) == 2 * 4 * 2
    assert {name for name in added if "block_1" in name} == {
        f"lora/block_1/{layer}/{matrix}"
        for layer in ("query_key_value", "attention_output", "intermediate", "output_dense")
        for matrix in "ab"
    }


def test_matrices_that_do_not_fit_are_refused():
    encoder = BertEncoder(encoder_config("bert"), lora_rank=RANK)
    with pytest.raises(ValueError, match="'lora/block_1/query_key_value/a' is missing"):
        encoder.load_own_variables(stored())
    with pytest.raises(ValueError, match=r"has the shape \(12, 4\), expected \(12, 5\)"):
        encoder.load_own_variables(stored(lora_rank=4))
    with pytest.raises(ValueError, match="it holds LoRA's matrices, which the config"):
        BertEncoder(encoder_config("bert")).load_own_variables(stored(lora_rank=RANK))


def test_the_rows_below_frozen_layers_are_those_without_lora():
    model, config = make(freeze_layers=1)
    stage = frozen_stage(model, config, "float32")
    plain = frozen_stage(*make_without(model, freeze_layers=1), "float32")
    assert stage.identity == plain.identity
    np.testing.assert_array_equal(*(each.build_frozen()(BATCH) for each in (stage, plain)))
    trained = frozen_stage(*make_trained(freeze_layers=1), "float32")
    assert trained.identity != stage.identity
    assert frozen_stage(*make(), "float32") is None


def test_the_learning_rate_is_that_of_lora():
    model, _ = make()
    assert default_learning_rate(model) == 1e-3
    model.get_layer("encoder").freeze(base=True)
    assert default_learning_rate(model) == 1e-2


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        (
            "bert",
            {"encoder": "transformers"},
            "LoRA needs the native encoder. Received: lora_rank=5, encoder='transformers'. Leave "
            "--encoder out, since it can hold this base.",
        ),
        (
            "electra",
            {},
            "LoRA needs the native encoder. Received: lora_rank=5, encoder='auto'. The native "
            "encoder cannot hold this base: a electra base is not of BERT's form. Choose another "
            "base, or leave --lora-rank out.",
        ),
        (
            "distilbert",
            {"lora_rank": 13},
            "`lora_rank` must be at most 12, the width of the base 'toy'. Received: lora_rank=13.",
        ),
    ],
)
def test_what_cannot_have_lora_is_refused(family, changes, message):
    config = ModelConfig(**{"lora_rank": RANK, "base": "toy", "max_length": 32} | changes)
    with pytest.raises(InputError) as error:
        resolve_model_config(config, encoder_config(family))
    assert str(error.value) == message


@pytest.mark.usefixtures("eager")
def test_fitted_and_merged_unless_kept(toy_base, comments_csv, tmp_path):
    changes = {
        **{"lora_rank": RANK, "freeze_layers": 1, "head": "linear"},
        **{"precision": "float32", "batch_size": 16},
    }
    config = toy_config(toy_base(blocks=2), comments_csv, **changes)
    merged = fit_classifier(config)
    kept = fit_classifier(dataclasses.replace(config, keep_lora=True))
    assert (merged.config.lora_rank, kept.config.lora_rank) == (0, RANK)
    assert merged.fit["model"]["lora_rank"] == kept.fit["model"]["lora_rank"] == RANK
    assert kept.fit["train"]["learning_rate"] == 1e-3
    assert merged.report == kept.report
    base = build_classifier(merged.config).get_layer("encoder")
    moved = [
        not np.array_equal(ours, theirs)
        for ours, theirs in zip(
            merged.model.get_layer("encoder").weights, base.weights, strict=True
        )
    ]
    assert sum(moved) == 4  # the kernels of the second block
    np.testing.assert_allclose(outputs(merged.model), outputs(kept.model), atol=1e-5)
    saving.save(tmp_path / "run", merged)
    loaded = saving.load_run(tmp_path / "run", "float32")
    np.testing.assert_array_equal(outputs(loaded.model), outputs(merged.model))
