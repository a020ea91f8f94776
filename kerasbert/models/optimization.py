"""How weights move: AdamW in one pass, and compiling a model to be trained by it."""

from collections.abc import Mapping

import keras
from keras import ops

from kerasbert.config_train import FROZEN_RATE, LORA_RATE, OPEN_RATE, OptimizerConfig
from kerasbert.models.losses import accuracy_metric, build_loss

# By the last part of a weight's name: what shifts and what normalises is not drawn towards 0.
_NO_DECAY = r"(^|/)(bias|gamma|beta)(:0)?$"


@keras.saving.register_keras_serializable("kerasbert")
class AdamW(keras.optimizers.Adam):
    """Adam with decoupled weight decay, as one pass over the weights on TensorFlow.

    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019. Keras's Adam is about ten
    operations on each weight, each of which reads and writes all of it; the embeddings are most of
    a small model, so that is a large part of a step on short texts. The numbers are the same up to
    rounding where gradients are clipped by their norm. Beyond Keras's:

    - biases and normalisation do not decay;
    - `rates` gives weights a step size of their own;
    - `open` says that weights are trained from now on, whose averages are then corrected as if the
      training began here;
    - schedules, bias correction and moving averages count steps, not the batches whose gradients
      are added up to one.

    Args:
        learning_rate: a number or a schedule.
        weight_decay: per unit of step size; None or 0 for none.
        clip_norm: longest gradient, over all weights; None for no limit.
        rates: factor of the step size by the path of a weight; 1 where it is silent.
        **settings: of `keras.optimizers.Adam`.

    Attributes:
        opened_at: the step after which each weight was opened; None for those that were not.
        gradient_norm: length of the last step's gradient before it was clipped, over all weights.
    """

    def __init__(
        self,
        learning_rate=1e-3,
        *,
        weight_decay: float | None = None,
        clip_norm: float | None = None,
        rates: Mapping[str, float] | None = None,
        **settings,
    ):
        super().__init__(learning_rate, weight_decay=weight_decay or None, **settings)
        self.clip_norm = clip_norm
        self.rates = dict(rates or {})
        self.exclude_from_weight_decay(var_names=[_NO_DECAY])

    def build(self, variables):
        """Make the averages of these weights; all that will ever be trained, if not at first."""
        if not self.built:
            super().build(variables)
            self.opened_at = [None] * len(variables)
            for weight, average in self.averages():
                average.assign(weight)
            self.gradient_norm = self.add_variable((), name="gradient_norm")

    def open(self, variables) -> None:
        """From now on these are trained, too; to be followed by compiling the model."""
        for variable in variables:
            index = self._get_variable_index(variable)
            if self.opened_at[index] is None:
                self.opened_at[index] = int(self.iterations)

    def apply(self, grads, trainable_variables=None):
        super().apply([_added_up(grad) for grad in grads], trainable_variables)

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        variable = self._trainable_variables[index]  # Keras hands TensorFlow's over, without a path
        rate = ops.cast(learning_rate, "float32") * self.rates.get(variable.path, 1.0)
        if self.weight_decay and self._use_weight_decay(variable):
            variable.assign(variable * (1.0 - rate * self.weight_decay))
        step = ops.cast(self.iterations + 1 - (self.opened_at[index] or 0), "float32")
        momentum, velocity = self._momentums[index], self._velocities[index]
        if keras.backend.backend() == "tensorflow":
            import tensorflow as tf

            tf.raw_ops.ResourceApplyAdam(
                var=variable.value.handle,
                m=momentum.value.handle,
                v=velocity.value.handle,
                beta1_power=self.beta_1**step,
                beta2_power=self.beta_2**step,
                lr=rate,
                beta1=self.beta_1,
                beta2=self.beta_2,
                epsilon=self.epsilon,
                grad=gradient,
            )
            return
        momentum.assign_add((gradient - momentum) * (1 - self.beta_1))
        velocity.assign_add((ops.square(gradient) - velocity) * (1 - self.beta_2))
        rate = rate * ops.sqrt(1 - self.beta_2**step) / (1 - self.beta_1**step)
        variable.assign_sub(rate * momentum / (ops.sqrt(velocity) + self.epsilon))

    def finalize_variable_values(self, var_list):
        # Keras puts the moving averages in the weights' place at the end of each `fit`; an epoch is
        # a `fit` here, after which training goes on. Whoever trains asks for `averaged`.
        pass

    def averages(self) -> list[tuple[keras.Variable, keras.Variable]]:
        """Each weight and its moving average; empty where none is kept."""
        if not self.use_ema:
            return []
        return list(
            zip(self._trainable_variables, self._model_variables_moving_average, strict=True)
        )

    def get_config(self):
        return {
            **super().get_config(),
            "clip_norm": self.clip_norm,
            "rates": self.rates,
        }

    def _get_current_learning_rate(self):
        if isinstance(self._learning_rate, keras.optimizers.schedules.LearningRateSchedule):
            return self._learning_rate(self.iterations)
        return super()._get_current_learning_rate()

    def _clip_gradients(self, grads):
        norm = ops.sqrt(sum(ops.sum(ops.square(ops.cast(grad, "float32"))) for grad in grads))
        self.gradient_norm.assign(norm)
        if not self.clip_norm:
            return grads
        scale = ops.minimum(1.0, self.clip_norm / ops.maximum(norm, 1e-12))
        return [grad * ops.cast(scale, grad.dtype) for grad in grads]

    def _all_reduce_sum_gradients(self, grads_and_vars):
        import tensorflow as tf

        # The sum over one replica is its own gradient. TensorFlow would, to have it, register a
        # function of the training's graph for as long as the process lives, and the graph holds the
        # weights: each training in a process would keep some three times the size of its model.
        if tf.distribute.get_strategy().num_replicas_in_sync == 1:
            return grads_and_vars
        return super()._all_reduce_sum_gradients(grads_and_vars)

    def _apply_weight_decay(self, variables):
        pass  # in `update_step`, by each weight's own step size

    def _update_model_variables_moving_average(self, trainable_variables):
        def update():
            step = ops.cast(self.iterations, "float32")
            # Early on an average over fewer steps, else it would be of the weights at the start.
            momentum = ops.minimum(self.ema_momentum, (1 + step) / (10 + step))
            for weight, average in self.averages():
                average.assign(average + (1 - momentum) * (weight - average))

        batches = self.gradient_accumulation_steps or 1
        ops.cond(ops.equal((self._iterations + 1) % batches, 0), update, lambda: None)


