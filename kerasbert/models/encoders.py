"""The border with transformers: one of its TensorFlow encoders as a Keras 3 layer.

transformers' TensorFlow classes are tf_keras (Keras 2) models, which Keras 3 cannot hold as layers.
`TransformerEncoder` owns such a model and adopts its variables as Keras variables, so that Keras
trains, freezes, counts and saves them. No other file of the package knows of tf_keras.
"""

import contextlib
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import safetensors
import tf_keras
from transformers import AutoConfig, PretrainedConfig, TFAutoModel
from transformers.modeling_tf_pytorch_utils import load_pytorch_state_dict_in_tf2_model

from kerasbert.errors import InputError

# The encoders whose weights are named embeddings/..., ..._._N/... and pooler/..., and which the
# contract tests hold to the same promises. Value: whether a piece sees only those before it.
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
_BLOCK = re.compile(r"/(?:layer|h|albert_layer_groups)_\._(\d+)/")
_EMBEDDINGS = re.compile(
    r"/(?:embeddings|embeddings_project|embedding_hidden_mapping_in|wte|wpe"
    r"|relative_attention_bias|rel_embeddings|encoder/LayerNorm)/"
)


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
    if family in ("roberta", "xlm-roberta", "camembert", "mpnet"):
        # Their positions are counted from the padding's number + 1.
        max_length -= 2
    return EncoderFacts(
        family=family,
        width=config.hidden_size,
        num_blocks=getattr(config, blocks),
        max_length=max_length,
        is_causal=FAMILIES[family],
        has_pooler=family in _HAVE_POOLER,
        has_segments=getattr(config, "type_vocab_size", 0) > 1,
    )


@keras.saving.register_keras_serializable("kerasbert")
class TransformerEncoder(keras.layers.Layer):
    """A transformers TensorFlow encoder as a Keras layer.

    Call it on a dict of `input_ids` and `attention_mask` (and `token_type_ids` where the base has
    segments), int32 of shape (batch, length). It returns the vectors of the last block, of shape
    (batch, length, width), or, with `pooler=True`, the output of the base's own pooler, of shape
    (batch, width). Weights that play no part in this output are not the layer's.

    Args:
        encoder_config: the base's config; the weights are random until `load_pretrained`.
        pooler: return the pooler's output.
    """

    def __init__(self, encoder_config: PretrainedConfig, *, pooler: bool = False, **kwargs):
        super().__init__(**kwargs)
        self.encoder_config = encoder_config
        self.facts = encoder_facts(encoder_config)
        self.pooler = pooler
        try:
            with _tf_keras_policy(self.dtype_policy.name):
                model = TFAutoModel.from_config(encoder_config)
                model.build_in_name_scope()
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(f"The base's config cannot be used: {error}.") from error
        # In a tuple, since Keras 3 would wrap the model's attributes to track them.
        self._holder = (model,)
        self._by_name: dict[str, keras.Variable] = {}
        for weight in model.weights:
            # "tf_bert_model/bert/encoder/...:0" -> "bert/encoder/...", the same in every process
            name = weight.name.partition("/")[2].partition(":")[0]
            if "/pooler/" in name and not pooler:
                continue
            self._by_name[name] = self._adopt(weight, name)
        self.built = True

    @property
    def input_names(self) -> list[str]:
        """Names of the tensors the encoder reads."""
        segments = ["token_type_ids"] if self.facts.has_segments else []
        return ["input_ids", "attention_mask", *segments]

    @property
    def is_frozen(self) -> bool:
        """Whether no weight can be trained."""
        return not self.trainable_variables

    def call(self, inputs, training=False):
        # A frozen encoder is a fixed function: with its dropout alive, the same text would have
        # other features in each epoch, and others again at prediction.
        outputs = self._holder[0](**inputs, training=bool(training) and not self.is_frozen)
        return outputs.pooler_output if self.pooler else outputs.last_hidden_state

    def compute_output_spec(self, inputs, training=False):
        batch, length = inputs["input_ids"].shape
        middle = () if self.pooler else (length,)
        return keras.KerasTensor((batch, *middle, self.facts.width), dtype=self.compute_dtype)

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

    def blocks(self) -> dict[str, list[keras.Variable]]:
        """The weights by named block, bottom first: `embeddings`, `block 1`, ..., `top`."""
        blocks: dict[str, list[keras.Variable]] = {"embeddings": []}
        blocks |= {f"block {number + 1}": [] for number in range(self.facts.num_blocks)}
        blocks["top"] = []
        for name, variable in self._by_name.items():
            if match := _BLOCK.search(name):
                blocks[f"block {int(match[1]) + 1}"].append(variable)
            else:
                blocks["embeddings" if _EMBEDDINGS.search(f"/{name}") else "top"].append(variable)
        return {block: variables for block, variables in blocks.items() if variables}

    def load_pretrained(self, directory: Path) -> None:
        """Read the base's weights from `model.safetensors` or `tf_model.h5`.

        Raises:
            InputError: the file cannot be read, or lacks weights of this encoder.
        """
        model, path = self._holder[0], directory / "model.safetensors"
        try:
            if path.is_file() and _is_pytorch_layout(path):
                missing = _load_pytorch_layout(model, path)
            else:
                missing = _load_tensorflow_layout(model, directory)
        except (OSError, ValueError, safetensors.SafetensorError) as error:
            raise InputError(f"The base's weights in {directory} cannot be read: {error}") from None
        missing = [name for name in missing if self.pooler or "pooler" not in name]
        if missing:
            raise InputError(
                f"The base in {directory} lacks {len(missing)} of the weights that its config "
                f"calls for, such as {missing[0]!r}; they would have stayed random."
            )

    # Keras stores by position; names survive another order of creation and tell what is missing.
    def save_own_variables(self, store):
        for name, variable in self._by_name.items():
            store[name] = variable.numpy()

    def load_own_variables(self, store):
        for name, variable in self._by_name.items():
            if name not in store:
                raise ValueError(f"the encoder's weight {name!r} is missing")
            if store[name].shape != variable.shape:
                raise ValueError(
                    f"the encoder's weight {name!r} has the shape {store[name].shape}, "
                    f"expected {tuple(variable.shape)}"
                )
            variable.assign(np.asarray(store[name]))

    def get_config(self):
        return {
            **super().get_config(),
            "encoder_config": self.encoder_config.to_dict(),
            "pooler": self.pooler,
        }

    @classmethod
    def from_config(cls, config):
        return cls(encoder_config_from_dict(config.pop("encoder_config")), **config)

    def _adopt(self, weight, name: str) -> keras.Variable:
        # Under mixed precision tf_keras wraps its variables in ones that cast when read.
        inner = getattr(weight, "_variable", weight)
        variable = keras.Variable(
            np.broadcast_to(np.float32(0), inner.shape),
            dtype=inner.dtype.name,
            name=name.replace("/", "_"),
        )
        variable._value = inner
        self._track_variable(variable)
        return variable


