"""The head: from a pooled vector to one output per label, as one sub-model."""

import keras
from keras import layers

from kerasbert.config import ModelConfig
from kerasbert.tasks import TASKS


def build_head(config: ModelConfig, width: int, dtype=None) -> keras.Model:
    """Build the head that `config` describes.

    - `linear`: the output layer alone.
    - `classification`: Dense-ReLU-Dropout before it, as in transformers'
      `TFDistilBertForSequenceClassification`.
    - `mlp`: Dropout, then Dense-BatchNormalization-ReLU for each hidden width, and an L2 penalty on
      the output layer's kernel.
    - `pretrained`: that of transformers' text classifiers: Dropout for BERT, which has its pooler
      before it, and Dense-ReLU-Dropout for DistilBERT.

    Args:
        config: with `hidden_units` filled in.
        width: length of the pooled vector.
        dtype: precision policy of the hidden layers; outputs are always float32.

    Returns:
        A model from (batch, width) to (batch, num_labels).
    """
    pooled = features = keras.Input((width,), name="pooled")
    regularizer = None
    if config.head in ("classification", "pretrained"):
        for units in config.hidden_units:
            features = layers.Dense(units, activation="relu", dtype=dtype, name="dense_relu")(
                features
            )
        features = layers.Dropout(config.dropout, dtype=dtype, name="dropout")(features)
    elif config.head == "mlp":
        features = layers.Dropout(config.dropout, dtype=dtype, name="01_dropout")(features)
        for number, units in enumerate(config.hidden_units, start=1):
            name = f"{number:02d}"
            features = layers.Dense(units, dtype=dtype, name=f"{name}_dense_relu_no_regularizer")(
                features
            )
            # Keras's default momentum, 0.99, needs several hundred steps to forget its start; a
            # small data set has fewer, and would be validated with half-initial statistics.
            features = layers.BatchNormalization(momentum=0.9, dtype=dtype, name=f"{name}_bn")(
                features
            )
            features = layers.ReLU(dtype=dtype, name=f"{name}_relu")(features)
        regularizer = keras.regularizers.L2(config.l2) if config.l2 else None
    activation = TASKS[config.task].activation
    outputs = layers.Dense(
        config.num_labels,
        activation=activation,
        kernel_regularizer=regularizer,
        dtype="float32",
        name=activation,
    )(features)
    if config.task == "regression":
        # The layers above work on standardised scores; outside, scores are the user's own.
        outputs = layers.Rescaling(
            config.target_scale, config.target_mean, dtype="float32", name="scores"
        )(outputs)
    return keras.Model(pooled, outputs, name="head")
