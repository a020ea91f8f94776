"""How a model is trained: optimizer, schedule, loss."""

import math

import keras

from kerasbert.models.losses import build_loss

WARMUP = 0.1  # proportion of steps, 0 to 1


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


@keras.saving.register_keras_serializable("kerasbert")
class FusedAdam(keras.optimizers.Adam):
    """Adam whose step is one pass over the weights on TensorFlow, and Keras's own elsewhere.

    The same numbers, up to rounding, where gradients are clipped by their norm, as they are here.
    Keras's Adam is about ten operations on each weight, each of which reads and writes all of it;
    the embeddings are most of a small model, so that is a large part of a step on short texts.
    """

    def update_step(self, gradient, variable, learning_rate):
        if keras.backend.backend() != "tensorflow" or self.amsgrad:
            super().update_step(gradient, variable, learning_rate)
            return
        import tensorflow as tf

        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, tf.float32)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=tf.cast(learning_rate, tf.float32),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=tf.convert_to_tensor(gradient),
        )


def compile_classifier(
    model: keras.Model,
    task: str,
    *,
    learning_rate: float,
    num_steps: int,
    precision: str = "float32",
) -> None:
    """Compile for training: Adam with warm-up and linear decay, gradients clipped to norm 1.

    Freeze before: what can be trained is read off here.

    Args:
        model: a classifier, or the part of one that is trained.
        task: a key of `kerasbert.tasks.TASKS`.
        learning_rate: the highest of the schedule.
        num_steps: of the whole training.
        precision: policy of the model's layers. Under `"mixed_float16"` the loss is scaled, since
            small gradients would be nothing in float16.
    """
    optimizer = FusedAdam(WarmupThenLinearDecay(learning_rate, num_steps), global_clipnorm=1.0)
    if precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    accuracy = {"binary": ["accuracy"], "multiclass": ["accuracy"]}
    model.compile(
        optimizer=optimizer,
        loss=build_loss(task),
        metrics=accuracy.get(task),
        # XLA would compile once per sequence length, for seconds each.
        jit_compile=False,
    )


def default_learning_rate(model: keras.Model) -> float:
    """1e-2 for a head on a frozen base, else 5e-5, the highest that BERT's authors advise."""
    return 1e-2 if model.get_layer("encoder").is_frozen else 5e-5
