"""Config to model: encoder, pooled, head."""

import math

import keras
from rich.table import Table
from transformers import PretrainedConfig

from kerasbert.config import ModelConfig
from kerasbert.errors import InputError
from kerasbert.models.base import read_encoder_config
from kerasbert.models.bert import BertEncoder
from kerasbert.models.bert_config import bert_config
from kerasbert.models.encoder import Encoder
from kerasbert.models.heads import build_head
from kerasbert.models.pooling import Pooling
from kerasbert.models.pretrained import Bases
from kerasbert.models.pretrained_head import load_pretrained_head
from kerasbert.models.resolving import resolve_model_config


def build_classifier(
    config: ModelConfig,
    *,
    encoder_config: PretrainedConfig | None = None,
    dtype=None,
    bases: Bases | None = None,
    is_random: bool = True,
) -> keras.Model:
    """Build a classifier over a pretrained base.

    Args:
        config: what to build; see `ModelConfig`.
        encoder_config: build the base from this config with random weights, instead of finding
            `config.base` and reading its weights.
        dtype: precision policy, such as `"mixed_bfloat16"`; `"bfloat16"` keeps the encoder's
            kernels in it, for a model that is only run. Default: Keras's global one.
        bases: takes the pretrained weights from memory where it has read them before.
        is_random: draw the weights of a base that is not read. Without that, which takes longer
            than reading them, they are zeros, for whoever sets all of them.

    Returns:
        A functional `keras.Model` from a dict of `input_ids`, `attention_mask` (and
        `token_type_ids` where the base has segments), int32 of shape (batch, length), to
        probabilities, or scores, float32 of shape (batch, num_labels). Its layers are named
        `encoder`, `pooling` and `head`. Frozen as `config` says, not compiled.

    Raises:
        InputError: the config asks for what the base does not have.

    Example:
        >>> model = build_classifier(ModelConfig(freeze_base=True, num_labels=2))
        >>> [layer.name for layer in model.get_layer("head").layers][-1]
        'softmax'
    """
    directory = None
    if encoder_config is None:
        bases = bases or Bases(keep=False)
        directory = bases.find(config.base)
        encoder_config = read_encoder_config(directory)
    config = resolve_model_config(config, encoder_config, directory)
    dtype = dtype or keras.config.dtype_policy()

    options = {}
    if config.encoder == "native":
        options = {"lora_rank": config.lora_rank, "is_random": is_random and directory is None}
    encoder = _encoder_class(config.encoder, encoder_config)(
        encoder_config, pooler=config.pooling == "pooler", dtype=dtype, name="encoder", **options
    )
    if directory is not None:
        bases.load(encoder, directory)
    encoder.freeze(
        base=config.freeze_base, layers=config.freeze_layers, embeddings=config.freeze_embeddings
    )
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in encoder.input_names}
    pooled = encoder(inputs)  # (batch, length, width), or (batch, width) from the base's pooler
    if config.pooling != "pooler":
        pooled = Pooling(config.pooling, name="pooling")(pooled, inputs["attention_mask"])
    # A policy of bfloat16 alone is for running an encoder; a head is too small to gain by it.
    head_dtype = "float32" if keras.dtype_policies.get(dtype).name == "bfloat16" else dtype
    head = build_head(config, encoder.facts.width, head_dtype)
    if config.head == "pretrained" and directory is not None:
        load_pretrained_head(head, directory, encoder.facts.family)
    return keras.Model(inputs, head(pooled), name="classifier")


def _encoder_class(name: str, encoder_config: PretrainedConfig) -> type[Encoder]:
    if name == "native":
        return BertEncoder
    try:
        # Only here, since the classes and tf_keras, which they need, are an extra.
        from kerasbert.models.transformers_encoder import TransformerEncoder
    except ImportError as error:
        raise InputError(
            "The transformers encoder needs TensorFlow classes that are not installed "
            f"({str(error).splitlines()[0]}). Install them: pip install 'kerasbert[transformers]'."
            f"{_why_not_native(encoder_config)}"
        ) from None
    return TransformerEncoder


def _why_not_native(encoder_config: PretrainedConfig) -> str:
    try:
        bert_config(encoder_config)
    except InputError as error:
        return f" {error}"
    return " Or leave --encoder out: the native encoder can hold this base."


def freezing_table(model: keras.Model) -> Table:
    """What is trained and what is frozen, a row per block of the encoder and one for the head."""
    table = Table(title=f"{model.count_params():,} parameters")
    for column in ("block", "trained", "frozen"):
        table.add_column(column, justify="left" if column == "block" else "right")
    blocks = {
        f"encoder, {block}": variables
        for block, variables in model.get_layer("encoder").blocks().items()
    }
    blocks["head"] = model.get_layer("head").weights
    for block, variables in blocks.items():
        trained = sum(math.prod(v.shape) for v in variables if v.trainable)
        total = sum(math.prod(v.shape) for v in variables)
        table.add_row(block, f"{trained:,}", f"{total - trained:,}")
    return table
