"""What is global to a process: quiet libraries. Set by commands, never by an import."""

import contextlib
import gc
import importlib
import os
import sys
import warnings
from collections.abc import Iterator


def quiet() -> None:
    """Load Keras and its backend without what they, and others, write for developers."""
    # Read once, when the libraries are loaded.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    for category in (FutureWarning, DeprecationWarning):
        warnings.filterwarnings("ignore", category=category)
    # TensorFlow's C++ parts greet whoever loads them, whatever the log level.
    if "keras" in sys.modules:
        return
    with closed_stderr():
        importlib.import_module("keras")
    # Half a million objects that stay, which each collection would otherwise walk through: a
    # quarter of a second, and Keras collects before each training.
    gc.collect()
    gc.freeze()


def halve_threads() -> None:
    """Let an operation of TensorFlow use half of the cores, unless the environment says how many.

    For a frozen base, of which two batches are encoded at a time; and the operations of a head are
    so small that handing them around costs more than it gains. To be called before `quiet`. The
    numbers are the same.
    """
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(max(1, num_cores() // 2)))


def num_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@contextlib.contextmanager
def closed_stderr() -> Iterator[None]:
    """Send what the process writes to file descriptor 2, not only what Python does, nowhere."""
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
