"""BERT, and what shares its form: DistilBERT, RoBERTa, XLM-RoBERTa, CamemBERT, MiniLM.

Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
2019 (https://arxiv.org/abs/1810.04805). Ordinary Keras layers, so the file runs on each of Keras's
backends, with what makes it fast on a processor: one product for query, key and value, and rows of
(batch · length, hidden) instead of three axes. The products, the activation and the softmax follow
the precision policy; residuals and normalisation are float32 under every policy.
"""

from pathlib import Path

import keras
from keras import layers, ops
from transformers import PretrainedConfig

from kerasbert.models.bert_config import ACTIVATIONS, BertConfig, bert_config
from kerasbert.models.checkpoints import named_tensors, read_checkpoint
from kerasbert.models.encoder import Encoder, assign_stored
from kerasbert.models.stored_by_name import Dense, Embedding, LayerNormalization, to_float32

# Added to the scores of padding: nothing after the softmax, and a number in float16.
_MASKED = -30_000.0


def _initializer(is_random: bool) -> keras.initializers.Initializer:
    # One for each layer: an initializer draws its seed when it is made, and the same weights from
    # then on.
    if is_random:
        return keras.initializers.TruncatedNormal(stddev=0.02)
    return keras.initializers.Zeros()


# ---------------------------------------------------------------------------------------------
# Layers
# ---------------------------------------------------------------------------------------------


