"""A trained classifier as a directory: written whole or not at all, checked when it is read.

The weights file is positional: it fits the graph it was saved from and no other. So the config that
built the graph is kept beside it, only that config rebuilds it, and a probe (the probabilities of
a few fixed texts) tells whether the rebuilt model still answers as the saved one did.
"""

import dataclasses
import importlib.metadata
import json
import os
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
from transformers import PretrainedConfig

from kerasbert import __version__
from kerasbert.config import ModelConfig, from_dict
from kerasbert.data.labels import Labels
from kerasbert.data.tokens import Tokenizer
from kerasbert.errors import InputError
from kerasbert.models.base import sha256_of
from kerasbert.models.classifier import build_classifier, build_forward
from kerasbert.models.encoders import encoder_config_from_dict
from kerasbert.scoring import score

CONFIG = "config.json"
LABELS = "labels.json"
ENCODER_CONFIG = "encoder_config.json"
TOKENIZER = "tokenizer"
WEIGHTS = "model.weights.h5"
METADATA = "metadata.json"
REPORT = "report.json"

PROBE_TEXTS = ("A short text.", "Will this model answer as it did? It should, to 1e-3!", "42")
PROBE_PAIRS = ("A second one.", "It should.", "A number")
# How far a rebuilt model's answers may lie from the saved ones, in units of probability, or of the
# scores' spread. Loading is in float32; another machine's sums differ by about 1e-6.
PROBE_TOLERANCE = {"float32": 1e-3, "mixed_bfloat16": 0.05, "mixed_float16": 0.01}
_PACKAGES = ("tensorflow", "keras", "tf-keras", "transformers", "numpy")


@dataclasses.dataclass(frozen=True)
class Run:
    """A trained classifier, and what is known of it.

    Attributes:
        model: the Keras model.
        config: what built it, with nothing left to derive.
        labels: what its output columns mean.
        tokenizer: the base's, with the config's maximum length.
        precision: the policy it was trained under.
        fit: the settings of the run, as `FitConfig` has them.
        report: the numbers by data set, as `kerasbert.metrics.build_report` gives them.
    """

    model: keras.Model
    config: ModelConfig
    labels: Labels
    tokenizer: Tokenizer
    precision: str = "float32"
    fit: dict[str, Any] = dataclasses.field(default_factory=dict)
    report: dict[str, Any] = dataclasses.field(default_factory=dict)


def check_output(directory: str | Path, overwrite: bool = False) -> None:
    """Refuse a directory that `save` would refuse; call it before hours of training.

    Raises:
        InputError: the directory holds a run, and `overwrite` is False, or holds something else.
        OSError: it cannot be written there.
    """
    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise InputError(f"The output {str(directory)!r} is a file. Expected a directory.")
    if directory.is_dir() and any(directory.iterdir()):
        if not is_run(directory):
            raise InputError(
                f"The output directory {str(directory)!r} holds files, but no run. "
                "Name a new directory, or an empty one."
            )
        if not overwrite:
            raise InputError(
                f"The output directory {str(directory)!r} is already a run. Name another one, or "
                "pass --overwrite to replace it."
            )
    parent = directory.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    if not os.access(parent, os.W_OK):
        raise PermissionError(f"The directory {str(parent)!r} cannot be written to.")


def is_run(directory: str | Path) -> bool:
    """Whether `directory` looks like one that `save` wrote."""
    return all((Path(directory) / name).is_file() for name in (CONFIG, METADATA, WEIGHTS))


