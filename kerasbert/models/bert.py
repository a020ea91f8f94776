"""BERT, and what shares its form: DistilBERT, RoBERTa, XLM-RoBERTa, CamemBERT, MiniLM.

Devlin et al., "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding",
2019 (https://arxiv.org/abs/1810.04805). Ordinary Keras layers, so the file runs on each of Keras's
backends, with what makes it fast on a processor: one product for query, key and value, and rows of
(batch · length, hidden) instead of three axes. The products, the activation and the softmax follow
the precision policy; residuals and normalisation are float32 under every policy.
"""

import dataclasses
from pathlib import Path

import keras
from keras import layers, ops
from transformers import PretrainedConfig

from kerasbert.errors import InputError
from kerasbert.models.checkpoints import named_tensors, read_checkpoint
from kerasbert.models.encoder import POSITIONS_AFTER_PADDING, Encoder
from kerasbert.models.stored_by_name import Dense, Embedding, LayerNormalization

# Added to the scores of padding: nothing after the softmax, and a number in float16.
_MASKED = -30_000.0


# ---------------------------------------------------------------------------------------------
# Config
# ---------------------------------------------------------------------------------------------

_ACTIVATIONS = {
    "gelu": keras.activations.gelu,
    "gelu_new": lambda x: keras.activations.gelu(x, approximate=True),
    "gelu_pytorch_tanh": lambda x: keras.activations.gelu(x, approximate=True),
    "relu": keras.activations.relu,
    "silu": keras.activations.silu,
    "swish": keras.activations.silu,
}
_FAMILIES = ("bert", "camembert", "distilbert", "roberta", "xlm-roberta")
_NORMAL = keras.initializers.TruncatedNormal(stddev=0.02)


@dataclasses.dataclass(frozen=True)
class BertConfig:
    """Sizes and rates, under one set of names for all families.

    Attributes:
        hidden_size: width of a piece's vector, divided among the heads.
        intermediate_size: width in the middle of the feed-forward part.
        first_position: row of the position table that the first piece takes.
        num_segments: rows of the segment table; 0 for a base without one.
        dropout: share of a sum's summand set to zero in training, 0 to 1.
        attention_dropout: share of the attention's weights set to zero in training, 0 to 1.
        attention_output_dropout: `dropout`, or 0 in DistilBERT, which has none there.
    """

    vocab_size: int
    hidden_size: int
    num_blocks: int
    num_heads: int
    intermediate_size: int
    num_positions: int
    first_position: int
    num_segments: int
    activation: str
    dropout: float
    attention_dropout: float
    attention_output_dropout: float
    epsilon: float


def bert_config(config: PretrainedConfig) -> BertConfig:
    """Read a base's config; an `InputError` says why it is not of BERT's form."""
    family, problem = config.model_type, None
    is_distilbert = family == "distilbert"
    activation = getattr(config, "activation" if is_distilbert else "hidden_act", None)
    position_kind = getattr(config, "position_embedding_type", None) or "absolute"
    middle = getattr(config, "hidden_dim" if is_distilbert else "intermediate_size", None)
    rates = ("dropout", "attention_dropout")
    if not is_distilbert:
        rates = ("hidden_dropout_prob", "attention_probs_dropout_prob")
    dropouts = tuple(getattr(config, name, None) for name in rates)
    if family not in _FAMILIES:
        problem = f"a {family} base is not of BERT's form"
    elif str(activation) not in _ACTIVATIONS:
        problem = f"the activation {activation!r} is not one of {', '.join(_ACTIVATIONS)}"
    elif position_kind != "absolute":
        problem = f"the positions are {position_kind!r}, not 'absolute'"
    elif getattr(config, "is_decoder", False):
        problem = "the base is a decoder"
    elif not all(type(size) is int and size > 0 for size in (config.num_attention_heads, middle)):
        problem = f"it has {config.num_attention_heads!r} heads and a middle width of {middle!r}"
    elif not all(isinstance(rate, (int, float)) and 0 <= rate < 1 for rate in dropouts):
        problem = f"its dropout rates are {dropouts!r}"
    elif config.hidden_size % config.num_attention_heads:
        problem = (
            f"{config.num_attention_heads} heads do not divide a width of {config.hidden_size}"
        )
    if problem:
        raise InputError(f"The native encoder cannot hold this base: {problem}.")
    dropout, attention_dropout = dropouts
    return BertConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        num_blocks=config.num_hidden_layers,
        num_heads=config.num_attention_heads,
        intermediate_size=middle,
        num_positions=config.max_position_embeddings,
        first_position=config.pad_token_id + 1 if family in POSITIONS_AFTER_PADDING else 0,
        num_segments=getattr(config, "type_vocab_size", 0),
        activation=activation,
        dropout=dropout,
        attention_dropout=attention_dropout,
        attention_output_dropout=0.0 if is_distilbert else dropout,
        epsilon=1e-12 if is_distilbert else config.layer_norm_eps,
    )


