"""A trained model as a function from batches to outputs, as fast as the processor runs it."""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from kerasbert.config import ModelConfig
from kerasbert.models.lora import merged_copy

Forward = Callable[[dict[str, np.ndarray]], np.ndarray]

_CPU_FLAGS = Path("/proc/cpuinfo")
_BFLOAT16_FLAGS = {"avx512_bf16", "amx_bf16"}


def training_precision(precision: str) -> str:
    """The policy under which a model trains: float32 where `precision` is `"auto"`."""
    return "float32" if precision == "auto" else precision


def running_precision(precision: str, encoder: str) -> str:
    """The policy under which an encoder that is not trained runs.

    Args:
        precision: `"auto"`, which is bfloat16 where the processor multiplies it, or a policy.
        encoder: `"native"` or `"transformers"`, whose classes gain nothing by bfloat16.

    Returns:
        `"float32"`, `"bfloat16"` or `"mixed_float16"`.
    """
    if precision == "auto":
        return "bfloat16" if encoder == "native" and _has_bfloat16() else "float32"
    if precision == "mixed_bfloat16":
        # Nothing is trained, so nothing needs kernels in float32.
        return "bfloat16" if encoder == "native" else precision
    return precision


def running_copy(model: keras.Model, config: ModelConfig, precision: str) -> keras.Model:
    """The same model under another policy; the model itself where it has that policy already.

    The copy has no LoRA: its matrices, which are there to be trained, are added to the kernels.

    Args:
        model: from `build_classifier`.
        config: the one it was built from.
        precision: from `running_precision`.
    """
    if model.get_layer("encoder").dtype_policy.name == precision:
        return model
    return merged_copy(model, config, precision)


def build_forward(model: keras.Model) -> Forward:
    """The model as a function from a batch to outputs, dropout silent.

    On TensorFlow it is traced once for all lengths, so it does not grow with them. It is safe to
    call from several threads.
    """
    if keras.backend.backend() != "tensorflow":

        def run_eagerly(batch: dict[str, np.ndarray]) -> np.ndarray:
            inputs = {tensor.name: batch[tensor.name] for tensor in model.inputs}
            # A scope without variables' changes, in which PyTorch keeps no gradients either.
            return np.asarray(model.predict_on_batch(inputs))

        return run_eagerly

    import tensorflow as tf

    signature = {
        tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name)
        for tensor in model.inputs
    }

    @tf.function(input_signature=[signature], jit_compile=False)
    def forward(inputs):
        return model(inputs, training=False)

    # Traced here, not in whichever thread comes first. Each call of `forward` itself would look for
    # the graph of its inputs, which is a good part of the time of a short text.
    traced = forward.get_concrete_function()

    def run(batch: dict[str, np.ndarray]) -> np.ndarray:
        # By the model's names, so that it stays as long as its graph, which keeps no variables.
        return traced(
            {tensor.name: tf.constant(batch[tensor.name]) for tensor in model.inputs}
        ).numpy()

    return run


def _has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself, as far as Linux tells."""
    try:
        lines = _CPU_FLAGS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    flags = next((line for line in lines if line.startswith("flags")), "")
    return not _BFLOAT16_FLAGS.isdisjoint(flags.split())