class Embeddings(layers.Layer):
    """Word pieces to rows: the sum of piece, position and segment, normalised."""

    def __init__(self, config: BertConfig, is_random: bool = True, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.config = config

        def table(rows, name):
            initializer = _initializer(is_random)
            return Embedding(rows, config.hidden_size, initializer, dtype="float32", name=name)

        self.word = table(config.vocab_size, "word")
        self.position = table(config.num_positions, "position")
        self.segment = table(config.num_segments, "segment") if config.num_segments else None
        self.normalization = LayerNormalization(epsilon=config.epsilon, dtype="float32")
        self.dropout = layers.Dropout(config.dropout, dtype="float32")

    def build(self):
        for table in filter(None, (self.word, self.position, self.segment)):
            table.build()
        self.normalization.build((None, self.config.hidden_size))
        self.built = True

    def call(self, input_ids, token_type_ids=None, training=False):
        return self.placed(self.word(input_ids), token_type_ids, training)

    def placed(self, words, token_type_ids=None, training=False):
        """From the pieces' own vectors, (batch, length, hidden), which a gradient may be of."""
        length, width = ops.shape(words)[1], self.config.hidden_size
        # Counted from the first piece. transformers' RoBERTa passes over pieces that are padding in
        # the middle of a text, which only a text with a literal "<pad>" has.
        positions = ops.arange(length) + self.config.first_position
        x = words + self.position(positions)  # (batch, length, hidden)
        if self.segment is not None:
            segments = 0 if token_type_ids is None else token_type_ids
            x = x + self.segment(ops.convert_to_tensor(segments))
        x = ops.reshape(x, (-1, width))  # (batch · length, hidden)
        return self.dropout(self.normalization(x), training=training)


class Block(layers.Layer):
    """Attention among the pieces of a text, then a feed-forward part on each, normalised after."""

    def __init__(
        self,
        config: BertConfig,
        products: str,
        lora_rank: int = 0,
        is_random: bool = True,
        **kwargs,
    ):
        # The layer's own policy is that of the residuals; `products` is that of the rest.
        super().__init__(dtype="float32", **kwargs)
        self.config = config

        def dense(units, name, activation=None):
            return Dense(
                units,
                activation,
                kernel_initializer=_initializer(is_random),
                lora_rank=lora_rank or None,
                dtype=products,
                name=name,
            )

        def dropout(rate):
            return layers.Dropout(rate, dtype=products)

        def normalization(name):
            return LayerNormalization(epsilon=config.epsilon, dtype="float32", name=name)

        width, activation = config.hidden_size, ACTIVATIONS[config.activation]
        self.query_key_value = dense(3 * width, "query_key_value")
        self.attention_dropout = dropout(config.attention_dropout)
        self.attention_output = dense(width, "attention_output")
        self.attention_output_dropout = dropout(config.attention_output_dropout)
        self.attention_normalization = normalization("attention_normalization")
        self.intermediate = dense(config.intermediate_size, "intermediate", activation)
        self.output_dense = dense(width, "output_dense")
        self.output_dropout = dropout(config.dropout)
        self.output_normalization = normalization("output_normalization")

    def build(self):
        width = self.config.hidden_size
        for layer in (self.query_key_value, self.attention_output, self.intermediate):
            layer.build((None, width))
        self.output_dense.build((None, self.config.intermediate_size))
        self.attention_normalization.build((None, width))
        self.output_normalization.build((None, width))
        self.built = True

    @property
    def dense_layers(self) -> tuple[Dense, ...]:
        return self.query_key_value, self.attention_output, self.intermediate, self.output_dense

    def call(self, x, mask, training=False):
        """Args: x of shape (batch · length, hidden); mask of shape (batch, 1, 1, length)."""
        attended = self.attention_output(self.attend(x, mask, training))
        attended = self.attention_output_dropout(attended, training=training)
        x = self.attention_normalization(x + ops.cast(attended, "float32"))
        changed = self.output_dense(self.intermediate(x))
        changed = self.output_dropout(changed, training=training)
        return self.output_normalization(x + ops.cast(changed, "float32"))

    def attend(self, x, mask, training):
        batch, length = ops.shape(mask)[0], ops.shape(mask)[-1]
        heads, width = self.config.num_heads, self.config.hidden_size
        x = self.query_key_value(x)  # (batch · length, 3 · hidden)
        x = ops.reshape(x, (batch, length, 3, heads, width // heads))
        x = ops.transpose(x, (2, 0, 3, 1, 4))  # (3, batch, heads, length, hidden / heads)
        # Not by indexing, whose gradient fills three arrays of this size and adds them up.
        query, key, value = ops.unstack(x, axis=0)  # (batch, heads, length, hidden / heads)
        query = query * (width // heads) ** -0.5
        scores = ops.matmul(query, ops.swapaxes(key, 2, 3))  # (batch, heads, length, length)
        weights = ops.softmax(scores + ops.cast(mask, scores.dtype), axis=-1)
        weights = self.attention_dropout(weights, training=training)
        attended = ops.matmul(weights, value)  # (batch, heads, length, hidden / heads)
        attended = ops.transpose(attended, (0, 2, 1, 3))  # (batch, length, heads, hidden / heads)
        return ops.reshape(attended, (-1, width))  # (batch · length, hidden)


# ---------------------------------------------------------------------------------------------
# Encoder
# ---------------------------------------------------------------------------------------------


@keras.saving.register_keras_serializable("kerasbert")
class BertEncoder(Encoder):
    """The native encoder; see `Encoder`. Its output is float32 under every precision policy.

    Args:
        lora_rank: correct the kernels of the blocks by products of two matrices with this many
            columns between them, which are then all that can be trained below the pooler. 0: none.
        is_random: begin with random weights; without them, which take longer to draw than others
            to read, it begins with zeros, and `load_pretrained` is to follow.
    """

    def __init__(
        self,
        encoder_config: PretrainedConfig,
        *,
        pooler: bool = False,
        lora_rank: int = 0,
        is_random: bool = True,
        **kwargs,
    ):
        super().__init__(encoder_config, pooler=pooler, **kwargs)
        self.lora_rank = lora_rank
        config, products = bert_config(encoder_config), self.dtype_policy
        numbers, width = range(1, config.num_blocks + 1), config.hidden_size
        self.embeddings = Embeddings(config, is_random, name="embeddings")
        self.stack = [
            Block(config, products, lora_rank, is_random, name=f"block_{n}") for n in numbers
        ]
        self.pooler_dense = None
        if pooler:
            self.pooler_dense = Dense(width, "tanh", dtype="float32", name="pooler")
            self.pooler_dense.build((None, width))
        for layer in (self.embeddings, *self.stack):
            layer.build()
        self.built = True
        if lora_rank:
            self.freeze()  # nothing more than what LoRA does

    def call(self, inputs, training=False):
        hidden = self.lower(inputs, 0, training)
        return self.upper(hidden, inputs["attention_mask"], 0, training)

    def lower(self, inputs, num_blocks: int, training=False):
        """Embeddings and the first blocks: inputs to (batch, length, hidden)."""
        batch, length = ops.shape(inputs["input_ids"])
        live = training and _is_live(self.embeddings)
        x = self.embeddings(inputs["input_ids"], inputs.get("token_type_ids"), training=live)
        x = self._run(x, inputs["attention_mask"], self.stack[:num_blocks], training)
        return ops.reshape(x, (batch, length, self.facts.width))

    def upper(self, hidden, attention_mask, num_blocks: int, training=False):
        """From what `lower` gives to the encoder's output: the other blocks, and the pooler."""
        batch, length = ops.shape(attention_mask)
        x = ops.reshape(hidden, (-1, self.facts.width))  # (batch · length, hidden)
        x = self._run(x, attention_mask, self.stack[num_blocks:], training)
        x = ops.reshape(x, (batch, length, self.facts.width))
        return x if self.pooler_dense is None else self.pooler_dense(x[:, 0])  # (batch, hidden)

    def _run(self, x, attention_mask, blocks, training):
        mask = (1.0 - ops.cast(attention_mask, "float32")) * _MASKED
        # Not by indexing with None, which LiteRT cannot do where sizes are free.
        mask = ops.expand_dims(mask, (1, 2))  # (batch, 1, 1, length)
        for block in blocks:
            # A frozen block is a fixed function: with its dropout alive, the same text would have
            # other features in each epoch, and others again at prediction.
            x = block(x, mask, training=training and _is_live(block))
        return x

    def compute_output_spec(self, inputs, training=False):
        spec = super().compute_output_spec(inputs, training)
        return keras.KerasTensor(spec.shape, dtype="float32")

    def blocks(self) -> dict[str, list[keras.Variable]]:
        blocks = {"embeddings": self.embeddings.weights}
        blocks |= {f"block {n}": block.weights for n, block in enumerate(self.stack, start=1)}
        return blocks | ({"top": self.pooler_dense.weights} if self.pooler_dense else {})

    @property
    def pretrained_weights(self) -> list[keras.Variable]:
        matrices = {id(matrix) for matrix in self._lora_matrices().values()}
        return [variable for variable in self.weights if id(variable) not in matrices]

    def corrected_layers(self) -> dict[str, Dense]:
        return {
            f"{block.name}/{layer.name}": layer
            for block in self.stack
            for layer in block.dense_layers
            if layer.lora_enabled
        }

    def freeze(self, *, base: bool = False, layers: int = 0, embeddings: bool = False) -> None:
        super().freeze(base=base, layers=layers, embeddings=embeddings)
        if self.lora_rank:
            pooler = [] if self.pooler_dense is None else self.pooler_dense.weights
            learned = {id(variable) for variable in pooler}
            for variable in self.pretrained_weights:
                if id(variable) not in learned:
                    variable.trainable = False

    def load_pretrained(self, directory: Path) -> None:
        self.left_out = read_checkpoint(directory, self)

    # One layout for both encoders: either reads what the other has saved, but for LoRA's matrices.
    def save_own_variables(self, store):
        for tensor in named_tensors(self):
            store[tensor.stored_name] = tensor.value
        for name, matrix in self._lora_matrices().items():
            store[name] = to_float32(matrix)

    def load_own_variables(self, store):
        for tensor in named_tensors(self):
            if tensor.stored_name not in store:
                raise ValueError(f"the encoder's weight {tensor.stored_name!r} is missing")
            tensor.assign(store[tensor.stored_name][...])
        matrices = self._lora_matrices()
        if not matrices and "lora/block_1/query_key_value/a" in store:
            raise ValueError("it holds LoRA's matrices, which the config's lora_rank=0 leaves out")
        for name, matrix in matrices.items():
            assign_stored(matrix, store, name, "LoRA's matrix")

    def _lora_matrices(self) -> dict[str, keras.Variable]:
        """LoRA's matrices by the names they are stored under."""
        return {
            f"lora/{path}/{name}": matrix
            for path, layer in self.corrected_layers().items()
            for name, matrix in layer.lora_matrices.items()
        }

    def get_config(self):
        return {**super().get_config(), "lora_rank": self.lora_rank}


def _is_live(layer: layers.Layer) -> bool:
    return any(variable.trainable for variable in layer.weights)