def encoder_config_from_dict(values: dict) -> PretrainedConfig:
    """A base's config from its JSON; an `InputError` refuses what is not one we know."""
    values = dict(values)
    family = values.pop("model_type", None)
    _check_family(family)
    try:
        return AutoConfig.for_model(family, **values)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"The base's config cannot be used: {error}.") from None


def _check_family(family: str | None) -> None:
    if family not in FAMILIES:
        raise InputError(
            f"A base of the type {family!r} is not supported. Expected one of "
            f"{', '.join(sorted(FAMILIES))}."
        )


@contextlib.contextmanager
def _tf_keras_policy(name: str) -> Iterator[None]:
    """Build tf_keras layers under the precision policy of the Keras 3 layer that holds them."""
    before = tf_keras.mixed_precision.global_policy()
    tf_keras.mixed_precision.set_global_policy(name)
    try:
        yield
    finally:
        tf_keras.mixed_precision.set_global_policy(before)


def _is_pytorch_layout(path: Path) -> bool:
    with safetensors.safe_open(path, framework="np") as file:
        return (file.metadata() or {}).get("format", "pt") != "tf"


def _load_pytorch_layout(model, path: Path) -> list[str]:
    # transformers' own reader cannot hand a safetensors file to a TensorFlow class (4.54 to 4.57).
    from safetensors.numpy import load_file

    state = {name: np.asarray(value, np.float32) for name, value in load_file(path).items()}
    _, info = load_pytorch_state_dict_in_tf2_model(
        model, state, allow_missing_keys=True, output_loading_info=True
    )
    return list(info["missing_keys"])


def _load_tensorflow_layout(model, directory: Path) -> list[str]:
    loaded, info = type(model).from_pretrained(
        directory, local_files_only=True, output_loading_info=True
    )
    for weight, value in zip(model.weights, loaded.weights, strict=True):
        weight.assign(value)
    return list(info["missing_keys"])
