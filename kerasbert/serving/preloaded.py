"""Imported in the process that workers are forked from: all libraries, and nothing that computes.

TensorFlow starts its threads with the first operation, and a process that has them cannot be
forked.
"""

from kerasbert import _runtime

_runtime.quiet()

import kerasbert.inference  # noqa: E402, F401
