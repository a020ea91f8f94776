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
from transformers import PretrainedConfig

from kerasbert import __version__
from kerasbert import run_directory as files
from kerasbert.config import RUNNING_PRECISIONS, ModelConfig
from kerasbert.config_json import read_config
from kerasbert.data.labels import Labels
from kerasbert.data.tokens import Tokenizer
from kerasbert.errors import InputError, InputWarning, TrainingError
from kerasbert.history import write_history
from kerasbert.models.base import declare_pooling
from kerasbert.models.checkpoints import write_checkpoint
from kerasbert.models.classifier import build_classifier
from kerasbert.models.encoder import encoder_config_from_dict
from kerasbert.models.resolving import resolve_model_config
from kerasbert.models.running import running_copy, running_precision
from kerasbert.probe import PROBE_TOLERANCE, check_probe, device_kind, probe_answers
from kerasbert.run import Run
from kerasbert.weights_file import addressed_to

# Of a large vocabulary; the small ones take a tenth of it.
_TOKENIZER_BYTES = 4_000_000
# Fields of a config that earlier versions did not write; their defaults are what was done then.
_LATER_FIELDS = ("encoder", "truncation", "lora_rank")
_LATER_LABEL_FIELDS = ("unsure_below", "calibration", "chosen")
_PACKAGES = ("tensorflow", "jax", "torch", "keras", "tf-keras", "transformers", "numpy")


def save(directory: str | Path, run: Run, *, overwrite: bool = False) -> None:
    """Write a run to `directory`: all of it or, if anything goes wrong, nothing.

    Raises:
        InputError: the directory holds a run, and `overwrite` is False, or holds something else; or
            the run was loaded in bfloat16.
        TrainingError: the model answers with what is not a number.
        OSError: the files cannot be written; what was there before is untouched.
    """
    files.check_output(directory, overwrite)
    _check_full_precision(run)
    probe = probe_answers(run)
    if not np.isfinite(probe).all():
        raise TrainingError(
            "The model answers with what is not a number, so it was not saved. Try a smaller "
            "--learning-rate."
        )
    num_bytes = 4 * run.model.count_params() + _TOKENIZER_BYTES
    with files.written_whole(directory, num_bytes) as beside:
        _write(beside, run, probe)


def save_base(directory: str | Path, run: Run) -> None:
    """Write a run's encoder and tokenizer as Hugging Face has them, without the head.

    transformers reads the directory, as `BertModel.from_pretrained(directory)` does, and so does
    `--base`, which pools it as this run did. A pooler is written only if the run used it.

    Raises:
        InputError: the directory holds something, the run was loaded in bfloat16, or its encoder is
            transformers' own.
        OSError: the files cannot be written.
    """
    files.check_output(directory)
    _check_full_precision(run)
    encoder = run.model.get_layer("encoder")
    if run.config.encoder != "native":
        raise InputError("Only the native encoder can be written as a base of its own.")
    num_bytes = 4 * encoder.count_params() + _TOKENIZER_BYTES
    with files.written_whole(directory, num_bytes) as beside:
        write_checkpoint(beside, encoder)
        run.tokenizer.save(beside)
        declare_pooling(beside, run.config.pooling)


def rebuild(
    directory: str | Path, *, dtype: str = "float32", is_random: bool = True, **changes: Any
) -> keras.Model:
    """Build the graph of a saved run, with random weights, from its config and nothing else.

    Args:
        directory: where `save` wrote the run.
        dtype: precision policy.
        is_random: as `build_classifier` has it.
        **changes: fields of `ModelConfig` to set anew, such as `freeze_base=True`. Those that
            only say what is trained leave the graph's answers as they are.

    Raises:
        FileNotFoundError: there is no such directory.
        InputError: it is no run, or its config cannot be read.
    """
    directory = files.check_run(directory)
    config, encoder_config = _read_configs(directory)
    return build_classifier(
        dataclasses.replace(config, **changes),
        encoder_config=encoder_config,
        dtype=dtype,
        is_random=is_random,
    )


def load_run(directory: str | Path, precision: str = "auto") -> Run:
    """Rebuild a saved run, load its weights, and check its answers; needs no network.

    Args:
        directory: where `save` wrote it.
        precision: `"auto"` is that of the run's report, but float32 where the processor does not
            multiply bfloat16; or `"float32"` or `"bfloat16"`.

    Raises:
        FileNotFoundError: there is no such directory.
        InputError: it is no run, or its weights are not those that were saved, do not fit the
            config, or do not answer as they did.
    """
    directory = files.check_run(directory)
    if precision not in RUNNING_PRECISIONS:
        raise InputError(
            f"`precision` must be one of {', '.join(map(repr, RUNNING_PRECISIONS))}. "
            f"Received: precision={precision!r}."
        )
    metadata = files.read_metadata(directory)
    _check_sha256(directory, metadata["sha256"])
    config, _ = _read_configs(directory)
    labels = read_config(
        Labels, directory / files.LABELS, complete=True, may_lack=_LATER_LABEL_FIELDS
    )
    _check_labels(directory, labels, metadata["labels"])
    model = rebuild(directory, is_random=False)
    try:
        with warnings.catch_warnings():
            # Keras only warns of layers that keep their random weights.
            warnings.filterwarnings("error", category=UserWarning)
            with addressed_to(model, directory / files.WEIGHTS) as path:
                model.load_weights(path)
    except UserWarning:
        raise InputError(_misfit(directory, "it lacks the weights of some layers")) from None
    except (ValueError, KeyError, OSError) as error:
        raise InputError(_misfit(directory, str(error).splitlines()[0].rstrip("."))) from None
    tokenizer = Tokenizer.from_directory(
        directory / files.TOKENIZER, config.max_length, config.truncation
    )
    run = Run(
        model,
        config,
        labels,
        tokenizer,
        precision=metadata["precision"],
        fit=metadata["fit"],
        report=metadata["report"],
        training=metadata.get("training", {}),
        data=metadata.get("data", {}),
    )
    # Checked in float32, where the answers are the same to four digits, before it is rounded.
    check_probe(directory, run, metadata)
    if precision == "auto" and metadata.get("running_precision") != "bfloat16":
        return run
    policy = running_precision(precision, config.encoder)
    if policy == "float32":
        return run
    rounded = dataclasses.replace(
        run, model=running_copy(model, config, policy), running_precision=policy
    )
    difference = float(np.abs(probe_answers(rounded) - probe_answers(run)).max())
    if difference <= PROBE_TOLERANCE[policy] * config.target_scale:
        return rounded
    problem = f"{directory}: in {policy} its answers to fixed texts differ by {difference:.3g}"
    if precision != "auto":
        raise InputError(f"{problem}, as its weights do not bear rounding. Load it in float32.")
    warnings.warn(f"{problem}, so it runs in float32.", InputWarning, stacklevel=2)
    return run


