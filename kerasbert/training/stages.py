"""A classifier cut between what is frozen and what is trained."""

import dataclasses
import hashlib
from collections.abc import Callable, Iterable

import keras
import numpy as np

from kerasbert.config import ModelConfig
from kerasbert.models.bert import BertEncoder
from kerasbert.models.bert_config import bert_config
from kerasbert.models.encoder import Encoder
from kerasbert.models.lora import merged_weights
from kerasbert.models.running import running_copy

# Raised when what is stored changes its meaning.
_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class Stage:
    """The frozen part of a classifier, and the rest.

    Attributes:
        build_frozen: gives the model from the classifier's inputs to what is kept: vectors of shape
            (batch, width) or, for the first blocks alone, (batch, length, width). Not built where
            all is there already.
        rest: from there to the classifier's outputs; its layers are the classifier's own.
        width: of a row that is kept.
        has_row_per_piece: whether a text has a row per word piece, and not one only.
        identity: what decides the rows, other than the word pieces, as JSON values.
    """

    build_frozen: Callable[[], keras.Model]
    rest: keras.Model
    width: int
    has_row_per_piece: bool
    identity: dict


def frozen_stage(model: keras.Model, config: ModelConfig, precision: str) -> Stage | None:
    """Cut a classifier between what is frozen and what is trained; None where nothing can be kept.

    Args:
        model: from `build_classifier`.
        config: the one it was built from, resolved.
        precision: policy under which a base that is frozen as a whole runs. First blocks run under
            the model's own, as the ones above them do.
    """
    head, encoder = model.get_layer("head"), model.get_layer("encoder")
    width = encoder.facts.width
    identity = {
        "format": _FORMAT,
        "backend": keras.backend.backend(),
        "encoder": config.encoder,
        "precision": precision if encoder.is_frozen else encoder.dtype_policy.name,
        "base": _form_of(encoder),
    }
    if encoder.is_frozen:

        def build_frozen() -> keras.Model:
            running = running_copy(model, config, precision)
            last = "encoder" if config.pooling == "pooler" else "pooling"
            return keras.Model(running.inputs, running.get_layer(last).output)

        vectors = keras.Input((width,), name="pooled")
        return Stage(
            build_frozen=build_frozen,
            rest=keras.Model({"pooled": vectors}, head(vectors)),
            width=width,
            has_row_per_piece=False,
            identity=identity
            | {"pooling": config.pooling, "weights": _digest(encoder, encoder.weights)},
        )
    if not config.freeze_layers or not isinstance(encoder, BertEncoder):
        return None
    inputs = {tensor.name: tensor for tensor in model.inputs}
    lower = _Lower(encoder, config.freeze_layers, name="lower")
    hidden = keras.Input((None, width), dtype="float32", name="hidden")
    mask = keras.Input((None,), dtype="int32", name="attention_mask")
    pooled = _Upper(encoder, config.freeze_layers, name="upper")(hidden, mask)
    if config.pooling != "pooler":
        pooled = model.get_layer("pooling")(pooled, mask)
    blocks = list(encoder.blocks().values())[: 1 + config.freeze_layers]  # the embeddings first
    frozen_weights = [variable for block in blocks for variable in block]
    return Stage(
        build_frozen=lambda: keras.Model(inputs, lower(inputs)),
        rest=keras.Model({"hidden": hidden, "attention_mask": mask}, head(pooled)),
        width=width,
        has_row_per_piece=True,
        identity=identity
        | {"blocks": config.freeze_layers, "weights": _digest(encoder, frozen_weights)},
    )


def _form_of(encoder: Encoder) -> dict:
    """What of the base's config decides its output; the rest varies with transformers' version."""
    if isinstance(encoder, BertEncoder):
        return dataclasses.asdict(bert_config(encoder.encoder_config))
    return encoder.encoder_config.to_dict()


class _Lower(keras.layers.Layer):
    """The first blocks of an encoder, whose weights stay the encoder's."""

    def __init__(self, encoder: BertEncoder, num_blocks: int, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.encoder, self.num_blocks = encoder, num_blocks

    def call(self, inputs):
        return self.encoder.lower(inputs, self.num_blocks)

    def compute_output_spec(self, inputs):
        batch, length = inputs["input_ids"].shape
        return keras.KerasTensor((batch, length, self.encoder.facts.width), dtype="float32")


class _Upper(keras.layers.Layer):
    """The blocks above the first ones, and the pooler where the encoder has it."""

    def __init__(self, encoder: BertEncoder, num_blocks: int, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.encoder, self.num_blocks = encoder, num_blocks

    def call(self, hidden, attention_mask, training=False):
        return self.encoder.upper(hidden, attention_mask, self.num_blocks, training)

    def compute_output_spec(self, hidden, attention_mask, training=False):
        shape = (hidden.shape[0], hidden.shape[2]) if self.encoder.pooler else hidden.shape
        return keras.KerasTensor(shape, dtype="float32")


def _digest(encoder: Encoder, weights: Iterable[keras.Variable]) -> str:
    digest = hashlib.sha256()
    # LoRA's matrices start at random and correct nothing yet: what counts is the kernel with them.
    for weight in merged_weights(encoder, weights):
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).view(np.uint8))
    return digest.hexdigest()
