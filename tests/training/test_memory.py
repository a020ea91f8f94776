import errno

import numpy as np
import psutil
import pytest
import tensorflow as tf

from kerasbert.errors import TrainingError
from kerasbert.training.memory import out_of_memory_explained, resident_mb

TOO_MUCH = (10**6, 10**6, 10**2)  # 400 TB of float32: more than a processor can address


def tensorflow():
    # Not by a tensor that is too large, since TensorFlow waits 10 s for memory to come free.
    raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")


def tensorflow_data():
    def needs_too_much(value):
        np.ones(TOO_MUCH)
        return value

    data = tf.data.Dataset.range(2)
    list(data.map(lambda value: tf.numpy_function(needs_too_much, [value], tf.int64)))


def numpy():
    np.ones(TOO_MUCH)


def mapped_file():
    raise OSError(errno.ENOMEM, "Cannot allocate memory")


def one_dnn():
    raise tf.errors.AbortedError(
        None, None, "Operation received an exception:Status: 1, message: could not create a memory"
    )


def cuda():
    raise tf.errors.InternalError(None, None, "CUDA_ERROR_OUT_OF_MEMORY: out of memory")


@pytest.mark.parametrize(
    "fails",
    [
        tensorflow,
        tensorflow_data,
        numpy,
        mapped_file,
        one_dnn,
        cuda,
    ],
)
def test_whatever_runs_out_of_memory(fails):
    with pytest.raises(TrainingError) as caught, out_of_memory_explained(64, 512):
        fails()
    assert str(caught.value) == (
        "Out of memory in a batch of 64 texts of up to 512 pieces. Try --batch-size 32 "
        "--gradient-accumulation 2, which takes the same steps but for BatchNormalization, or "
        "--max-length 256."
    )
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    "error",
    [
        ValueError("out of memory"),
        OSError(errno.ENOSPC, "No space left on device"),
        tf.errors.InternalError(None, None, "something else"),
        tf.errors.InvalidArgumentError(None, None, "out of memory"),
        KeyboardInterrupt(),
    ],
)
def test_other_errors_stay_as_they_are(error):
    with pytest.raises(type(error)) as caught, out_of_memory_explained(64, 512):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    ("sizes", "advice"),
    [
        (
            (15, 12, 2),
            "Try --batch-size 5 --gradient-accumulation 6, which takes the same steps but for "
            "BatchNormalization.",
        ),
        ((1, 300, 16), "Try --max-length 150."),
        (
            (7, 4, 1),
            "Try --batch-size 1 --gradient-accumulation 7, which takes the same steps but for "
            "BatchNormalization.",
        ),
        ((1, 4, 1), "Try --freeze-base."),
    ],
)
def test_the_advice_can_be_followed(sizes, advice):
    batch_size, longest, accumulation = sizes
    explained = out_of_memory_explained(batch_size, longest, gradient_accumulation=accumulation)
    with pytest.raises(TrainingError) as caught, explained:
        raise MemoryError
    assert str(caught.value).endswith(f"pieces. {advice}")


def test_resident_memory():
    before = resident_mb()
    kept = np.ones(20_000_000)  # 160 MB
    assert 100 < resident_mb() - before < 300
    assert resident_mb() < psutil.virtual_memory().total / 1e6
    del kept
