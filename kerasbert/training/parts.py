"""The part of a classifier that is trained, and what it reads: word pieces or kept features."""

import abc
import time

import keras
import numpy as np
from rich.console import Console

from kerasbert.config import ModelConfig, TrainConfig
from kerasbert.data.batches import sorted_buckets
from kerasbert.data.pipeline import Source, token_source
from kerasbert.data.tokens import Tokens
from kerasbert.models.optimization import compile_classifier
from kerasbert.models.running import Forward, build_forward, running_copy
from kerasbert.scoring import score
from kerasbert.training.console import encoding_bar, say
from kerasbert.training.features import FeatureCache, cache_directory, fits
from kerasbert.training.shared import Shared
from kerasbert.training.stages import Stage, frozen_stage
from kerasbert.training.stepwise import Stepwise

# For small steps: a call of TensorFlow costs as much as a step of a small head on kept vectors, and
# what is seen or saved between two calls should still be seen several times a second.
STEPS_PER_CALL = 32


class Part(abc.ABC):
    """What is trained.

    Attributes:
        trained: the Keras model to compile and fit; its weights are the classifier's own.
        steps_per_call: steps that Keras is to take at once; more than 1 where they are small.
    """

    trained: Stepwise
    steps_per_call: int = 1

    def compile(
        self,
        task: str,
        optimizer: keras.optimizers.Optimizer,
        loss: keras.losses.Loss,
        accumulation: int,
    ) -> None:
        """Compile what is trained.

        Args:
            task: a key of `kerasbert.tasks.TASKS`.
            optimizer: an `AdamW`, perhaps in a `LossScaleOptimizer`.
            loss: what is minimised.
            accumulation: batches that make one step.
        """
        compile_classifier(
            self.trained,
            task,
            optimizer,
            loss,
            # Whole steps, so that between two calls no batches wait to be made one.
            steps_per_execution=self.steps_per_call * accumulation,
        )

    @abc.abstractmethod
    def source(self, tokens: Tokens) -> Source:
        """What `trained` reads of n texts."""

    @abc.abstractmethod
    def outputs(self, tokens: Tokens) -> np.ndarray:
        """The classifier's outputs for n texts as they will be served, shape (n, num_labels)."""

    @abc.abstractmethod
    def close(self) -> None:
        """Remove what was not to be kept."""


class WholeModel(Part):
    """The classifier as it is, reading word pieces."""

    def __init__(self, model: keras.Model, config: ModelConfig, precision: str):
        self.trained, self._model = Stepwise.over(model), model
        self._config, self._precision = config, precision
        self._forward: Forward | None = None

    def source(self, tokens: Tokens) -> Source:
        return token_source(tokens, [tensor.name for tensor in self._model.inputs])

    def outputs(self, tokens: Tokens) -> np.ndarray:
        # Asked when training is over, so the copy is of the weights that it found.
        if self._forward is None:
            self._forward = build_forward(running_copy(self._model, self._config, self._precision))
        return score(self._forward, [tensor.name for tensor in self._model.inputs], tokens)

    def close(self) -> None:
        pass


class AboveFrozen(Part):
    """What stands on frozen blocks, reading what they make of the texts."""

    def __init__(
        self,
        stage: Stage,
        whole: WholeModel,
        cache: FeatureCache,
        shared: Shared,
        console: Console,
    ):
        self.trained = Stepwise.over(stage.rest)
        if not stage.has_row_per_piece:
            self.steps_per_call = STEPS_PER_CALL
        self._stage, self._whole, self._console = stage, whole, console
        self._cache, self._shared = cache, shared
        self._sources: list[tuple[Tokens, Source]] = []

    def source(self, tokens: Tokens) -> Source:
        for known, source in self._sources:
            if known is tokens:
                return source
        source = self._encoded(tokens)
        self._sources.append((tokens, source))
        return source

    def _encoded(self, tokens: Tokens) -> Source:
        started, before = time.perf_counter(), (self._cache.num_encoded, self._cache.num_found)
        with encoding_bar(self._console) as on_progress:
            source = self._cache.source(tokens, on_progress, self._say_that_it_waits)
        encoded, found = self._cache.num_encoded - before[0], self._cache.num_found - before[1]
        say(
            self._console,
            f"frozen features: {encoded:,} distinct texts encoded in "
            f"{time.perf_counter() - started:.1f} s, {found:,} found in {self._cache.directory}",
        )
        return source

    def _say_that_it_waits(self) -> None:
        say(self._console, "another process is encoding with this base: waiting for it")

    def outputs(self, tokens: Tokens) -> np.ndarray:
        if self._stage.has_row_per_piece:
            # These rows are those of training's precision, which is not that of running.
            return self._whole.outputs(tokens)
        source = self.source(tokens)
        forward = build_forward(self.trained)
        # All are equally long, so these batches are in the order of the texts.
        batches = sorted_buckets(source.lengths)
        return np.concatenate([forward(source.take(indices)) for indices in batches])

    def close(self) -> None:
        self._shared.close_cache(self._cache)


def trained_part(
    model: keras.Model,
    config: ModelConfig,
    train: TrainConfig,
    precision: str,
    tokens: Tokens,
    console: Console,
    *,
    shared: Shared,
    num_epochs: int,
) -> Part:
    """Cut a classifier where its frozen part ends, if what that makes of the texts can be kept.

    Args:
        model: from `build_classifier`.
        config: the one it was built from, resolved.
        train: says whether and where features are kept.
        precision: under which the model runs where it is not trained.
        tokens: the texts to train on.
        console: where it is said what is kept.
        shared: what other trainings in this process may have kept.
        num_epochs: how often the features would be read.
    """
    whole = WholeModel(model, config, precision)
    stage = frozen_stage(model, config, precision)
    if stage is None or (stage.has_row_per_piece and num_epochs < 2):
        return whole  # what is read once need not be written
    parent = cache_directory(train.cache_dir) if train.cache else None
    limit = int(train.cache_limit * 1e9)
    cache = shared.open_cache(stage, parent, limit)
    needed = cache.missing_bytes(tokens)
    has_room = fits(needed, parent, limit)
    if stage.has_row_per_piece:
        say(
            console,
            f"what leaves block {config.freeze_layers} weighs {needed / 1e9:.2f} GB more than is "
            "kept already: " + ("kept" if has_room else "too much, computed in each epoch"),
        )
        if not has_room:
            shared.close_cache(cache)
            return whole
    elif parent is not None and not has_room:
        say(
            console,
            f"the features weigh {needed / 1e9:.2f} GB, more than --cache-limit or the disk "
            "allows: kept for this run only",
        )
    return AboveFrozen(stage, whole, cache, shared, console)
