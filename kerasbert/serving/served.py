"""A run as a service has it: loaded, checked, warmed up, and with a version."""

import dataclasses
import functools
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasbert import inference
from kerasbert.data.batches import MAX_PIECES, pad
from kerasbert.data.tokens import Tokens
from kerasbert.errors import InputError
from kerasbert.run_directory import LABELS, check_run, read_metadata

# Sizes of larger batches are multiples of this, and so are lengths, longer ones of twice as much.
# TensorFlow's processor library keeps what it prepares for each form of a product, 1,024 of them,
# and all forms that come took 300 MB more, and an hour to come, for 4 % less time
# (experiments/service).
FORM = 4
_LONG = 32
# Batch sizes and lengths that are run before the first request, which would otherwise wait while
# memory is fetched and products are prepared for their forms.
_WARM_SIZES, _WARM_LENGTHS = (1, 8, 32), (8, 32, 128)


@dataclasses.dataclass(frozen=True, eq=False)
class ServedModel:
    """A classifier that answers requests.

    Attributes:
        classifier: the run's.
        name: of its directory.
        version: 12 hexadecimal digits that are others whenever weights, tokenizer or decision are.
        seconds: that loading it took.
    """

    classifier: inference.Classifier
    name: str
    version: str
    seconds: float

    @property
    def identity(self) -> dict[str, str]:
        """Name and version, as answers carry them."""
        return {"name": self.name, "version": self.version}

    @property
    def takes_pairs(self) -> bool:
        """Whether it classifies pairs of texts."""
        return self.classifier.run.pair_column is not None

    @functools.cached_property
    def decision(self) -> dict[str, Any]:
        """Task and thresholds, as answers carry them."""
        labels = self.classifier.run.labels
        thresholds = labels.thresholds
        return {
            "task": labels.task,
            "thresholds": (
                None if thresholds is None else dict(zip(labels.names, thresholds, strict=True))
            ),
            "unsure_below": labels.unsure_below,
        }

    def tokens(self, texts: Sequence[str], pairs: Sequence[str] | None) -> Tokens:
        """Texts, or pairs, as word pieces."""
        return self.classifier.run.tokenizer(texts, pairs)

    def outputs(self, tokens: Tokens) -> np.ndarray:
        """All of them as one batch: calibrated probabilities, or scores, of shape (n, labels)."""
        run = self.classifier.run
        longest = int(tokens.lengths.max())
        form = FORM if longest <= _LONG else 2 * FORM
        length = min(-(-longest // form) * form, run.config.max_length)
        batch = pad(tokens, np.arange(len(tokens)), run.input_names, length)
        return run.labels.calibrated(run.forward(batch))


def load_served(directory: str | Path, precision: str = "auto") -> ServedModel:
    """Load a run, check its probe, and warm it up.

    Args:
        directory: of the run, or a link to it, which is followed once.
        precision: as `kerasbert.load` has it.

    Raises:
        FileNotFoundError, InputError: as `kerasbert.load`, or Keras has another backend than
            TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        # JAX would compile each form of a batch anew, for seconds, and allows one thread.
        raise InputError(
            f"Serving needs Keras's TensorFlow backend. Received: {keras.backend.backend()}. "
            "Unset KERAS_BACKEND."
        )
    start = time.monotonic()
    directory = check_run(directory).resolve()
    version = model_version(directory)
    classifier = inference.load(directory, precision)
    model = ServedModel(classifier, directory.name, version, time.monotonic() - start)
    _warm_up(model)
    return model


def model_version(directory: Path) -> str:
    """What a run is, in 12 hexadecimal digits: its weights, its tokenizer and its decision."""
    digest = hashlib.sha256()
    for name, value in sorted(read_metadata(directory)["sha256"].items()):
        digest.update(f"{name} {value}\n".encode())
    digest.update((directory / LABELS).read_bytes())
    return digest.hexdigest()[:12]


def _warm_up(model: ServedModel) -> None:
    longest = model.classifier.run.config.max_length
    for length in {min(length, longest) for length in _WARM_LENGTHS} | {longest}:
        text = " ".join(["a"] * length)
        tokens = model.tokens([text], [text] if model.takes_pairs else None)
        for size in _WARM_SIZES:
            model.outputs(_repeated(tokens, min(size, MAX_PIECES // length)))


def _repeated(tokens: Tokens, times: int) -> Tokens:
    return dataclasses.replace(
        tokens,
        input_ids=np.tile(tokens.input_ids, times),
        token_type_ids=np.tile(tokens.token_type_ids, times),
        offsets=np.arange(times + 1) * tokens.lengths[0],
    )
