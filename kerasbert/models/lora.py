"""LoRA's matrices added to the kernels that they correct: the same answers from a plain model.

The matrices are `Dense`'s, in `stored_by_name.py`; which of them are trained, `BertEncoder` says.
"""

import dataclasses
from collections.abc import Iterable, Iterator

import keras
import numpy as np

from kerasbert.config import ModelConfig
from kerasbert.models.classifier import build_classifier
from kerasbert.models.encoder import Encoder


def merge_lora(model: keras.Model, config: ModelConfig) -> tuple[keras.Model, ModelConfig]:
    """A classifier without LoRA that answers as this one does, and its config.

    Args:
        model: from `build_classifier`; returned as it is if it has no LoRA.
        config: the one it was built from, resolved.

    Example:
        >>> model = build_classifier(config := ModelConfig(lora_rank=8))
        >>> model.count_params() > merge_lora(model, config)[0].count_params()
        True
    """
    if not config.lora_rank:
        return model, config
    policy = model.get_layer("encoder").dtype_policy.name
    return merged_copy(model, config, policy), dataclasses.replace(config, lora_rank=0)


def merged_copy(model: keras.Model, config: ModelConfig, precision: str) -> keras.Model:
    """A model of its own with the same weights, LoRA's matrices, if any, added to the kernels.

    Args:
        model: from `build_classifier`.
        config: the one it was built from, resolved.
        precision: policy of the copy, which its weights are rounded to after they are added up.
    """
    encoder = model.get_layer("encoder")
    plain = dataclasses.replace(config, lora_rank=0)
    copy = build_classifier(
        plain, encoder_config=encoder.encoder_config, dtype=precision, is_random=False
    )
    for ours, theirs in zip(copy.weights, merged_weights(encoder, model.weights), strict=True):
        ours.assign(theirs)
    return copy


def merged_weights(
    encoder: Encoder, weights: Iterable[keras.Variable]
) -> Iterator[keras.Variable | np.ndarray]:
    """Weights as they would be without LoRA: each kernel with its correction, and no matrices.

    Args:
        encoder: the layer whose matrices they are.
        weights: those that are wanted, perhaps with others that are not the encoder's.
    """
    layers = encoder.corrected_layers().values()
    corrected = {id(layer.kernel): layer for layer in layers}
    matrices = {id(matrix) for layer in layers for matrix in layer.lora_matrices.values()}
    for weight in weights:
        if id(weight) in corrected:
            yield corrected[id(weight)].merged_kernel()
        elif id(weight) not in matrices:
            yield weight
