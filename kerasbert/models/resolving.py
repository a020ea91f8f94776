"""A model's config checked against its base, with nothing left to derive."""

import dataclasses
from pathlib import Path

from transformers import PretrainedConfig

from kerasbert.config import ModelConfig
from kerasbert.errors import InputError
from kerasbert.models.base import declared_pooling
from kerasbert.models.bert_config import bert_config
from kerasbert.models.encoder import EncoderFacts, encoder_facts
from kerasbert.models.pretrained_head import PRETRAINED_POOLING, check_pretrained_head


def resolve_model_config(
    config: ModelConfig, encoder_config: PretrainedConfig, directory: Path | None = None
) -> ModelConfig:
    """Check a config against its base, and fill in what the base decides.

    That is which encoder computes it, the pooling, and the widths of the head.

    Args:
        config: as the user gave it.
        encoder_config: the base's own.
        directory: of the base, where a declared pooling is looked for.

    Raises:
        InputError: too many layers to freeze, more pieces than positions, a pooling, an encoder
            or a head that the base does not have, LoRA that it cannot have.
    """
    facts = encoder_facts(encoder_config)
    if config.freeze_layers > facts.num_blocks:
        raise InputError(
            f"`freeze_layers` must be at most {facts.num_blocks}, the number of blocks of the base "
            f"{config.base!r}. Received: freeze_layers={config.freeze_layers}."
        )
    if config.max_length > facts.max_length:
        raise InputError(
            f"`max_length` must be at most {facts.max_length}, the number of positions of the base "
            f"{config.base!r}. Received: max_length={config.max_length}."
        )
    if config.head == "pretrained":
        check_pretrained_head(config, encoder_config)
    pooling = _resolve_pooling(config, facts, directory)
    hidden_units = config.hidden_units
    if hidden_units is None or config.head == "pretrained":
        depths = {"linear": 0, "classification": 1, "mlp": 2}
        depths["pretrained"] = 1 if facts.family == "distilbert" else 0
        hidden_units = (facts.width,) * depths[config.head]
    if config.hidden_units not in (None, hidden_units):
        raise InputError(
            "`hidden_units` must be left out with --head pretrained, which has its own. "
            f"Received: hidden_units={config.hidden_units!r}."
        )
    encoder = _resolve_encoder(config, encoder_config)
    if config.lora_rank:
        _check_lora(config, encoder, encoder_config)
    return dataclasses.replace(config, encoder=encoder, pooling=pooling, hidden_units=hidden_units)


def _resolve_encoder(config: ModelConfig, encoder_config: PretrainedConfig) -> str:
    if config.encoder == "transformers":
        return "transformers"
    try:
        bert_config(encoder_config)
        return "native"
    except InputError:
        if config.encoder == "native":
            raise
        return "transformers"


def _check_lora(config: ModelConfig, encoder: str, encoder_config: PretrainedConfig) -> None:
    if encoder != "native":
        mending = "Leave --encoder out, since it can hold this base."
        try:
            bert_config(encoder_config)
        except InputError as error:
            mending = f"{error} Choose another base, or leave --lora-rank out."
        raise InputError(
            f"LoRA needs the native encoder. Received: lora_rank={config.lora_rank}, "
            f"encoder={config.encoder!r}. {mending}"
        )
    if config.lora_rank > encoder_config.hidden_size:
        raise InputError(
            f"`lora_rank` must be at most {encoder_config.hidden_size}, the width of the base "
            f"{config.base!r}. Received: lora_rank={config.lora_rank}."
        )


def _resolve_pooling(config: ModelConfig, facts: EncoderFacts, directory: Path | None) -> str:
    pooling = config.pooling
    if pooling is None and config.head == "pretrained":
        pooling = PRETRAINED_POOLING[facts.family]
    if pooling is None:
        declared = declared_pooling(directory) if directory else None
        pooling = declared or ("last" if facts.is_causal else "cls")
    if pooling == "pooler" and not facts.has_pooler:
        raise InputError(
            f"`pooling` cannot be 'pooler': a {facts.family} base has no pooler of its own. "
            "Expected 'cls', 'mean', 'max' or 'last'."
        )
    if pooling == "cls" and facts.is_causal:
        raise InputError(
            f"`pooling` cannot be 'cls': in a {facts.family} base the first piece has seen no "
            "other. Expected 'last', 'mean' or 'max'."
        )
    return pooling
