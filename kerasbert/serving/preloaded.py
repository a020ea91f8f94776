"""Imported in the process that workers are forked from: all libraries, and nothing that computes.

TensorFlow starts its threads with the first operation, and a process that has them cannot be
forked.
"""

import signal

from kerasbert import _runtime

# Of a SIGTERM to all processes the workers hear by themselves, and end after their last answers.
signal.signal(signal.SIGTERM, signal.SIG_IGN)
_runtime.quiet()

import kerasbert.inference  # noqa: E402, F401
