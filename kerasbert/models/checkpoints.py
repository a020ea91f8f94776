"""Hugging Face's checkpoints of BERT's form: read, written back, and the names in both.

The tables say which layer of theirs is which of ours; `{n}` counts the blocks. Their query, key and
value are the first, second and third part of one layer of ours.
"""

import contextlib
import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import safetensors
import safetensors.numpy

from kerasbert.errors import InputError
from kerasbert.models.checkpoint_files import WHOLE, Tensors, open_tensors
from kerasbert.models.stored_by_name import to_float32
from kerasbert.run_directory import json_text

_BERT = {
    "embeddings.word_embeddings": "embeddings.word",
    "embeddings.position_embeddings": "embeddings.position",
    "embeddings.token_type_embeddings": "embeddings.segment",
    "embeddings.LayerNorm": "embeddings.normalization",
    "encoder.layer.{n}.attention.self.query": "stack.{n}.query_key_value 1",
    "encoder.layer.{n}.attention.self.key": "stack.{n}.query_key_value 2",
    "encoder.layer.{n}.attention.self.value": "stack.{n}.query_key_value 3",
    "encoder.layer.{n}.attention.output.dense": "stack.{n}.attention_output",
    "encoder.layer.{n}.attention.output.LayerNorm": "stack.{n}.attention_normalization",
    "encoder.layer.{n}.intermediate.dense": "stack.{n}.intermediate",
    "encoder.layer.{n}.output.dense": "stack.{n}.output_dense",
    "encoder.layer.{n}.output.LayerNorm": "stack.{n}.output_normalization",
    "pooler.dense": "pooler_dense",
}
_DISTILBERT = {
    "embeddings.word_embeddings": "embeddings.word",
    "embeddings.position_embeddings": "embeddings.position",
    "embeddings.LayerNorm": "embeddings.normalization",
    "transformer.layer.{n}.attention.q_lin": "stack.{n}.query_key_value 1",
    "transformer.layer.{n}.attention.k_lin": "stack.{n}.query_key_value 2",
    "transformer.layer.{n}.attention.v_lin": "stack.{n}.query_key_value 3",
    "transformer.layer.{n}.attention.out_lin": "stack.{n}.attention_output",
    "transformer.layer.{n}.sa_layer_norm": "stack.{n}.attention_normalization",
    "transformer.layer.{n}.ffn.lin1": "stack.{n}.intermediate",
    "transformer.layer.{n}.ffn.lin2": "stack.{n}.output_dense",
    "transformer.layer.{n}.output_layer_norm": "stack.{n}.output_normalization",
}
# The base's name in front of its weights where a checkpoint has a head as well, and the class
# that transformers reads the base alone into.
_BASES = {
    "bert": ("bert", "BertModel"),
    "camembert": ("roberta", "CamembertModel"),
    "distilbert": ("distilbert", "DistilBertModel"),
    "roberta": ("roberta", "RobertaModel"),
    "xlm-roberta": ("roberta", "XLMRobertaModel"),
}
# What a checkpoint may hold beside its base: heads of all sorts, and tables of whole numbers that
# older versions of transformers stored.
_HEADS = (
    *("classifier.", "cls.", "lm_head.", "mlm___cls.", "nsp___cls.", "pre_classifier."),
    *("qa_outputs.", "vocab_layer_norm.", "vocab_projector.", "vocab_transform."),
)
_TABLES = ("embeddings.position_ids", "embeddings.token_type_ids")
# Names of a layer's weights in PyTorch, and in Keras by the kind of the layer.
_SUFFIXES = {
    "Dense": {"weight": "kernel", "bias": "bias"},
    "Embedding": {"weight": "embeddings"},
    "LayerNormalization": {"weight": "gamma", "bias": "beta"},
}


