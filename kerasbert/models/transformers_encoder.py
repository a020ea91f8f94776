"""The border with transformers: one of its TensorFlow encoders as a Keras 3 layer.

transformers' TensorFlow classes are tf_keras (Keras 2) models, which Keras 3 cannot hold as layers.
`TransformerEncoder` owns such a model and adopts its variables as Keras variables, so that Keras
trains, freezes, counts and saves them. No other file of the package knows of tf_keras, or of the
classes, which end with transformers 5: they are an extra, for the families that the native encoder
does not hold, and the judge of those that it does.
"""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import safetensors
import tf_keras
from transformers import PretrainedConfig, TFAutoModel
from transformers.modeling_tf_pytorch_utils import load_pytorch_state_dict_in_tf2_model

from kerasbert.errors import InputError
from kerasbert.models.encoder import Encoder, assign_stored

# Weights are named embeddings/..., ..._._N/... and pooler/... in all families.
_BLOCK = re.compile(r"/(?:layer|h|albert_layer_groups)_\._(\d+)/")
_EMBEDDINGS = re.compile(
    r"/(?:embeddings|embeddings_project|embedding_hidden_mapping_in|wte|wpe"
    r"|relative_attention_bias|rel_embeddings|encoder/LayerNorm)/"
)


@keras.saving.register_keras_serializable("kerasbert")
class TransformerEncoder(Encoder):
    """A transformers TensorFlow encoder as a Keras layer; see `Encoder`."""

    def __init__(self, encoder_config: PretrainedConfig, *, pooler: bool = False, **kwargs):
        super().__init__(encoder_config, pooler=pooler, **kwargs)
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

    def call(self, inputs, training=False):
        # A frozen encoder is a fixed function: with its dropout alive, the same text would have
        # other features in each epoch, and others again at prediction.
        outputs = self._holder[0](**inputs, training=bool(training) and not self.is_frozen)
        return outputs.pooler_output if self.pooler else outputs.last_hidden_state

    def blocks(self) -> dict[str, list[keras.Variable]]:
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
        model, path = self._holder[0], directory / "model.safetensors"
        try:
            if path.is_file() and _is_pytorch_layout(path):
                missing = _load_pytorch_layout(model, path)
            else:
                missing = _load_tensorflow_layout(model, directory)
        except (OSError, ValueError, TypeError, safetensors.SafetensorError) as error:
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
            assign_stored(variable, store, name, "the encoder's weight")

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
