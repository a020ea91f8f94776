"""The head that a fine-tuned BERT or DistilBERT text classifier brings along."""

from pathlib import Path

import keras
from transformers import PretrainedConfig

from kerasbert.config import ModelConfig
from kerasbert.errors import InputError
from kerasbert.models.checkpoints import read_head

# What transformers' text classifiers of a family pool, before their head.
PRETRAINED_POOLING = {"bert": "pooler", "distilbert": "cls"}
# Their layers, and ours.
_LAYERS = {
    "bert": {"classifier": "output"},
    "distilbert": {"pre_classifier": "dense_relu", "classifier": "output"},
}
_PROBLEMS = {
    "single_label_classification": ("binary", "multiclass"),
    "multi_label_classification": ("multilabel",),
    "regression": ("regression",),
}


def check_pretrained_head(config: ModelConfig, encoder_config: PretrainedConfig) -> None:
    """Refuse, with an `InputError`, what does not go with the head that the base brings along."""
    family = encoder_config.model_type
    if family not in PRETRAINED_POOLING:
        raise InputError(
            f"`head` cannot be 'pretrained' over a {family} base: only the heads of BERT and "
            "DistilBERT text classifiers are known. Expected 'linear', 'classification' or 'mlp'."
        )
    if config.pooling not in (None, PRETRAINED_POOLING[family]):
        raise InputError(
            f"`pooling` must be {PRETRAINED_POOLING[family]!r}, which the pretrained head was "
            f"trained on. Received: pooling={config.pooling!r}. Leave it out."
        )
    if config.num_labels != encoder_config.num_labels:
        raise InputError(
            f"The pretrained head of {config.base!r} has {encoder_config.num_labels} labels, and "
            f"the data has {config.num_labels}. Expected the same; choose another --head."
        )
    kind = getattr(encoder_config, "problem_type", None)
    if kind is not None and config.task not in _PROBLEMS.get(kind, ()):
        raise InputError(
            f"The pretrained head of {config.base!r} was trained for {kind!r}, and the data is "
            f"{config.task}. Name the task with --task, or choose another --head."
        )


def pretrained_label_order(
    names: tuple[str, ...], encoder_config: PretrainedConfig
) -> tuple[str, ...]:
    """The label names of the data in the order of the pretrained head's outputs.

    A checkpoint that calls its labels LABEL_0, LABEL_1, ... leaves the data's own order.

    Raises:
        InputError: the checkpoint's labels are not those of the data.
    """
    theirs = tuple(str(name) for _, name in sorted(encoder_config.id2label.items()))
    if all(name == f"LABEL_{number}" for number, name in enumerate(theirs)):
        return names
    if set(theirs) != set(names):
        raise InputError(
            f"The pretrained head tells {', '.join(map(repr, theirs))} apart, and the data has "
            f"{', '.join(map(repr, names))}. Expected the same names: rename the data's labels, "
            "or choose another --head."
        )
    return theirs


def load_pretrained_head(head: keras.Model, directory: Path, family: str) -> None:
    """Set the weights of a head that `build_head` made for `head="pretrained"`.

    Raises:
        InputError: the checkpoint has no such head, or one of other shapes.
    """
    weights = read_head(directory, family)
    for theirs, ours in _LAYERS[family].items():
        name = f"{theirs}.weight"
        if name not in weights or f"{theirs}.bias" not in weights:
            raise InputError(
                f"The base in {directory} brings no head along: it has no {name!r}. Expected a "
                "text classifier; choose another --head."
            )
        layer = head.get_layer(ours) if ours != "output" else _output_layer(head)
        kernel, bias = weights[name].T, weights[f"{theirs}.bias"]
        if kernel.shape != layer.kernel.shape or bias.shape != layer.bias.shape:
            raise InputError(
                f"The base in {directory} has {name!r} in the shape {kernel.shape}, expected "
                f"{tuple(layer.kernel.shape)}. Choose another --head."
            )
        layer.kernel.assign(kernel)
        layer.bias.assign(bias)


def _output_layer(head: keras.Model) -> keras.layers.Dense:
    return [layer for layer in head.layers if isinstance(layer, keras.layers.Dense)][-1]
