import contextlib
import signal
import threading
from io import StringIO

import pytest
from rich.console import Console

from kerasbert.training.interruption import Interruption, interruption


@contextlib.contextmanager
def asked_by(console):
    asked = Interruption()
    with interruption(console, asked):
        yield asked


@pytest.fixture(autouse=True)
def _pythons_own_handler():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def console():
    return Console(file=StringIO(), width=40)


def test_nobody_asks(console):
    with asked_by(console) as asked:
        assert not asked.is_asked
    assert console.file.getvalue() == ""


def test_the_first_asks_and_the_second_stops_at_once(console):
    with pytest.raises(KeyboardInterrupt), asked_by(console) as asked:
        signal.raise_signal(signal.SIGINT)
        assert asked.is_asked
        signal.raise_signal(signal.SIGINT)
    assert asked.is_asked
    assert console.file.getvalue() == ("stopping after this step; Ctrl-C again stops at once\n")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("error", [None, ValueError])
def test_afterwards_a_signal_is_what_it_was(console, error):
    try:
        with asked_by(console):
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
            if error:
                raise error
    except ValueError:
        pass
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_each_training_is_asked_for_itself(console):
    with asked_by(console) as first:
        signal.raise_signal(signal.SIGINT)
    with asked_by(console) as second:
        assert (first.is_asked, second.is_asked) == (True, False)


def test_somebody_elses_handler_stays(console):
    heard = []
    signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    handler = signal.getsignal(signal.SIGINT)
    with asked_by(console) as asked:
        assert signal.getsignal(signal.SIGINT) is handler
        signal.raise_signal(signal.SIGINT)
        assert not asked.is_asked
    assert heard == [signal.SIGINT]
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_signal_that_is_ignored_stays_so(console):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with asked_by(console) as asked:
        signal.raise_signal(signal.SIGINT)
    assert not asked.is_asked
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_another_thread_hears_no_signals(console):
    found = []

    def train():
        with asked_by(console) as asked:
            found.extend((asked.is_asked, signal.getsignal(signal.SIGINT)))

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert found == [False, signal.default_int_handler]
