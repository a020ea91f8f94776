"""A model that keeps the numbers of each batch, though Keras takes several of them in one call."""

from collections.abc import Callable

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

    def fit(self, batches: tf.data.Dataset, **settings):
        """As Keras's; the number of batches is known, and they are those of one epoch."""
        self._num_left = int(batches.cardinality())
        return super().fit(batches, **settings)

    def make_train_function(self, force=False):
        if self.train_function is not None and not force:
            return
        if self.run_eagerly:
            super().make_train_function(force)
            take_batches = self.train_function
        else:
            # Keras's own has a function within the loop, and asks before each batch whether there
            # is one: longer to trace, and a tenth of a small head's step.
            take_batches = self._graph_of_batches()

        def train_function(iterator):
            self._num_taken.assign(0)
            num_batches = min(self.steps_per_execution, self._num_left)
            self._num_left -= num_batches
            if self.run_eagerly:
                take_batches(iterator)
            else:
                take_batches(iterator, tf.constant(num_batches))
            return {}

        self.train_function = train_function

    def _graph_of_batches(self) -> Callable:
        """A function that trains on so many batches of an iterator."""

        def take_batch(iterator):
            self.train_step(iterator.get_next())

        @tf.function(autograph=False, reduce_retracing=True, jit_compile=False)
        def take_batches(iterator, num_batches):
            if self.steps_per_execution == 1:
                take_batch(iterator)
                return

            def body(number):
                take_batch(iterator)
                return [number + 1]

            tf.while_loop(
                lambda number: number < num_batches,
                body,
                [tf.constant(0)],
                parallel_iterations=1,  # each begins with the weights that the last one left
            )

        return take_batches

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
