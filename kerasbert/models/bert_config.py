"""A base's config under one set of names for all families of BERT's form."""

import dataclasses

import keras
from transformers import PretrainedConfig

from kerasbert.errors import InputError
from kerasbert.models.encoder import POSITIONS_AFTER_PADDING

ACTIVATIONS = {
    "gelu": keras.activations.gelu,
    "gelu_new": lambda x: keras.activations.gelu(x, approximate=True),
    "gelu_pytorch_tanh": lambda x: keras.activations.gelu(x, approximate=True),
    "relu": keras.activations.relu,
    "silu": keras.activations.silu,
    "swish": keras.activations.silu,
}
_FAMILIES = ("bert", "camembert", "distilbert", "roberta", "xlm-roberta")


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """Sizes and rates, under one set of names for all families.

    Attributes:
        hidden_size: width of a piece's vector, divided among the heads.
        intermediate_size: width in the middle of the feed-forward part.
        first_position: row of the position table that the first piece takes.
        num_segments: rows of the segment table; 0 for a base without one.
        dropout: share of a sum's summand set to zero in training, 0 to 1.
        attention_dropout: share of the attention's weights set to zero in training, 0 to 1.
        attention_output_dropout: `dropout`, or 0 in DistilBERT, which has none there.
    """

    vocab_size: int
    hidden_size: int
    num_blocks: int
    num_heads: int
    intermediate_size: int
    num_positions: int
    first_position: int
    num_segments: int
    activation: str
    dropout: float
    attention_dropout: float
    attention_output_dropout: float
    epsilon: float


def bert_config(config: PretrainedConfig) -> BertConfig:
    """Read a base's config; an `InputError` says why it is not of BERT's form."""
    family, problem = config.model_type, None
    is_distilbert = family == "distilbert"
    activation = getattr(config, "activation" if is_distilbert else "hidden_act", None)
    position_kind = getattr(config, "position_embedding_type", None) or "absolute"
    middle = getattr(config, "hidden_dim" if is_distilbert else "intermediate_size", None)
    rates = ("dropout", "attention_dropout")
    if not is_distilbert:
        rates = ("hidden_dropout_prob", "attention_probs_dropout_prob")
    dropouts = tuple(getattr(config, name, None) for name in rates)
    if family not in _FAMILIES:
        problem = f"a {family} base is not of BERT's form"
    elif str(activation) not in ACTIVATIONS:
        problem = f"the activation {activation!r} is not one of {', '.join(ACTIVATIONS)}"
    elif position_kind != "absolute":
        problem = f"the positions are {position_kind!r}, not 'absolute'"
    elif getattr(config, "is_decoder", False):
        problem = "the base is a decoder"
    elif not all(type(size) is int and size > 0 for size in (config.num_attention_heads, middle)):
        problem = f"it has {config.num_attention_heads!r} heads and a middle width of {middle!r}"
    elif not all(isinstance(rate, (int, float)) and 0 <= rate < 1 for rate in dropouts):
        problem = f"its dropout rates are {dropouts!r}"
    elif config.hidden_size % config.num_attention_heads:
        problem = (
            f"{config.num_attention_heads} heads do not divide a width of {config.hidden_size}"
        )
    if problem:
        raise InputError(f"The native encoder cannot hold this base: {problem}.")
    dropout, attention_dropout = dropouts
    return BertConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        num_blocks=config.num_hidden_layers,
        num_heads=config.num_attention_heads,
        intermediate_size=middle,
        num_positions=config.max_position_embeddings,
        first_position=config.pad_token_id + 1 if family in POSITIONS_AFTER_PADDING else 0,
        num_segments=getattr(config, "type_vocab_size", 0),
        activation=activation,
        dropout=dropout,
        attention_dropout=attention_dropout,
        attention_output_dropout=0.0 if is_distilbert else dropout,
        epsilon=1e-12 if is_distilbert else config.layer_norm_eps,
    )
