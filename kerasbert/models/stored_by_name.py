"""Keras layers that leave it to the encoder around them to store their weights.

Keras stores each layer's weights in its place in the graph. The encoder stores all of its own,
under Hugging Face's names, so that any encoder reads what another has written and can say what is
missing; its layers would store them a second time.
"""

import keras
import numpy as np
from keras import layers, ops


class _StoredByName:
    def save_own_variables(self, store):
        pass

    def load_own_variables(self, store):
        pass


class Dense(_StoredByName, layers.Dense):
    """`keras.layers.Dense`, stored by its encoder; with `lora_rank`, which makes LoRA's matrices.

    Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021
    (https://arxiv.org/abs/2106.09685).
    """

    @property
    def kernel(self) -> keras.Variable:
        """The kernel as it is stored, where Keras gives the one with LoRA's correction."""
        return self._kernel

    @property
    def lora_matrices(self) -> dict[str, keras.Variable]:
        """The two factors of LoRA's correction, the first of shape (inputs, rank), by name."""
        return {"a": self.lora_kernel_a, "b": self.lora_kernel_b} if self.lora_enabled else {}

    def merged_kernel(self) -> np.ndarray:
        """The kernel with LoRA's correction, if there is one, added up in float32."""
        kernel = to_float32(self.kernel)
        if self.lora_enabled:
            a, b = map(to_float32, (self.lora_kernel_a, self.lora_kernel_b))
            kernel = kernel + self._lora_scale * (a @ b)
        return kernel

    def call(self, inputs, training=None):
        if not self.lora_enabled:
            return super().call(inputs, training=training)
        # Keras adds the correction to the kernel first, and reads its gradient off that of the
        # whole kernel. This way that is never computed, which saves a fifth of a step's arithmetic.
        # The matrices are float32, and under a policy of bfloat16 alone Keras does not cast them.
        a, b = (ops.cast(part, self.compute_dtype) for part in self.lora_matrices.values())
        narrow = self._lora_scale * ops.matmul(inputs, a)  # (rows, rank)
        x = ops.matmul(inputs, self.kernel)
        x = x if self.bias is None else x + self.bias
        x = x + ops.matmul(narrow, b)
        return x if self.activation is None else self.activation(x)

    @property
    def _lora_scale(self) -> float:
        return self.lora_alpha / self.lora_rank


class Embedding(_StoredByName, layers.Embedding):
    """`keras.layers.Embedding`, stored by its encoder."""


class LayerNormalization(_StoredByName, layers.LayerNormalization):
    """`keras.layers.LayerNormalization`, stored by its encoder."""


def to_float32(variable: keras.Variable) -> np.ndarray:
    """A variable's values, whatever it and the backend keep them in."""
    return np.asarray(ops.convert_to_numpy(ops.cast(variable, "float32")))
