"""What an encoder is to the rest of the house: facts about a base, and freezing by named blocks."""

import abc
import dataclasses
from pathlib import Path

import keras
from transformers import AutoConfig, PretrainedConfig

from kerasbert.errors import InputError

# The bases that can be used. Value: whether a piece sees only those before it.
FAMILIES = {
    "albert": False,
    "bert": False,
    "camembert": False,
    "deberta-v2": False,
    "distilbert": False,
    "electra": False,
    "gpt2": True,
    "mpnet": False,
    "roberta": False,
    "xlm-roberta": False,
}
_HAVE_POOLER = ("albert", "bert", "camembert", "mpnet", "roberta", "xlm-roberta")
# Their positions are counted from the padding's number + 1.
POSITIONS_AFTER_PADDING = ("camembert", "mpnet", "roberta", "xlm-roberta")


@dataclasses.dataclass(frozen=True)
class EncoderFacts:
    """What can be read off a base's config before its weights are.

    Attributes:
        width: length of a piece's vector.
        num_blocks: transformer blocks that can be frozen one by one; 1 for ALBERT, whose blocks
            are one and the same.
        max_length: pieces of the longest sequence that the positions allow.
        is_causal: whether a piece sees only those before it.
        has_pooler: whether the base has a layer of its own over the first piece.
        has_segments: whether the base tells the first text from the second.
    """

    family: str
    width: int
    num_blocks: int
    max_length: int
    is_causal: bool
    has_pooler: bool
    has_segments: bool


def encoder_facts(config: PretrainedConfig) -> EncoderFacts:
    """Read the facts off a base's config; an `InputError` refuses a base that cannot serve."""
    family = config.model_type
    _check_family(family)
    blocks = "num_hidden_groups" if family == "albert" else "num_hidden_layers"
    for name in ("hidden_size", "max_position_embeddings", "vocab_size", blocks):
        value = getattr(config, name, None)
        if type(value) is not int or value < 1:
            raise InputError(
                f"The base's config has {name}={value!r}. Expected a whole number above 0."
            )
    max_length = config.max_position_embeddings
    if family in POSITIONS_AFTER_PADDING:
        if type(config.pad_token_id) is not int:
            raise InputError(
                f"The base's config has pad_token_id={config.pad_token_id!r}. Expected a whole "
                f"number, after which a {family} base counts its positions."
            )
        max_length -= config.pad_token_id + 1
    return EncoderFacts(
        family=family,
        width=config.hidden_size,
        num_blocks=getattr(config, blocks),
        max_length=max_length,
        is_causal=FAMILIES[family],
        has_pooler=family in _HAVE_POOLER,
        has_segments=getattr(config, "type_vocab_size", 0) > 1,
    )


def encoder_config_from_dict(values: dict) -> PretrainedConfig:
    """A base's config from its JSON; an `InputError` refuses what is not one we know."""
    values = dict(values)
    family = values.pop("model_type", None)
    _check_family(family)
    try:
        return AutoConfig.for_model(family, **values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"The base's config cannot be used: {error}.") from None


class Encoder(keras.layers.Layer, abc.ABC):
    """A pretrained base as a Keras layer.

    Call it on a dict of `input_ids` and `attention_mask` (and `token_type_ids` where the base has
    segments), int32 of shape (batch, length). It returns the vectors of the last block, of shape
    (batch, length, width), or, with `pooler=True`, the output of the base's own pooler, of shape
    (batch, width). Weights that play no part in this output are not the layer's.

    Args:
        encoder_config: the base's config; the weights are random until `load_pretrained`.
        pooler: return the pooler's output.

    Attributes:
        left_out: names of the weights that `load_pretrained` found and had no use for: those of
            the checkpoint's own heads.
        lora_rank: columns of LoRA's matrices; 0 where there are none.
    """

    lora_rank = 0

    def __init__(self, encoder_config: PretrainedConfig, *, pooler: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.encoder_config = encoder_config
        self.facts = encoder_facts(encoder_config)
        self.pooler = pooler
        self.left_out: tuple[str, ...] = ()

    @abc.abstractmethod
    def blocks(self) -> dict[str, list[keras.Variable]]:
        """The weights by named block, bottom first: `embeddings`, `block 1`, ..., `top`."""

    @abc.abstractmethod
    def load_pretrained(self, directory: Path) -> None:
        """Read the base's weights from a directory of Hugging Face's.

        Raises:
            InputError: a file cannot be read, or its weights are not those of this encoder.
        """

    def corrected_layers(self) -> dict[str, keras.layers.Layer]:
        """The layers whose kernels LoRA corrects, by block and name; none without LoRA."""
        return {}

    @property
    def pretrained_weights(self) -> list[keras.Variable]:
        """The weights that `load_pretrained` sets."""
        return self.weights

    @property
    def input_names(self) -> list[str]:
        """Names of the tensors the encoder reads."""
        segments = ["token_type_ids"] if self.facts.has_segments else []
        return ["input_ids", "attention_mask", *segments]

    @property
    def is_frozen(self) -> bool:
        """Whether no weight can be trained."""
        return not self.trainable_variables

    def freeze(self, *, base: bool = False, layers: int = 0, embeddings: bool = False) -> None:
        """Set which weights can be trained. Takes effect when the model is compiled next.

        Args:
            base: freeze all.
            layers: freeze the embeddings and this many blocks from the bottom.
            embeddings: freeze the embeddings.
        """
        frozen = {"embeddings"} if embeddings or layers else set()
        frozen |= {f"block {number}" for number in range(1, layers + 1)}
        for block, variables in self.blocks().items():
            for variable in variables:
                variable.trainable = not (base or block in frozen)

    def compute_output_spec(self, inputs, training=False):
        batch, length = inputs["input_ids"].shape
        middle = () if self.pooler else (length,)
        return keras.KerasTensor((batch, *middle, self.facts.width), dtype=self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "encoder_config": self.encoder_config.to_dict(),
            "pooler": self.pooler,
        }

    @classmethod
    def from_config(cls, config):
        return cls(encoder_config_from_dict(config.pop("encoder_config")), **config)


def assign_stored(variable: keras.Variable, store, name: str, what: str) -> None:
    """Set a variable to what a weights file has under a name; a `ValueError` says why it cannot."""
    if name not in store:
        raise ValueError(f"{what} {name!r} is missing")
    if store[name].shape != variable.shape:
        raise ValueError(
            f"{what} {name!r} has the shape {store[name].shape}, expected {tuple(variable.shape)}"
        )
    variable.assign(store[name][...])


def _check_family(family: str | None) -> None:
    if family not in FAMILIES:
        raise InputError(
            f"A base of the type {family!r} is not supported. Expected one of "
            f"{', '.join(sorted(FAMILIES))}."
        )