def save(directory: str | Path, run: Run, *, overwrite: bool = False) -> None:
    """Write a run to `directory`: all of it, or, if anything goes wrong, nothing.

    It is written beside its place and renamed into it, so that nobody reads half a model and an
    earlier run in the same place survives a full disk.

    Raises:
        InputError: see `check_output`.
        ValueError: the model answers with what is not a number.
        OSError: the files cannot be written; what was there before is untouched.
    """
    directory = Path(directory).absolute()
    check_output(directory, overwrite)
    probe = _probe(run)
    if not np.isfinite(probe).all():
        raise ValueError("The model answers with what is not a number. It was not saved.")
    beside = directory.with_name(f".{directory.name}.{os.getpid()}")
    shutil.rmtree(beside, ignore_errors=True)
    try:
        beside.mkdir()
        _write_files(beside, run, probe)
        _replace(directory, beside)
    except (OSError, RuntimeError) as error:  # h5py says RuntimeError where closing fails
        raise OSError(
            f"{directory} could not be written: {error}. Nothing was left there, and a run that "
            "was there before is untouched. Free some space, or name another --output."
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def rebuild(directory: str | Path, *, dtype: str = "float32", **changes: Any) -> keras.Model:
    """Build the graph of a saved run, with random weights, from its config and nothing else.

    Args:
        directory: where `save` wrote the run.
        dtype: precision policy.
        **changes: fields of `ModelConfig` to set anew, such as `freeze_base=True`. Those that
            only say what is trained leave the graph's answers as they are.

    Raises:
        FileNotFoundError: there is no such directory.
        InputError: it is no run, or its config cannot be read.
    """
    directory = _check_run(directory)
    config = dataclasses.replace(_read_config(directory), **changes)
    return build_classifier(config, encoder_config=_read_encoder_config(directory), dtype=dtype)


def load(directory: str | Path) -> Run:
    """Rebuild a saved run in float32, load its weights, and check its answers; needs no network.

    Raises:
        FileNotFoundError: there is no such directory.
        InputError: it is no run, or its weights are not those that were saved, do not fit the
            config, or do not answer as they did.
    """
    directory = _check_run(directory)
    metadata = _read_json(directory / METADATA)
    expected = metadata.get("weights_sha256")
    if (found := sha256_of(directory / WEIGHTS)) != expected:
        raise InputError(
            f"{directory / WEIGHTS} is not the file that was saved: its sha256 is {found[:12]}..., "
            f"expected {str(expected)[:12]}.... Copy the directory again, or train anew."
        )
    config = _read_config(directory)
    labels = _read_labels(directory)
    model = rebuild(directory)
    try:
        model.load_weights(directory / WEIGHTS)
    except (ValueError, KeyError, OSError) as error:
        raise InputError(
            f"{directory / WEIGHTS} does not fit {CONFIG} beside it: {str(error).splitlines()[0]} "
            f"Restore the {CONFIG} that was saved with it."
        ) from None
    tokenizer = Tokenizer.from_directory(directory / TOKENIZER, config.max_length)
    run = Run(model, config, labels, tokenizer, metadata["precision"], metadata["fit"],
              metadata["report"])  # fmt: skip
    _check_probe(directory, run, np.array(metadata["probe"], np.float32))
    return run


def _write_files(directory: Path, run: Run, probe: np.ndarray) -> None:
    run.model.save_weights(directory / WEIGHTS)
    run.tokenizer.save(directory / TOKENIZER)
    encoder_config: PretrainedConfig = run.model.get_layer("encoder").encoder_config
    trainable = sum(int(np.prod(weight.shape)) for weight in run.model.trainable_weights)
    metadata = {
        "versions": {
            "kerasbert": __version__,
            **{name: importlib.metadata.version(name) for name in _PACKAGES},
        },
        "weights_sha256": sha256_of(directory / WEIGHTS),
        "parameters": {"total": run.model.count_params(), "trainable": trainable},
        "precision": run.precision,
        "probe": probe.tolist(),
        "fit": run.fit,
        "report": run.report,
    }
    for name, values in {
        CONFIG: dataclasses.asdict(run.config),
        LABELS: dataclasses.asdict(run.labels),
        ENCODER_CONFIG: encoder_config.to_dict(),
        METADATA: metadata,
        REPORT: run.report,
    }.items():
        text = json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False)
        (directory / name).write_text(text + "\n", encoding="utf-8")


def _replace(directory: Path, beside: Path) -> None:
    """Put `beside` in the place of `directory`; on failure the old one is back in its place."""
    if not directory.exists():
        beside.rename(directory)
        return
    old = beside.with_name(beside.name + ".old")
    directory.rename(old)
    try:
        beside.rename(directory)
    except OSError:
        old.rename(directory)
        raise
    shutil.rmtree(old)


def _probe(run: Run) -> np.ndarray:
    """The model's answers to the fixed texts, shape (texts, labels)."""
    pairs = PROBE_PAIRS if run.fit.get("data", {}).get("pair_column") else None
    names = [tensor.name for tensor in run.model.inputs]
    return score(build_forward(run.model), names, run.tokenizer(PROBE_TEXTS, pairs))


def _check_probe(directory: Path, run: Run, expected: np.ndarray) -> None:
    found = _probe(run)
    if found.shape == expected.shape:
        difference = float(np.abs(found - expected).max()) / run.config.target_scale
        if difference <= PROBE_TOLERANCE[run.precision]:
            return
        problem = f"its answers to the fixed texts differ by {difference:.3g}"
    else:
        problem = f"it has {found.shape[1]} outputs where the saved one had {expected.shape[1]}"
    raise InputError(
        f"{directory}: the rebuilt model is not the one that was saved: {problem}. One of the "
        "files was changed, perhaps the tokenizer's; copy the directory again, or train anew."
    )


def _check_run(directory: str | Path) -> Path:
    directory = Path(directory)
    if not directory.is_dir():
        raise FileNotFoundError(f"There is no run {str(directory)!r}.")
    needed = (CONFIG, LABELS, ENCODER_CONFIG, WEIGHTS, METADATA)
    missing = [name for name in needed if not (directory / name).is_file()]
    if missing:
        raise InputError(
            f"{directory} is no run: it has no {missing[0]}. Expected a directory that "
            "`python -m kerasbert.fit` wrote."
        )
    return directory


def _read_config(directory: Path) -> ModelConfig:
    try:
        return from_dict(ModelConfig, _read_json(directory / CONFIG))
    except InputError as error:
        raise InputError(f"{directory / CONFIG}: {error}") from None


def _read_labels(directory: Path) -> Labels:
    try:
        return from_dict(Labels, _read_json(directory / LABELS))
    except (InputError, TypeError) as error:
        raise InputError(f"{directory / LABELS}: {error}") from None


def _read_encoder_config(directory: Path) -> PretrainedConfig:
    try:
        return encoder_config_from_dict(_read_json(directory / ENCODER_CONFIG))
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{directory / ENCODER_CONFIG} cannot be used: {error}") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}.") from None
