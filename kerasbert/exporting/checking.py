"""An exported file, in its own runtime, asked what Keras was asked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from kerasbert.data.batches import pad
from kerasbert.errors import InputError
from kerasbert.exporting.graph import UNCALIBRATED
from kerasbert.probe import PROBE_PAIRS, PROBE_TEXTS, probe_answers
from kerasbert.run import Run

# A batch by the names of the inputs, to outputs by theirs.
Call = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]

# How far an answer may lie from Keras's, in units of probability, or of the scores' spread.
TOLERANCE = 1e-4
_BATCHES, _LENGTHS = (1, 2, 5), (3, 17)
# Between numbers of float32 that are so near, an isotonic curve may rise by anything.
_ROUNDING = 2e-7


def check_answers(call: Call, run: Run, metadata: dict[str, Any], tolerance: float) -> dict:
    """Compare the answers of an exported model with the probe, and with Keras for other shapes.

    Args:
        call: the exported model in its own runtime.
        run: the run, in float32.
        metadata: the run's, as `kerasbert.run_directory.read_metadata` gives it.
        tolerance: how far they may differ; infinity for a model that was rounded.

    Returns:
        `probe`, the largest difference for each of its texts; `shapes`, the largest for each size
        of batch and length; `calibration`, that of the graph to the one in labels.json.

    Raises:
        InputError: they differ by more, or are not numbers.
    """
    found = {
        "probe": dict(zip(PROBE_TEXTS, _probe_differences(call, run, metadata), strict=True)),
        "shapes": _shape_differences(call, run),
        "calibration": None,
    }
    if run.labels.calibration is not None:
        found["calibration"] = _calibration_difference(call, run)
    for what, differences in found.items():
        for where, difference in (differences or {}).items():
            if not difference <= tolerance:  # neither is what is not a number
                raise InputError(
                    f"The exported model does not answer as the run does: {what} {where!r} differs "
                    f"by {difference:.3g}, and {tolerance:.0e} is allowed. Nothing was kept."
                )
    return found


def check_tokenizer(path: Path, run: Run) -> None:
    """Cut texts by the tokenizer's file alone, as the script beside an exported model does.

    Raises:
        InputError: the pieces are not those that the run cuts.
    """
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(run.tokenizer.max_length)
    texts, pairs = list(PROBE_TEXTS), None
    if run.pair_column is None:
        texts.append(" ".join(texts * run.tokenizer.max_length))  # is cut short
    else:
        pairs = list(PROBE_PAIRS)
    tokens = run.tokenizer(texts, pairs)
    found = tokenizer.encode_batch(list(zip(texts, pairs, strict=True)) if pairs else texts)
    expected = np.split(tokens.input_ids, tokens.offsets[1:-1])
    for text, one, other in zip(texts, found, expected, strict=True):
        if one.ids != other.tolist() and not (pairs and tokens.num_truncated):
            raise InputError(
                f"The tokenizer's file does not cut {text[:40]!r} as the run does, so another "
                "runtime would read other pieces. Nothing was kept; train on a base with a fast "
                "tokenizer of its own."
            )


def model_outputs(outputs: dict[str, np.ndarray]) -> np.ndarray:
    """What the model itself says, before any calibration."""
    return outputs[UNCALIBRATED] if UNCALIBRATED in outputs else last_outputs(outputs)


def last_outputs(outputs: dict[str, np.ndarray]) -> np.ndarray:
    """What is decided by: probabilities, calibrated if the run is, or scores."""
    (name,) = set(outputs) - {UNCALIBRATED}
    return outputs[name]


def _probe_differences(call: Call, run: Run, metadata: dict[str, Any]) -> list[float]:
    """The largest for each text, alone and with the others."""
    expected = np.array(metadata["probe"], np.float32)
    if run.precision != "float32" or metadata["device"] == "GPU":
        # What was saved was itself rounded; loading has compared it with these.
        expected = probe_answers(run)
    pairs = PROBE_PAIRS if run.pair_column else None
    together = np.arange(len(PROBE_TEXTS))
    largest = np.zeros(len(PROBE_TEXTS))
    tokens = run.tokenizer(PROBE_TEXTS, pairs)
    for indices in (together, *together[:, None]):
        found = model_outputs(call(pad(tokens, indices, run.input_names)))
        differences = np.abs(found - expected[indices]).max(axis=1) / run.config.target_scale
        largest[indices] = np.maximum(largest[indices], differences)
    return largest.tolist()


def _shape_differences(call: Call, run: Run) -> dict[str, float]:
    """The largest for each size of a batch, of random pieces."""
    found = {}
    for length in (*(n for n in _LENGTHS if n < run.config.max_length), run.config.max_length):
        for size in _BATCHES:
            batch = _random_batch(run, size, length)
            differences = np.abs(model_outputs(call(batch)) - run.forward(batch))
            found[f"{size} x {length}"] = float(differences.max()) / run.config.target_scale
    return found


def _calibration_difference(call: Call, run: Run) -> dict[str, float]:
    """Of the graph's calibration to the one of the labels, beyond what rounding explains."""
    largest = 0.0
    for size in _BATCHES:
        outputs = call(_random_batch(run, size, run.config.max_length))
        raw = outputs[UNCALIBRATED]
        below, expected, above = (
            run.labels.calibrated(np.clip(raw.astype(np.float64) + step, 0, 1))
            for step in (-_ROUNDING, 0, _ROUNDING)
        )
        beyond = np.abs(last_outputs(outputs) - expected) - np.abs(above - below)
        largest = max(largest, float(beyond.max()))
    return {run.labels.calibration.method: largest}


def _random_batch(run: Run, size: int, length: int) -> dict[str, np.ndarray]:
    """Rows of random pieces; the first has the whole length, the others end in padding."""
    random = np.random.default_rng(size * length)
    config = run.model.get_layer("encoder").encoder_config
    lengths = random.integers(1, length + 1, size)
    lengths[0] = length
    mask = (np.arange(length) < lengths[:, None]).astype(np.int32)
    values = {
        "input_ids": random.integers(0, config.vocab_size, mask.shape, np.int32) * mask,
        "attention_mask": mask,
        "token_type_ids": random.integers(0, 2, mask.shape, np.int32) * mask,
    }
    return {name: values[name] for name in run.input_names}
