"""A frozen base encodes each distinct text once; training reads the vectors.

With the whole base frozen the pooled vector of a text never changes, and with its first blocks
frozen neither does what leaves them. Either is computed once, in batches sorted by length, and kept
in a store whose name is a digest of all that decides it: the weights, the pooling, the precision;
the key of a text is a digest of its word pieces, which hold the tokenizer and the maximum length.
"""

import hashlib
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import platformdirs
import tensorflow as tf

from kerasbert.data.batches import pad, sorted_buckets
from kerasbert.data.pipeline import Source
from kerasbert.data.tokens import Tokens
from kerasbert.errors import InputWarning
from kerasbert.models.running import build_forward
from kerasbert.scoring import run_batches
from kerasbert.training.feature_store import KEY, FeatureStore, Shard, find, gathered, make_room
from kerasbert.training.stages import Stage

# Bytes of rows that are added to the store together; an interrupted run loses one such part.
_PART = 64_000_000
# Sets of texts whose keys are remembered.
_MOST_ASKED = 8


def cache_directory(chosen: str | None) -> Path:
    """Where features are kept: `chosen`, else the user's own cache directory."""
    return Path(chosen) if chosen else platformdirs.user_cache_path("kerasbert") / "features"


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
        name = hashlib.sha256(json.dumps(stage.identity, sort_keys=True).encode()).hexdigest()[:32]
        self._stores = [_open_store(parent, name)]
        self.directory = self._stores[0].directory
        # None, too, where the store could not be made in its place.
        self._parent = parent if self.directory.parent == parent else None
        self._limit = limit
        self._forward: Callable | None = None
        self._names: list[str] = []
        self._asked: list[tuple[Tokens, tuple]] = []
        self.num_encoded = self.num_found = 0

    def source(
        self,
        tokens: Tokens,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
        on_wait: Callable[[], None] = lambda: None,
    ) -> Source:
        """The rows of n texts, as what the rest of the classifier reads.

        Args:
            tokens: the texts.
            on_progress: called with the number of texts encoded, and that of those to encode.
            on_wait: called where another process is encoding with this base, and is waited for.
        """
        keys, first, inverse = self._distinct(tokens)
        shards, shard_of, text_in = self._find(keys)
        num_encoded = 0
        if (shard_of == -1).any():
            # One process encodes; others, which perhaps need the same texts, wait for it.
            with self._stores[0].updated(on_wait):
                is_missing = self._find(keys)[1] == -1
                num_encoded = int(is_missing.sum())
                if num_encoded:
                    self._encode(tokens, first[is_missing], keys[is_missing], on_progress)
            shards, shard_of, text_in = self._find(keys)
        self.num_encoded += num_encoded
        self.num_found += len(keys) - num_encoded
        return self._source(tokens, shards, shard_of[inverse], text_in[inverse])

    def missing_bytes(self, tokens: Tokens) -> int:
        """What encoding n texts would add, in bytes."""
        keys, first, _ = self._distinct(tokens)
        _, shard_of, _ = self._find(keys)
        return self._num_bytes(tokens, first[shard_of == -1])

    def close(self) -> None:
        """Give up the memory, and what was not to be kept."""
        for store in self._stores:
            store.close()
        self._asked.clear()

    def _distinct(self, tokens: Tokens) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Keys of the distinct texts, where each comes first, and which of them each text is."""
        for known, distinct in self._asked:  # the same texts are asked for several times
            if known is tokens:
                return distinct
        distinct = np.unique(text_keys(tokens), return_index=True, return_inverse=True)
        self._asked = [*self._asked, (tokens, distinct)][-_MOST_ASKED:]
        return distinct

    def _find(self, keys: np.ndarray) -> tuple[list[Shard], np.ndarray, np.ndarray]:
        """All shards, the one that has each key (-1 for none), and the text's number in it."""
        shards = [shard for store in self._stores for shard in store.shards]
        return shards, *find(shards, keys)

    def _num_bytes(self, tokens: Tokens, texts: np.ndarray) -> int:
        rows = tokens.lengths[texts].sum() if self.stage.has_row_per_piece else len(texts)
        return int(rows) * self.stage.width * 4

    def _encode(self, tokens: Tokens, texts: np.ndarray, keys: np.ndarray, on_progress) -> None:
        """Encode the texts of these numbers, and add them to a store under these keys."""
        if self._parent is not None:
            needed = self._num_bytes(tokens, texts)
            if fits(needed, self._parent, self._limit):
                make_room(self._parent, needed, self._limit, own=self.directory)
            else:  # for this run only
                self._stores.append(FeatureStore(None))
        if self._forward is None:
            frozen = self.stage.build_frozen()
            self._forward = build_forward(frozen)
            self._names = [tensor.name for tensor in frozen.inputs]
        places = sorted_buckets(tokens.lengths[texts])
        batches = [texts[part] for part in places]

        def take(indices: np.ndarray) -> dict[str, np.ndarray]:
            return pad(tokens, indices, self._names)

        part_keys, part_rows, part_bytes, done = [], [], 0, 0
        for part, (indices, outputs) in zip(
            places, run_batches(self._forward, take, batches), strict=True
        ):
            outputs = outputs.astype(np.float32, copy=False)
            for index, rows in zip(indices, outputs, strict=True):
                # A text's rows are those of its own pieces; the padding's are nobody's.
                length = tokens.lengths[index]
                part_rows.append(rows[:length] if self.stage.has_row_per_piece else rows[None])
            part_keys.append(keys[part])
            part_bytes += outputs.nbytes
            done += len(indices)
            on_progress(done, len(texts))
            if part_bytes >= _PART or done == len(texts):
                self._stores[-1].add(np.concatenate(part_keys), part_rows)
                part_keys, part_rows, part_bytes = [], [], 0

    def _source(
        self, tokens: Tokens, shards: list[Shard], shard_of: np.ndarray, text_in: np.ndarray
    ) -> Source:
        width = self.stage.width

        def rows_of(index: int) -> np.ndarray:
            shard, text = shards[shard_of[index]], text_in[index]
            return shard.rows[shard.offsets[text] : shard.offsets[text + 1]]

        def take_vectors(indices: np.ndarray) -> dict[str, np.ndarray]:
            return {"pooled": gathered(shards, shard_of[indices], text_in[indices])}

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