# ---------------------------------------------------------------------------------------------
# Layers
# ---------------------------------------------------------------------------------------------


class Embeddings(layers.Layer):
    """Word pieces to rows: the sum of piece, position and segment, normalised."""

    def __init__(self, config: BertConfig, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.config = config

        def table(rows, name):
            return Embedding(rows, config.hidden_size, _NORMAL, dtype="float32", name=name)

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
        length, width = ops.shape(input_ids)[1], self.config.hidden_size
        # Counted from the first piece. transformers' RoBERTa passes over pieces that are padding in
        # the middle of a text, which only a text with a literal "<pad>" has.
        positions = ops.arange(length) + self.config.first_position
        x = self.word(input_ids) + self.position(positions)  # (batch, length, hidden)
        if self.segment is not None:
            segments = 0 if token_type_ids is None else token_type_ids
            x = x + self.segment(ops.convert_to_tensor(segments))
        x = ops.reshape(x, (-1, width))  # (batch · length, hidden)
        return self.dropout(self.normalization(x), training=training)


class Block(layers.Layer):
    """Attention among the pieces of a text, then a feed-forward part on each, normalised after."""

    def __init__(self, config: BertConfig, products: str, **kwargs):
        # The layer's own policy is that of the residuals; `products` is that of the rest.
        super().__init__(dtype="float32", **kwargs)
        self.config = config

        def dense(units, name, activation=None):
            return Dense(units, activation, kernel_initializer=_NORMAL, dtype=products, name=name)

        def dropout(rate):
            return layers.Dropout(rate, dtype=products)

        def normalization(name):
            return LayerNormalization(epsilon=config.epsilon, dtype="float32", name=name)

        width, activation = config.hidden_size, _ACTIVATIONS[config.activation]
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
    """The native encoder; see `Encoder`. Its output is float32 under every precision policy."""

    def __init__(self, encoder_config: PretrainedConfig, *, pooler: bool = False, **kwargs):
        super().__init__(encoder_config, pooler=pooler, **kwargs)
        config, products = bert_config(encoder_config), self.dtype_policy
        numbers, width = range(1, config.num_blocks + 1), config.hidden_size
        self.embeddings = Embeddings(config, name="embeddings")
        self.stack = [Block(config, products, name=f"block_{number}") for number in numbers]
        self.pooler_dense = None
        if pooler:
            self.pooler_dense = Dense(width, "tanh", dtype="float32", name="pooler")
            self.pooler_dense.build((None, width))
        for layer in (self.embeddings, *self.stack):
            layer.build()
        self.built = True

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
        mask = mask[:, None, None, :]  # (batch, 1, 1, length)
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

    def load_pretrained(self, directory: Path) -> None:
        self.left_out = read_checkpoint(directory, self)

    # One layout for both encoders: either reads what the other has saved.
    def save_own_variables(self, store):
        for tensor in named_tensors(self):
            store[tensor.stored_name] = tensor.value

    def load_own_variables(self, store):
        for tensor in named_tensors(self):
            if tensor.stored_name not in store:
                raise ValueError(f"the encoder's weight {tensor.stored_name!r} is missing")
            tensor.assign(store[tensor.stored_name][...])


def _is_live(layer: layers.Layer) -> bool:
    return any(variable.trainable for variable in layer.weights)
