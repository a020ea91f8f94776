"""Config to model: encoder, pooled, head; and the model compiled to train."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from rich.table import Table
from transformers import PretrainedConfig

from kerasbert.config import ModelConfig
from kerasbert.errors import InputError
from kerasbert.models.base import declared_pooling, find_base, read_encoder_config
from kerasbert.models.encoders import TransformerEncoder, encoder_facts
from kerasbert.models.heads import build_head
from kerasbert.models.losses import build_loss
from kerasbert.models.pooling import Pooling

WARMUP = 0.1  # proportion of steps, 0 to 1


def build_classifier(
    config: ModelConfig, *, encoder_config: PretrainedConfig | None = None, dtype=None
) -> keras.Model:
    """Build a classifier over a pretrained base.

    Args:
        config: what to build; see `ModelConfig`.
        encoder_config: build the base from this config with random weights, instead of finding
            `config.base` and reading its weights.
        dtype: precision policy, such as `"mixed_bfloat16"`. Default: Keras's global one.

    Returns:
        A functional `keras.Model` from a dict of `input_ids`, `attention_mask` (and
        `token_type_ids` where the base has segments), int32 of shape (batch, length), to
        probabilities, or scores, float32 of shape (batch, num_labels). Its layers are named
        `encoder`, `pooling` and `head`. Frozen as `config` says, not compiled.

    Raises:
        InputError: the config asks for what the base does not have.

    Example:
        >>> model = build_classifier(ModelConfig(freeze_base=True, num_labels=2))
        >>> [layer.name for layer in model.get_layer("head").layers][-1]
        'softmax'
    """
    directory = None
    if encoder_config is None:
        directory = find_base(config.base)
        encoder_config = read_encoder_config(directory)
    config = resolve_model_config(config, encoder_config, directory)
    dtype = dtype or keras.config.dtype_policy()

    encoder = TransformerEncoder(
        encoder_config, pooler=config.pooling == "pooler", dtype=dtype, name="encoder"
    )
    if directory is not None:
        encoder.load_pretrained(directory)
    encoder.freeze(
        base=config.freeze_base, layers=config.freeze_layers, embeddings=config.freeze_embeddings
    )
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in encoder.input_names}
    pooled = encoder(inputs)  # (batch, length, width), or (batch, width) from the base's pooler
    if config.pooling != "pooler":
        pooled = Pooling(config.pooling, name="pooling")(pooled, inputs["attention_mask"])
    head = build_head(config, encoder.facts.width, dtype)
    return keras.Model(inputs, head(pooled), name="classifier")


def resolve_model_config(
    config: ModelConfig, encoder_config: PretrainedConfig, directory: Path | None = None
) -> ModelConfig:
    """Check a config against its base, and fill in what the base decides: pooling and widths.

    Args:
        config: as the user gave it.
        encoder_config: the base's own.
        directory: of the base, where a declared pooling is looked for.

    Raises:
        InputError: too many layers to freeze, more pieces than positions, a pooling that the base
            does not have.
    """
    facts = encoder_facts(encoder_config)
    if config.freeze_layers > facts.num_blocks:
        raise InputError(
            f"`freeze_layers` must be at most {facts.num_blocks}, the number of blocks of the base "
            f"{config.base!r}. Received: freeze_layers={config.freeze_layers}."
        )
    if config.max_length > facts.max_length:
        raise InputError(
            f"`max_length` must be at most {facts.max_length}, the number of positions of the base "
            f"{config.base!r}. Received: max_length={config.max_length}."
        )
    pooling = config.pooling
    if pooling is None:
        declared = declared_pooling(directory) if directory else None
        pooling = declared or ("last" if facts.is_causal else "cls")
    if pooling == "pooler" and not facts.has_pooler:
        raise InputError(
            f"`pooling` cannot be 'pooler': a {facts.family} base has no pooler of its own. "
            "Expected 'cls', 'mean', 'max' or 'last'."
        )
    if pooling == "cls" and facts.is_causal:
        raise InputError(
            f"`pooling` cannot be 'cls': in a {facts.family} base the first piece has seen no "
            "other. Expected 'last', 'mean' or 'max'."
        )
    hidden_units = config.hidden_units
    if hidden_units is None:
        depth = {"linear": 0, "classification": 1, "mlp": 2}[config.head]
        hidden_units = (facts.width,) * depth
    return dataclasses.replace(config, pooling=pooling, hidden_units=hidden_units)


@keras.saving.register_keras_serializable("kerasbert")
class WarmupThenLinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """Rise to `peak` over the first steps, then fall in a straight line to 0 (BERT's schedule)."""

    def __init__(self, peak: float, num_steps: int):
        self.peak, self.num_steps = peak, num_steps
        self.num_warmup = max(1, math.ceil(WARMUP * num_steps))

    def __call__(self, step):
        step = keras.ops.cast(step, "float32")
        # The first step counts as 1, since at a rate of 0 it would be lost.
        rising = (step + 1) / self.num_warmup
        falling = (self.num_steps - step) / max(1, self.num_steps - self.num_warmup)
        return self.peak * keras.ops.clip(keras.ops.minimum(rising, falling), 0.0, 1.0)

    def get_config(self):
        return {"peak": self.peak, "num_steps": self.num_steps}


def compile_classifier(
    model: keras.Model, task: str, *, learning_rate: float, num_steps: int
) -> None:
    """Compile for training: Adam with warm-up and linear decay, gradients clipped to norm 1.

    Freeze before: what can be trained is read off here.
    """
    accuracy = {"binary": ["accuracy"], "multiclass": ["accuracy"]}
    model.compile(
        optimizer=keras.optimizers.Adam(
            WarmupThenLinearDecay(learning_rate, num_steps), global_clipnorm=1.0
        ),
        loss=build_loss(task),
        metrics=accuracy.get(task),
        # XLA would compile once per sequence length, for seconds each.
        jit_compile=False,
    )


def default_learning_rate(model: keras.Model) -> float:
    """1e-2 for a head on a frozen base, else 5e-5, the highest that BERT's authors advise."""
    return 1e-2 if model.get_layer("encoder").is_frozen else 5e-5


def freezing_table(model: keras.Model) -> Table:
    """What is trained and what is frozen, a row per block of the encoder and one for the head."""
    table = Table(title=f"{model.count_params():,} parameters")
    for column in ("block", "trained", "frozen"):
        table.add_column(column, justify="left" if column == "block" else "right")
    blocks = {
        f"encoder, {block}": variables
        for block, variables in model.get_layer("encoder").blocks().items()
    }
    blocks["head"] = model.get_layer("head").weights
    for block, variables in blocks.items():
        trained = sum(math.prod(v.shape) for v in variables if v.trainable)
        total = sum(math.prod(v.shape) for v in variables)
        table.add_row(block, f"{trained:,}", f"{total - trained:,}")
    return table


def build_forward(model: keras.Model) -> Callable[[dict[str, np.ndarray]], np.ndarray]:
    """The model as a function from a batch to outputs, dropout silent.

    Traced once for all lengths, so it does not grow with them, and safe to call from several
    threads.
    """
    signature = {
        tensor.name: tf.TensorSpec((None, None), tf.int32, name=tensor.name)
        for tensor in model.inputs
    }

    @tf.function(input_signature=[signature], jit_compile=False)
    def forward(inputs):
        return model(inputs, training=False)

    forward.get_concrete_function()  # traced here, not in whichever thread comes first

    def run(batch: dict[str, np.ndarray]) -> np.ndarray:
        return forward({name: tf.constant(batch[name]) for name in signature}).numpy()

    return run