def _check_full_precision(run: Run) -> None:
    if run.model.get_layer("encoder").dtype_policy.name == "bfloat16":
        raise InputError(
            "The model's weights were rounded to bfloat16 when it was loaded, so it was not saved. "
            "Load it with precision='float32' first."
        )


def _read_configs(directory: Path) -> tuple[ModelConfig, PretrainedConfig]:
    """The resolved config of a run's model, and its base's."""
    config = read_config(
        ModelConfig, directory / files.CONFIG, complete=True, may_lack=_LATER_FIELDS
    )
    path = directory / files.ENCODER_CONFIG
    try:
        encoder_config = encoder_config_from_dict(files.read_json(path))
        return resolve_model_config(config, encoder_config), encoder_config
    except InputError as error:
        raise InputError(
            f"{path.name} or {files.CONFIG} in {directory} is not what was saved: {error}"
        ) from None


def _write(directory: Path, run: Run, probe: np.ndarray) -> None:
    # Only here, since a service that loads a run draws nothing.
    from kerasbert.reporting.writing import write_reports

    # A model of the same layers that was never compiled: the optimizer's state, twice the size of
    # the weights, has no use here.
    keras.Model(run.model.inputs, run.model.outputs).save_weights(directory / files.WEIGHTS)
    run.tokenizer.save(directory / files.TOKENIZER)
    encoder_config = run.model.get_layer("encoder").encoder_config.to_dict()
    encoder_config.pop("_name_or_path", None)  # a place on the machine that trained
    # Not the JSON files: thresholds may be changed, and the rest is checked otherwise.
    hashed = [files.WEIGHTS]
    hashed += sorted(f"{files.TOKENIZER}/{p.name}" for p in (directory / files.TOKENIZER).iterdir())
    metadata = {
        "versions": {
            "kerasbert": __version__,
            **{name: version for name in _PACKAGES if (version := _version(name))},
        },
        "sha256": {name: files.sha256_of(directory / name) for name in hashed},
        "parameters": {
            "total": run.model.count_params(),
            "trainable": run.training.get(
                "num_trained",
                sum(math.prod(weight.shape) for weight in run.model.trainable_weights),
            ),
        },
        "labels": _meaning(run.labels),
        "precision": run.precision,
        "running_precision": run.running_precision,
        "device": device_kind(),
        "probe": probe.tolist(),
        "fit": run.fit,
        "data": run.data,
        "report": run.report,
        "training": run.training,
    }
    if run.history:
        from kerasbert.plots import draw_history

        write_history(directory / files.HISTORY, run.history)
        draw_history(run.history, directory / files.CURVES)
    for name, values in {
        files.CONFIG: dataclasses.asdict(run.config),
        files.LABELS: dataclasses.asdict(run.labels),
        files.ENCODER_CONFIG: encoder_config,
        files.REPORT: run.report,
        files.METADATA: metadata,
    }.items():
        (directory / name).write_text(files.json_text(values), encoding="utf-8")
    write_reports(directory, run.judged, run.history)


def _check_sha256(directory: Path, expected: dict[str, str]) -> None:
    for name, digest in expected.items():
        if not (directory / name).is_file():
            raise InputError(f"{directory} is not whole: {name} is missing. Copy it again.")
        if (found := files.sha256_of(directory / name)) != digest:
            raise InputError(
                f"{directory / name} is not the file that was saved: its sha256 is {found[:12]}"
                f"..., expected {digest[:12]}.... Copy the directory again, or train anew."
            )


def _meaning(labels: Labels) -> dict[str, Any]:
    """What may not change once the weights are there: all but the decision. JSON values."""
    return {"task": labels.task, "columns": list(labels.columns), "names": list(labels.names)}


def _check_labels(directory: Path, labels: Labels, expected: dict[str, Any]) -> None:
    for key, found in _meaning(labels).items():
        if found != expected.get(key):
            raise InputError(
                f"{directory / files.LABELS}: {key!r} is {found!r}, and the weights were saved "
                f"with {expected.get(key)!r}. Of this file only the decision may be changed."
            )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None  # an extra, or another backend's


def _misfit(directory: Path, reason: str) -> str:
    return (
        f"{directory / files.WEIGHTS} does not fit {files.CONFIG} and {files.ENCODER_CONFIG} "
        f"beside it: {reason}. Restore the files that were saved together."
    )