@dataclasses.dataclass(frozen=True)
class NamedTensor:
    """One tensor of Hugging Face's, and where our encoder keeps it.

    Attributes:
        name: in a PyTorch file, such as `"encoder.layer.0.output.dense.weight"`.
        stored_name: in a run's weights file: `"bert/encoder/layer_._0/output/dense/kernel"`.
        variable: of ours.
        layer: that has it.
        part: 1 for query, 2 for key, 3 for value, where the variable holds all three; else 0.
        is_kernel: whether PyTorch has it transposed.
    """

    name: str
    stored_name: str
    variable: keras.Variable
    layer: keras.layers.Layer
    part: int
    is_kernel: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """As Keras has it."""
        *rows, columns = self.variable.shape
        return (*rows, columns // 3 if self.part else columns)

    @property
    def value(self) -> np.ndarray:
        """The tensor as Keras has it, float32."""
        return to_float32(self.variable)[..., self._columns]

    @property
    def merged_value(self) -> np.ndarray:
        """The same, with LoRA's correction added where there is one."""
        if not self.is_kernel:
            return self.value
        return self.layer.merged_kernel()[..., self._columns]

    def assign(self, value: np.ndarray) -> None:
        """Set it to an array of its shape."""
        if value.shape != self.shape:
            raise ValueError(
                f"the encoder's weight {self.stored_name!r} has the shape {value.shape}, expected "
                f"{self.shape}"
            )
        if self.part:
            whole = np.array(to_float32(self.variable))
            whole[..., self._columns] = value
            value = whole
        self.variable.assign(value)

    @property
    def _columns(self) -> slice:
        width = self.shape[-1]
        return slice((self.part - 1) * width, self.part * width) if self.part else slice(None)


def named_tensors(encoder) -> list[NamedTensor]:
    """The tensors of a `BertEncoder`, embeddings first."""
    family = encoder.facts.family
    prefix, _ = _BASES[family]
    tensors = []
    for theirs, ours in (_DISTILBERT if family == "distilbert" else _BERT).items():
        for number in range(encoder.facts.num_blocks if "{n}" in theirs else 1):
            name = theirs.format(n=number)
            path, _, part = ours.format(n=number).partition(" ")
            layer = _layer_at(encoder, path)
            if layer is None:
                continue  # a base without segments, or without its pooler
            for suffix, keras_suffix in _SUFFIXES[type(layer).__name__].items():
                # The one weight that transformers' TensorFlow classes call as PyTorch does.
                stored = "weight" if path == "embeddings.word" else keras_suffix
                tensors.append(
                    NamedTensor(
                        name=f"{name}.{suffix}",
                        stored_name=_stored_name(f"{prefix}.{name}.{stored}"),
                        variable=getattr(layer, keras_suffix),
                        layer=layer,
                        part=int(part or 0),
                        is_kernel=keras_suffix == "kernel",
                    )
                )
    return tensors


def read_checkpoint(directory: Path, encoder) -> tuple[str, ...]:
    """Read `model.safetensors`, whole or in shards, or `tf_model.h5` into a `BertEncoder`.

    Returns:
        Names of the weights that were left out: those of the checkpoint's own heads.

    Raises:
        InputError: a file cannot be read, or tensors of the base are missing, unexpected or
            misshapen.
    """
    with _open_checkpoint(directory, encoder.facts.family) as (base, heads):
        expected = {tensor.name: tensor for tensor in named_tensors(encoder)}
        pooler = [] if encoder.pooler else [name for name in base if name.startswith("pooler.")]
        if missing := [name for name in expected if name not in base]:
            raise InputError(
                f"The base in {directory} lacks {_some(missing)} of the weights that its config "
                "calls for; they would have stayed random."
            )
        if unexpected := [name for name in base if name not in expected and name not in pooler]:
            raise InputError(
                f"The base in {directory} has {_some(unexpected)} of the weights that its config "
                "does not call for. Expected a config.json that belongs to the weights."
            )
        for name, tensor in expected.items():
            value = base[name]()
            value = value.T if tensor.is_kernel else value
            if value.shape != tensor.shape:
                raise InputError(
                    f"The base in {directory} has the weight {name!r} in the shape "
                    f"{value.shape}, expected {tensor.shape} by its config."
                )
            if not np.isfinite(value).all():
                raise InputError(
                    f"The base in {directory} has a weight {name!r} that is not finite."
                )
            tensor.assign(value)
        return tuple(heads)


def read_head(directory: Path, family: str) -> dict[str, np.ndarray]:
    """The weights of a checkpoint's own head by name, as PyTorch has them."""
    with _open_checkpoint(directory, family) as (_, heads):
        return {name: read() for name, read in heads.items()}


def write_checkpoint(directory: Path, encoder) -> None:
    """Write `config.json` and `model.safetensors` as transformers does, to be read by it.

    Args:
        directory: an existing one.
        encoder: a `BertEncoder`. Its pooler is written if it has one; LoRA's matrices are added to
            the kernels that they correct.
    """
    state = {}
    for tensor in named_tensors(encoder):
        value = tensor.merged_value
        state[tensor.name] = np.ascontiguousarray(value.T if tensor.is_kernel else value)
    safetensors.numpy.save_file(state, directory / WHOLE, metadata={"format": "pt"})
    config = encoder.encoder_config.to_dict()
    config |= {"architectures": [_BASES[encoder.facts.family][1]], "dtype": "float32"}
    for name in ("_name_or_path", "torch_dtype"):
        config.pop(name, None)
    (directory / "config.json").write_text(json_text(config), encoding="utf-8")


@contextlib.contextmanager
def _open_checkpoint(directory: Path, family: str) -> Iterator[tuple[Tensors, Tensors]]:
    """The tensors of the base and those of heads, by PyTorch's names, read when called."""
    prefix = f"{_BASES[family][0]}."
    with contextlib.ExitStack() as files:
        try:
            found = open_tensors(directory, files)
            # What a checkpoint holds beside a base that has its name in front is a head.
            is_named = any(name.startswith(prefix) for name in found)
            base, heads = {}, {}
            for name, read in found.items():
                short = name.removeprefix(prefix)
                if short in _TABLES:
                    continue
                is_head = short == name if is_named else name.startswith(_HEADS)
                (heads if is_head else base)[short] = read
            yield base, heads
        except (OSError, KeyError, safetensors.SafetensorError) as error:
            raise InputError(f"The base's weights in {directory} cannot be read: {error}") from None


def _stored_name(name: str) -> str:
    return re.sub(r"layer/(\d+)", r"layer_._\1", name.replace(".", "/"))


def _layer_at(encoder, path: str):
    layer = encoder
    for step in path.split("."):
        layer = layer[int(step)] if step.isdigit() else getattr(layer, step)
    return layer


def _some(names: list[str]) -> str:
    shown = ", ".join(map(repr, names[:3]))
    return f"{len(names)} ({shown}{', ...' if len(names) > 3 else ''})"
