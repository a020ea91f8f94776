"""A frozen base encodes each distinct text once; training reads the vectors.

With the whole base frozen the pooled vector of a text never changes, and with its first blocks
frozen neither does what leaves them. Either is computed once, in batches sorted by length, and kept
in a store whose name is a digest of all that decides it: the weights, the pooling, the precision;
the key of a text is a digest of its word pieces, which hold the tokenizer and the maximum length.
"""

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import platformdirs
import tensorflow as tf

from kerasbert.config import ModelConfig
from kerasbert.data.batches import sorted_buckets
from kerasbert.data.pipeline import Source
from kerasbert.data.tokens import Tokens
from kerasbert.models.bert import BertEncoder
from kerasbert.models.running import build_forward, running_copy
from kerasbert.scoring import run_batches
from kerasbert.training.feature_store import KEY, FeatureStore, make_room

# Raised when what is stored changes its meaning.
_FORMAT = 1
# Texts whose rows are added to the store together; an interrupted run loses one such part.
_PART = 65_536


def cache_directory(chosen: str | None) -> Path:
    """Where features are kept: `chosen`, else the user's own cache directory."""
    return Path(chosen) if chosen else platformdirs.user_cache_path("kerasbert") / "features"


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
        "base": encoder.encoder_config.to_dict(),
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
            identity=identity | {"pooling": config.pooling, "weights": _digest(encoder.weights)},
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
    frozen_weights = [variable for variable in encoder.weights if not variable.trainable]
    return Stage(
        build_frozen=lambda: keras.Model(inputs, lower(inputs)),
        rest=keras.Model({"hidden": hidden, "attention_mask": mask}, head(pooled)),
        width=width,
        has_row_per_piece=True,
        identity=identity | {"blocks": config.freeze_layers, "weights": _digest(frozen_weights)},
    )


class FeatureCache:
    """What a stage makes of texts, computed once.

    Args:
        stage: from `frozen_stage`.
        parent: the directory of stores; None keeps nothing beyond this object.
        limit: what all stores below `parent` may hold, in bytes.

    Attributes:
        directory: where the rows are kept.
        num_encoded: texts that were encoded so far.
        num_found: texts that were there already.
    """

    def __init__(self, stage: Stage, parent: Path | None, limit: int):
        self.stage = stage
        self._parent, self._limit = parent, limit
        name = hashlib.sha256(json.dumps(stage.identity, sort_keys=True).encode()).hexdigest()[:32]
        self._store = FeatureStore(None if parent is None else parent / name)
        self.directory = self._store.directory
        self._forward: Callable | None = None
        self._names: list[str] = []
        self.num_encoded = self.num_found = 0

    def source(
        self, tokens: Tokens, on_progress: Callable[[int, int], None] = lambda done, total: None
    ) -> Source:
        """The rows of n texts, as what the rest of the classifier reads.

        Args:
            tokens: the texts.
            on_progress: called with the number of texts encoded, and that of those to encode.
        """
        keys, first, inverse = np.unique(
            text_keys(tokens), return_index=True, return_inverse=True
        )  # distinct texts, and which of them each text is
        shard_of, _ = self._store.find(keys)
        missing = first[shard_of == -1]
        self.num_found += len(keys) - len(missing)
        self.num_encoded += len(missing)
        if len(missing):
            self._encode(tokens.take(missing), keys[shard_of == -1], on_progress)
        shard_of, text_in = self._store.find(keys)
        return self._source(tokens, shard_of[inverse], text_in[inverse])

    def close(self) -> None:
        """Give up the memory, and what was not to be kept."""
        self._store.close()

    def _encode(self, tokens: Tokens, keys: np.ndarray, on_progress) -> None:
        if self._parent is not None:
            needed = num_bytes(tokens, self.stage)
            make_room(self._parent, needed, self._limit, keep=self.directory)
        if self._forward is None:
            frozen = self.stage.build_frozen()
            self._forward = build_forward(frozen)
            self._names = [tensor.name for tensor in frozen.inputs]
        part_keys, part_rows, done = [], [], 0
        for indices, outputs in run_batches(
            self._forward, self._names, tokens, sorted_buckets(tokens.lengths)
        ):
            outputs = outputs.astype(np.float32, copy=False)
            for index, rows in zip(indices, outputs, strict=True):
                # A text's rows are those of its own pieces; the padding's are nobody's.
                length = tokens.lengths[index]
                part_rows.append(rows[:length] if self.stage.has_row_per_piece else rows[None])
            part_keys.append(keys[indices])
            done += len(indices)
            on_progress(done, len(tokens))
            if len(part_rows) >= _PART or done == len(tokens):
                self._store.add(np.concatenate(part_keys), part_rows)
                part_keys, part_rows = [], []

    def _source(self, tokens: Tokens, shard_of: np.ndarray, text_in: np.ndarray) -> Source:
        shards, width = self._store.shards, self.stage.width

        def rows_of(index: int) -> np.ndarray:
            shard, text = shards[shard_of[index]], text_in[index]
            return shard.rows[shard.offsets[text] : shard.offsets[text + 1]]

        def take_vectors(indices: np.ndarray) -> dict[str, np.ndarray]:
            return {"pooled": np.concatenate([rows_of(index) for index in indices])}

        def take_hidden(indices: np.ndarray) -> dict[str, np.ndarray]:
            lengths = tokens.lengths[indices]
            hidden = np.zeros((len(indices), lengths.max(), width), np.float32)
            for place, index in enumerate(indices):
                hidden[place, : lengths[place]] = rows_of(index)
            mask = np.arange(lengths.max()) < lengths[:, None]  # (batch, length)
            return {"hidden": hidden, "attention_mask": mask.astype(np.int32)}

        if not self.stage.has_row_per_piece:
            signature = {"pooled": tf.TensorSpec((None, width), tf.float32, name="pooled")}
            # All examples are equally long now, so batches are drawn blindly.
            return Source(take_vectors, signature, np.ones(len(tokens), np.int64))
        signature = {
            "hidden": tf.TensorSpec((None, None, width), tf.float32, name="hidden"),
            "attention_mask": tf.TensorSpec((None, None), tf.int32, name="attention_mask"),
        }
        return Source(take_hidden, signature, tokens.lengths)


def num_bytes(tokens: Tokens, stage: Stage) -> int:
    """What the rows that a stage makes of texts weigh, in bytes."""
    rows = len(tokens.input_ids) if stage.has_row_per_piece else len(tokens)
    return rows * stage.width * 4


def fits(needed: int, parent: Path | None, limit: int) -> bool:
    """Whether features of so many bytes have room: within the limit, and on the disk."""
    place = Path(parent or platformdirs.user_cache_path("kerasbert")).absolute()
    while not place.exists():
        place = place.parent
    return needed <= limit and needed <= shutil.disk_usage(place).free / 2


def text_keys(tokens: Tokens) -> np.ndarray:
    """A digest of each text's word pieces and segments, shape (n,)."""
    keys = np.empty(len(tokens), KEY)
    for index, (start, end) in enumerate(zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)):
        digest = hashlib.blake2b(tokens.input_ids[start:end].tobytes(), digest_size=16)
        digest.update(tokens.token_type_ids[start:end].tobytes())
        keys[index] = digest.digest()
    return keys


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


def _digest(weights: list[keras.Variable]) -> str:
    digest = hashlib.sha256()
    for weight in weights:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).view(np.uint8))
    return digest.hexdigest()
