"""Keras layers that leave it to the encoder around them to store their weights.

Keras stores each layer's weights in its place in the graph. The encoder stores all of its own,
under Hugging Face's names, so that any encoder reads what another has written and can say what is
missing; its layers would store them a second time.
"""

from keras import layers


class _StoredByName:
    def save_own_variables(self, store):
        pass

    def load_own_variables(self, store):
        pass


class Dense(_StoredByName, layers.Dense):
    """`keras.layers.Dense`, stored by its encoder."""


class Embedding(_StoredByName, layers.Embedding):
    """`keras.layers.Embedding`, stored by its encoder."""


class LayerNormalization(_StoredByName, layers.LayerNormalization):
    """`keras.layers.LayerNormalization`, stored by its encoder."""
