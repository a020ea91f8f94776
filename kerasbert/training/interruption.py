"""Ctrl-C ends a training after its step, or the few taken at once, not in the middle of one."""

import contextlib
import signal
import threading
from collections.abc import Iterator

from rich.console import Console

from kerasbert.training.console import say


class Interruption:
    """Whether somebody asked to stop."""

    def __init__(self):
        self.is_asked = False


@contextlib.contextmanager
def interruption(console: Console, asked: Interruption) -> Iterator[None]:
    """Take the first Ctrl-C as a wish to stop after the step; the second one stops at once.

    Outside the main thread, where Python hears no signals, nothing is taken.
    """
    is_ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not is_ours:  # somebody else's handler stays
        yield
        return

    def handle(number, frame):
        if asked.is_asked:
            raise KeyboardInterrupt
        asked.is_asked = True
        say(console, "stopping after this step; Ctrl-C again stops at once")

    signal.signal(signal.SIGINT, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