def fits(needed: int, parent: Path | None, limit: int) -> bool:
    """Whether features of so many bytes have room: within the limit, and on the disk.

    Args:
        needed: bytes to be added.
        parent: the directory of stores; None for one that is removed after the run.
        limit: what all stores may hold, in bytes.
    """
    place = Path(tempfile.gettempdir()) if parent is None else parent.absolute()
    while not place.exists():
        place = place.parent
    return needed <= limit and needed <= 0.9 * shutil.disk_usage(place).free


def _open_store(parent: Path | None, name: str) -> FeatureStore:
    if parent is None:
        return FeatureStore(None)
    try:
        return FeatureStore(parent / name)
    except OSError as error:
        warnings.warn(
            f"Features cannot be kept in {parent} ({error.strerror or error}), so they are kept "
            "for this run only. Name another --cache-dir, or pass --no-cache.",
            InputWarning,
            stacklevel=2,
        )
        return FeatureStore(None)


def text_keys(tokens: Tokens) -> np.ndarray:
    """A digest of each text's word pieces and segments, shape (n,)."""
    keys = np.empty(len(tokens), KEY)
    for index, (start, end) in enumerate(zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True)):
        digest = hashlib.blake2b(tokens.input_ids[start:end].tobytes(), digest_size=16)
        digest.update(tokens.token_type_ids[start:end].tobytes())
        keys[index] = digest.digest()
    return keys
