"""What several trainings in one process have in common, done once."""

import dataclasses
import json
from pathlib import Path

from kerasbert.config import ModelConfig
from kerasbert.data.dataset import Dataset
from kerasbert.data.tokens import Tokenizer, Tokens
from kerasbert.models.pretrained import Bases
from kerasbert.training.features import FeatureCache
from kerasbert.training.stages import Stage

# Of bases, lengths and files; of more the oldest goes.
_MOST_TOKENIZED = 8


@dataclasses.dataclass(frozen=True)
class Tokenized:
    """A dataset cut into word pieces, and by what."""

    tokenizer: Tokenizer
    train: Tokens
    validation: Tokens


class Shared:
    """Gives a training what one before it has done. A context manager.

    Args:
        keep: for the next training: the pretrained weights in memory, the word pieces once per
            base, length and truncation, and what frozen bases made of them. Else a training finds
            nothing, and leaves nothing.

    Attributes:
        bases: the pretrained ones.
    """

    def __init__(self, keep: bool = True):
        self._keep = keep
        self.bases = Bases(keep)
        self._tokenized: list[tuple[Dataset, tuple, Tokenized]] = []
        self._caches: dict[tuple, FeatureCache] = {}

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for cache in self._caches.values():
            cache.close()
        self._caches.clear()

    def tokenized(self, dataset: Dataset, directory: Path, config: ModelConfig) -> Tokenized:
        """A dataset in word pieces.

        Args:
            dataset: the examples.
            directory: of the base, which has the tokenizer.
            config: says how long a text may be, and what is cut off.
        """
        key = directory, config.max_length, config.truncation
        for known, with_key, tokenized in self._tokenized:
            if known is dataset and with_key == key:
                return tokenized
        tokenizer = Tokenizer.from_directory(directory, config.max_length, config.truncation)
        train, validation = dataset.train, dataset.validation
        tokenized = Tokenized(
            tokenizer,
            tokenizer(train.texts, train.pairs),
            tokenizer(validation.texts, validation.pairs),
        )
        if self._keep:
            self._tokenized = [*self._tokenized, (dataset, key, tokenized)][-_MOST_TOKENIZED:]
        return tokenized

    def open_cache(self, stage: Stage, parent: Path | None, limit: int) -> FeatureCache:
        """As `FeatureCache`; to be given back by `close_cache`."""
        key = json.dumps(stage.identity, sort_keys=True), parent, limit
        if key not in self._caches:
            self._caches[key] = FeatureCache(stage, parent, limit)
        return self._caches[key]

    def close_cache(self, cache: FeatureCache) -> None:
        """Close a cache, unless it is kept."""
        if not self._keep:
            self._caches = {key: other for key, other in self._caches.items() if other is not cache}
            cache.close()
