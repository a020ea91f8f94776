"""A trained classifier to a directory and back, checked when it is read.

The weights file is positional: it fits the graph it was saved from and no other. So the config that
built the graph is kept beside it, only that config rebuilds it, and a probe (the probabilities of
a few fixed texts) tells whether the rebuilt model still answers as the saved one did.
"""

import dataclasses
import importlib.metadata
import math
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kerasbert import __version__
from kerasbert import run_directory as files
from kerasbert.config import ModelConfig
from kerasbert.config_json import read_config
from kerasbert.data.labels import Labels
from kerasbert.data.tokens import Tokenizer
from kerasbert.errors import InputError
from kerasbert.models.classifier import build_classifier, build_forward
from kerasbert.models.encoders import encoder_config_from_dict
from kerasbert.scoring import score

PROBE_TEXTS = ("A short text.", "Will this model answer as it did? It should, to 4 digits!", "42")
PROBE_PAIRS = ("A second one.", "It should.", "A number")
# How far a rebuilt model's answers may lie from the saved ones, in units of probability, or of the
# scores' spread. Loading is in float32; another machine's sums differ by about 1e-6.
PROBE_TOLERANCE = {"float32": 1e-4, "mixed_bfloat16": 0.05, "mixed_float16": 0.01}
# Of a large vocabulary; the small ones take a tenth of it.
_TOKENIZER_BYTES = 4_000_000
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
        fit: the settings of the run, as JSON of `FitConfig`.
        report: the numbers by data set, as `kerasbert.metrics.build_report` gives them.
    """

    model: keras.Model
    config: ModelConfig
    labels: Labels
    tokenizer: Tokenizer
    precision: str = "float32"
    fit: dict[str, Any] = dataclasses.field(default_factory=dict)
    report: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def input_names(self) -> list[str]:
        """Names of the tensors the model reads."""
        return [tensor.name for tensor in self.model.inputs]

    @property
    def pair_column(self) -> str | None:
        """Column of the second texts that the model was trained on; None for single texts."""
        return self.fit.get("data", {}).get("pair_column")


def save(directory: str | Path, run: Run, *, overwrite: bool = False) -> None:
    """Write a run to `directory`: all of it or, if anything goes wrong, nothing.

    Raises:
        InputError: the directory holds a run, and `overwrite` is False, or holds something else.
        ValueError: the model answers with what is not a number.
        OSError: the files cannot be written; what was there before is untouched.
    """
    files.check_output(directory, overwrite)
    probe = _probe(run)
    if not np.isfinite(probe).all():
        raise ValueError("The model answers with what is not a number. It was not saved.")
    num_bytes = 4 * run.model.count_params() + _TOKENIZER_BYTES
    with files.written_whole(directory, num_bytes) as beside:
        _write(beside, run, probe)


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
    directory = files.check_run(directory)
    config = dataclasses.replace(read_config(ModelConfig, directory / files.CONFIG), **changes)
    try:
        values = files.read_json(directory / files.ENCODER_CONFIG)
        encoder_config = encoder_config_from_dict(values)
    except (KeyError, ValueError, TypeError) as error:
        raise InputError(f"{directory / files.ENCODER_CONFIG} cannot be used: {error}") from None
    return build_classifier(config, encoder_config=encoder_config, dtype=dtype)


def load(directory: str | Path) -> Run:
    """Rebuild a saved run in float32, load its weights, and check its answers; needs no network.

    Raises:
        FileNotFoundError: there is no such directory.
        InputError: it is no run, or its weights are not those that were saved, do not fit the
            config, or do not answer as they did.
    """
    directory = files.check_run(directory)
    metadata = files.read_json(directory / files.METADATA)
    _check_sha256(directory, metadata["sha256"])
    config = read_config(ModelConfig, directory / files.CONFIG)
    labels = read_config(Labels, directory / files.LABELS)
    model = rebuild(directory)
    try:
        with warnings.catch_warnings():
            # Keras only warns of layers that keep their random weights.
            warnings.filterwarnings("error", category=UserWarning)
            model.load_weights(directory / files.WEIGHTS)
    except (ValueError, KeyError, OSError, UserWarning) as error:
        raise InputError(
            f"{directory / files.WEIGHTS} does not fit {files.CONFIG} beside it: "
            f"{str(error).splitlines()[0]} Restore the {files.CONFIG} that was saved with it."
        ) from None
    tokenizer = Tokenizer.from_directory(directory / files.TOKENIZER, config.max_length)
    run = Run(
        model,
        config,
        labels,
        tokenizer,
        precision=metadata["precision"],
        fit=metadata["fit"],
        report=metadata["report"],
    )
    _check_probe(directory, run, np.array(metadata["probe"], np.float32))
    return run


def _write(directory: Path, run: Run, probe: np.ndarray) -> None:
    run.model.save_weights(directory / files.WEIGHTS)
    run.tokenizer.save(directory / files.TOKENIZER)
    encoder_config = run.model.get_layer("encoder").encoder_config.to_dict()
    encoder_config.pop("_name_or_path", None)  # a place on the machine that trained
    files.write_json(directory / files.CONFIG, dataclasses.asdict(run.config))
    files.write_json(directory / files.LABELS, dataclasses.asdict(run.labels))
    files.write_json(directory / files.ENCODER_CONFIG, encoder_config)
    files.write_json(directory / files.REPORT, run.report)
    # Not the JSON files: thresholds may be set by hand, and of the rest the probe tells.
    hashed = [files.WEIGHTS]
    hashed += sorted(f"{files.TOKENIZER}/{p.name}" for p in (directory / files.TOKENIZER).iterdir())
    metadata = {
        "versions": {
            "kerasbert": __version__,
            **{name: importlib.metadata.version(name) for name in _PACKAGES},
        },
        "sha256": {name: files.sha256_of(directory / name) for name in hashed},
        "parameters": {
            "total": run.model.count_params(),
            "trainable": sum(math.prod(weight.shape) for weight in run.model.trainable_weights),
        },
        "precision": run.precision,
        "probe": probe.tolist(),
        "fit": run.fit,
        "report": run.report,
    }
    files.write_json(directory / files.METADATA, metadata)


def _probe(run: Run) -> np.ndarray:
    """The model's answers to the fixed texts, shape (texts, labels)."""
    tokens = run.tokenizer(PROBE_TEXTS, PROBE_PAIRS if run.pair_column else None)
    return score(build_forward(run.model), run.input_names, tokens)


def _check_sha256(directory: Path, expected: dict[str, str]) -> None:
    for name, digest in expected.items():
        if not (directory / name).is_file():
            raise InputError(f"{directory} is not whole: {name} is missing. Copy it again.")
        if (found := files.sha256_of(directory / name)) != digest:
            raise InputError(
                f"{directory / name} is not the file that was saved: its sha256 is {found[:12]}"
                f"..., expected {digest[:12]}.... Copy the directory again, or train anew."
            )


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
        "files was changed, perhaps config.json; copy the directory again, or train anew."
    )
