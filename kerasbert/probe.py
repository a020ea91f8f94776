"""The probe: what a model answers to a few fixed texts, saved with it and asked again on loading.

Whatever went wrong between saving and loading, a model that answers differently is found out.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasbert import run_directory as files
from kerasbert.errors import InputError
from kerasbert.run import Run
from kerasbert.scoring import score

PROBE_TEXTS = ("A short text.", "Will this model answer as it did? It should, to 4 digits!", "42")
PROBE_PAIRS = ("A second one.", "It should.", "A number")
# How far a rebuilt model's answers may lie from the saved ones, in units of probability, or of the
# scores' spread, by the less exact of two precisions. Another processor adds up in another order.
PROBE_TOLERANCE = {
    "float32": 1e-4,
    "bfloat16": 0.05,
    "mixed_bfloat16": 0.05,
    "mixed_float16": 0.01,
}
# TensorFlow multiplies float32 with ten bits of mantissa on a GPU that can (TF32).
GPU_PROBE_TOLERANCE = 0.01


def probe_answers(run: Run) -> np.ndarray:
    """The model's answers to the fixed texts, shape (texts, labels)."""
    tokens = run.tokenizer(PROBE_TEXTS, PROBE_PAIRS if run.pair_column else None)
    return score(run.forward, run.input_names, tokens)


def check_probe(directory: Path, run: Run, metadata: dict[str, Any]) -> None:
    """Compare a loaded run's answers with the saved ones; an `InputError` says how far off."""
    try:
        expected = np.array(metadata["probe"], np.float32)
        tolerance = max(PROBE_TOLERANCE[name] for name in (run.precision, run.running_precision))
    except (ValueError, TypeError, KeyError):
        raise InputError(
            f"{directory / files.METADATA}: 'probe' or 'precision' is not what was saved. "
            "Restore the file."
        ) from None
    if "GPU" in (metadata["device"], device_kind()):
        tolerance = max(tolerance, GPU_PROBE_TOLERANCE)
    found = probe_answers(run)
    if found.shape == expected.shape:
        difference = float(np.abs(found - expected).max()) / run.config.target_scale
        if difference <= tolerance:
            return
        problem = f"its answers to the fixed texts differ by {difference:.3g}"
    else:
        problem = f"its answers have the shape {found.shape}, the saved ones {expected.shape}"
    raise InputError(
        f"{directory}: the rebuilt model is not the one that was saved: {problem}. One of the "
        "files was changed, perhaps config.json; copy the directory again, or train anew."
    )


def device_kind() -> str:
    """`"GPU"` where Keras sees one, else `"CPU"`."""
    if keras.backend.backend() == "torch":  # which Keras's list leaves out
        import torch

        return "GPU" if torch.cuda.is_available() else "CPU"
    devices = keras.distribution.list_devices()  # such as "cpu:0", in any letter case
    return "GPU" if any("gpu" in device.lower() for device in devices) else "CPU"
