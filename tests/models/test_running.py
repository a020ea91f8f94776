import gc

import numpy as np
import pytest

from kerasbert.config import ModelConfig
from kerasbert.models import running
from kerasbert.models.classifier import build_classifier
from kerasbert.models.resolving import resolve_model_config
from kerasbert.models.running import (
    build_forward,
    running_copy,
    running_precision,
    training_precision,
)
from tests.conftest import encoder_config

BATCH = {
    "input_ids": np.array([[3, 7, 9, 11, 4], [3, 5, 4, 0, 0]], np.int32),
    "attention_mask": np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.int32),
    "token_type_ids": np.zeros((2, 5), np.int32),
}


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("flags\t\t: fpu avx512f avx512_bf16 avx512_vnni", "bfloat16"),
        ("flags\t\t: fpu amx_tile amx_bf16", "bfloat16"),
        ("flags\t\t: fpu avx512f avx512_bf16x", "float32"),
        ("Features\t: fp asimd", "float32"),
        (None, "float32"),
    ],
)
def test_auto_is_bfloat16_where_the_processor_has_it(flags, expected, tmp_path, monkeypatch):
    path = tmp_path / "cpuinfo"
    if flags is not None:
        path.write_text(f"processor\t: 0\n{flags}\n")
    monkeypatch.setattr(running, "_CPU_FLAGS", path)
    assert running_precision("auto", "native") == expected
    assert running_precision("auto", "transformers") == "float32"


@pytest.mark.parametrize(
    ("precision", "trains", "runs"),
    [
        ("float32", "float32", "float32"),
        ("mixed_bfloat16", "mixed_bfloat16", "bfloat16"),
        ("mixed_float16", "mixed_float16", "mixed_float16"),
    ],
)
def test_a_precision_that_is_named_is_taken(precision, trains, runs):
    assert training_precision(precision) == trains
    assert running_precision(precision, "native") == runs
    assert training_precision("auto") == "float32"


def test_a_copy_in_bfloat16_answers_nearly_the_same():
    config = ModelConfig(max_length=32, pooling="pooler")
    config = resolve_model_config(config, encoder_config("bert"))
    model = build_classifier(config, encoder_config=encoder_config("bert"))
    copy = running_copy(model, config, "bfloat16")
    assert copy.get_layer("encoder").dtype_policy.name == "bfloat16"
    assert copy.get_layer("head").dtype_policy.name == "float32"
    full, rounded = build_forward(model)(BATCH), build_forward(copy)(BATCH)
    assert not np.array_equal(full, rounded)
    np.testing.assert_allclose(full, rounded, atol=0.01)
    assert running_copy(model, config, "float32") is model


def test_a_function_keeps_the_model_that_it_was_made_of():
    forward = build_forward(
        build_classifier(ModelConfig(max_length=32), encoder_config=encoder_config("bert"))
    )
    expected = forward(BATCH)
    gc.collect()
    np.testing.assert_array_equal(forward(BATCH), expected)
