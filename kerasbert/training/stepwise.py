"""A model that keeps the numbers of each batch, though Keras takes several of them in one call."""

import keras
import numpy as np
import tensorflow as tf


class Stepwise(keras.Model):
    """A functional model that is trained, and keeps what each batch of the last call gave.

    Keras tells means since the epoch began and, compiled with more than one of its
    `steps_per_execution`, which are batches, tells them only once for all of a call. The weights
    are those of the layers that the model is made of, so that training it trains them.
    """

    @classmethod
    def over(cls, model: keras.Model) -> "Stepwise":
        """One of the same layers, reading the same inputs by name."""
        return cls({tensor.name: tensor for tensor in model.inputs}, model.outputs[0])

    def compile(self, *args, steps_per_execution: int = 1, **settings):
        """As Keras's; the optimizer is an `AdamW`, perhaps in a `LossScaleOptimizer`."""
        super().compile(*args, steps_per_execution=steps_per_execution, **settings)
        # TensorFlow's variables and not Keras's, which would be weights of the model.
        self._numbers = tf.Variable(tf.zeros((steps_per_execution, 3)), trainable=False)
        self._num_taken = tf.Variable(0, trainable=False, dtype=tf.int64)

    def make_train_function(self, force=False):
        if self.train_function is not None and not force:
            return
        super().make_train_function(force)
        take_batches = self.train_function

        def train_function(iterator):
            self._num_taken.assign(0)
            return take_batches(iterator)

        self.train_function = train_function

    def train_step(self, data):
        logs = super().train_step(data)
        optimizer = getattr(self.optimizer, "inner_optimizer", self.optimizer)
        numbers = logs["loss"], logs.get("accuracy", np.nan), optimizer.gradient_norm.value
        row = tf.stack([tf.cast(number, tf.float32) for number in numbers])  # (3,)
        self._numbers.scatter_update(tf.IndexedSlices(row, self._num_taken))
        self._num_taken.assign_add(1)
        # So the next batch's are its own. Not before the batch: then not all of them are built.
        self.reset_metrics()
        return logs

    def last_batches(self) -> np.ndarray:
        """Loss, accuracy and gradient norm of each batch of the last call, shape (batches, 3).

        Accuracy is NaN where the model is compiled without it. The norm is that of the last step
        that was taken: where batches are accumulated, only the last one's is the step's own.
        """
        return self._numbers.numpy()[: int(self._num_taken)]