def _added_up(gradient):
    """The gradient of a table with each row in it once; the norm would count each by itself."""
    if keras.backend.backend() != "tensorflow":
        return gradient
    import tensorflow as tf

    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    rows, places = tf.unique(gradient.indices)
    values = tf.math.unsorted_segment_sum(gradient.values, places, tf.size(rows))
    return tf.IndexedSlices(values, rows, gradient.dense_shape)


def build_optimizer(
    config: OptimizerConfig,
    schedule: keras.optimizers.schedules.LearningRateSchedule,
    *,
    rates: Mapping[str, float] | None = None,
    accumulation: int = 1,
) -> AdamW:
    """The optimizer that a config describes.

    Args:
        config: weight decay, clipping and moving average.
        schedule: the step size by step.
        rates: from `layer_rates`.
        accumulation: batches whose gradients are added up to one step.
    """
    return AdamW(
        schedule,
        weight_decay=config.weight_decay,
        clip_norm=config.clip_norm,
        rates=rates,
        use_ema=config.ema is not None,
        ema_momentum=config.ema or 0.99,
        gradient_accumulation_steps=accumulation if accumulation > 1 else None,
    )


def layer_rates(model: keras.Model, decay: float) -> dict[str, float]:
    """Step sizes that fall from the top block to the embeddings, by the path of a weight.

    The head, the pooler and the top block have 1, the next `decay`, then `decay` squared: Sun et
    al., "How to Fine-Tune BERT for Text Classification?", 2019.

    Args:
        model: from `build_classifier`.
        decay: factor from each block to the one below it, above 0 and up to 1.
    """
    blocks = model.get_layer("encoder").blocks()
    depth = [name for name in blocks if name != "top"]
    return {
        variable.path: decay ** (len(depth) - 1 - depth.index(name))
        for name in depth
        for variable in blocks[name]
        if decay < 1
    }


def scale_losses(
    optimizer: keras.optimizers.Optimizer, precision: str
) -> keras.optimizers.Optimizer:
    """The optimizer under a precision policy: `"mixed_float16"` needs a scaled loss.

    Small gradients would be nothing in float16.
    """
    if precision == "mixed_float16":
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer


def compile_classifier(
    model: keras.Model,
    task: str,
    optimizer: keras.optimizers.Optimizer,
    loss: keras.losses.Loss | None = None,
    *,
    steps_per_execution: int = 1,
) -> None:
    """Compile for training. Freeze before: what can be trained is read off here.

    Args:
        model: a classifier, or the part of one that is trained.
        task: a key of `kerasbert.tasks.TASKS`.
        optimizer: from `build_optimizer`, or another.
        loss: from `build_loss`; default: the task's.
        steps_per_execution: batches that Keras takes in one call of TensorFlow.
    """
    model.compile(
        optimizer=optimizer,
        loss=loss or build_loss(task),
        metrics=None if task == "regression" else [accuracy_metric(task)],
        # XLA would compile once per sequence length, for seconds each.
        jit_compile=False,
        steps_per_execution=steps_per_execution,
    )


def default_learning_rate(model: keras.Model) -> float:
    """The highest step size for a classifier, where none is named."""
    encoder = model.get_layer("encoder")
    if encoder.is_frozen:
        return FROZEN_RATE
    return LORA_RATE if encoder.lora_rank else OPEN_RATE
