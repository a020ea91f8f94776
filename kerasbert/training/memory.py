"""How much memory there is in use, and what to do when there is none left."""

import contextlib
import errno
import re
from collections.abc import Iterator

import psutil

from kerasbert.errors import TrainingError

# How TensorFlow names what its own error class for it does not cover: allocations by CUDA and its
# libraries, and those of oneDNN, whose status 1 is `dnnl_out_of_memory`.
_OUT_OF_MEMORY = re.compile(
    r"out[ _]of[ _]memory|failed to allocate|cannot allocate|bad_alloc|Status: 1, message",
    re.IGNORECASE,
)
_SHORTEST = 8  # pieces; a text of fewer says little


def resident_mb() -> float:
    """Memory of this process that is in RAM, in megabytes (1e6 bytes)."""
    return psutil.Process().memory_info().rss / 1e6


@contextlib.contextmanager
def out_of_memory_explained(
    batch_size: int, longest: int, *, gradient_accumulation: int = 1
) -> Iterator[None]:
    """Turn the error of a training that ran out of memory into one that says what to change.

    What it cannot catch: Linux gives memory that it does not have, and where a batch then needs it,
    the kernel ends the process (SIGKILL, exit code 137). Under a limit on the process itself,
    TensorFlow's error comes where a tensor is refused; where a thread or a library's own small
    allocation is, it aborts (SIGABRT, 134) or crashes (SIGSEGV, 139).

    Args:
        batch_size: texts per batch.
        longest: pieces of the longest text.
        gradient_accumulation: batches per step so far.

    Raises:
        TrainingError: what the block needed was not there; TensorFlow's own error is its cause.
    """
    try:
        yield
    except Exception as error:
        if not _is_out_of_memory(error):
            raise
        advice = _advice(batch_size, longest, gradient_accumulation)
        raise TrainingError(
            f"Out of memory in a batch of {batch_size} texts of up to {longest} pieces. {advice}"
        ) from error


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # Only here: what watches a training is imported before TensorFlow is.
    from tensorflow import errors

    if isinstance(error, errors.ResourceExhaustedError):
        return True
    unclear = (errors.InternalError, errors.AbortedError, errors.UnknownError)
    return isinstance(error, unclear) and bool(_OUT_OF_MEMORY.search(str(error)))


def _advice(batch_size: int, longest: int, accumulation: int) -> str:
    ways = []
    if batch_size > 1:
        # Its smallest divisor, so that a step is of as many texts as before.
        parts = next(d for d in range(2, batch_size + 1) if batch_size % d == 0)
        ways.append(
            f"--batch-size {batch_size // parts} --gradient-accumulation {accumulation * parts}, "
            "which takes the same steps but for BatchNormalization"
        )
    if longest >= 2 * _SHORTEST:
        ways.append(f"--max-length {longest // 2}")
    return f"Try {', or '.join(ways or ['--freeze-base'])}."
