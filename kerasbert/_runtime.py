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
    with _closed_stderr():
        importlib.import_module("keras")
    # Half a million objects that stay, which each collection would otherwise walk through: a
    # quarter of a second, and Keras collects before each training.
    gc.collect()
    gc.freeze()


@contextlib.contextmanager
def _closed_stderr() -> Iterator[None]:
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
