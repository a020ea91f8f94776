"""From one vector per piece to one vector per text; padding plays no part."""

import keras
from keras import ops

POOLINGS = ("cls", "mean", "max", "last")


@keras.saving.register_keras_serializable("kerasbert")
class Pooling(keras.layers.Layer):
    """Pool vectors of shape (batch, length, width) to (batch, width), always in float32.

    Args:
        mode: `"cls"` takes the first piece, `"last"` the last that is not padding, `"mean"` and
            `"max"` all that are not padding.
    """

    def __init__(self, mode: str, **kwargs):
        # In bfloat16 a mean over hundreds of pieces would keep two or three digits.
        super().__init__(**{**kwargs, "dtype": "float32"})
        if mode not in POOLINGS:
            raise ValueError(f"`mode` must be one of {POOLINGS}. Received: mode={mode!r}.")
        self.mode = mode

    def call(self, hidden, attention_mask):
        if self.mode == "cls":
            return hidden[:, 0]
        # Not by indexing with None, which LiteRT cannot do where sizes are free.
        mask = ops.expand_dims(ops.cast(attention_mask, "float32"), 2)  # (batch, length, 1)
        if self.mode == "mean":
            return ops.sum(hidden * mask, axis=1) / ops.maximum(ops.sum(mask, axis=1), 1.0)
        if self.mode == "max":
            return ops.max(ops.where(mask > 0, hidden, -1e9), axis=1)
        length = ops.shape(hidden)[1]
        last = ops.sum(ops.cast(attention_mask, "int32"), axis=1) - 1  # (batch,)
        at_last = ops.expand_dims(ops.one_hot(last, length, dtype="float32"), 2)
        return ops.sum(hidden * at_last, axis=1)

    def compute_output_spec(self, hidden, attention_mask):
        return keras.KerasTensor((hidden.shape[0], hidden.shape[2]), dtype=self.compute_dtype)

    def get_config(self):
        return {**super().get_config(), "mode": self.mode}
