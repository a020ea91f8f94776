"""Several processes that share a sweep: Keras Tuner's chief gives out the trials, workers run them.

Which a process is, and where the chief listens, Keras Tuner reads from the environment. That a
worker is alive is told by a lock that it holds in the sweep's directory, which the system gives
back however the process ends.
"""

import _thread
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import filelock

from kerasbert.errors import InputError, TrainingError
from kerasbert.output_files import take_lock

TUNER_ID, IP, PORT = "KERASTUNER_TUNER_ID", "KERASTUNER_ORACLE_IP", "KERASTUNER_ORACLE_PORT"
_CHIEF = "chief"
# Set for workers that their chief started: its process.
_CHIEF_PROCESS = "KERASBERT_CHIEF_PROCESS"
_SECONDS = 1.0  # between two looks at the workers, or at the chief
_MOMENT = 10.0  # seconds
# The blocks of `interruptible` that are being ended.
_interrupting: set[threading.Event] = set()


def role() -> str:
    """`"chief"`, `"worker"`, or `"alone"`, as the environment says.

    Raises:
        InputError: it says a part of it only.
    """
    given = [name for name in (TUNER_ID, IP, PORT) if os.environ.get(name)]
    if IP not in given:
        return "alone"
    if len(given) < 3:
        missing = next(name for name in (TUNER_ID, IP, PORT) if name not in given)
        raise InputError(f"The environment has {IP}, and not {missing}. Set all three, or none.")
    return _CHIEF if _CHIEF in os.environ[TUNER_ID] else "worker"


def worker_name() -> str:
    """This process's name among the workers; "" where it is alone."""
    return os.environ[TUNER_ID] if role() == "worker" else ""


def chief_address() -> str:
    """Where the chief listens, as IP:PORT."""
    return f"{os.environ[IP]}:{os.environ[PORT]}"


def check_thread() -> None:
    """Refuse a thread in which `interruptible` ends nothing, as Python hears signals in one only.

    Raises:
        InputError: this is not the main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        raise InputError(
            "A sweep with `max_minutes`, and a chief or worker, must run in the main thread, where "
            f"it can be ended. Received: the thread {threading.current_thread().name!r}."
        )


class Workers:
    """The workers of a sweep, as its directory tells.

    Args:
        directory: of the sweep.
    """

    def __init__(self, directory: Path):
        self._directory = directory / "workers"

    @contextlib.contextmanager
    def present(self, name: str) -> Iterator[None]:
        """While this process is a worker.

        Raises:
            InputError: another one has the name.
            KeyboardInterrupt: it was started by a chief, which is gone.
        """
        self._directory.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(self._path(name))
        # The worker of a chief that was killed needs a moment to end.
        take_lock(lock, f"There is a worker {name!r} already. Set another {TUNER_ID}.", _MOMENT)
        try:
            with _ended_with_chief():
                yield
        finally:
            lock.release()

    def is_alive(self, name: str) -> bool:
        """Whether a worker of this name is at work."""
        if not self._path(name).is_file():
            return False
        try:
            with filelock.FileLock(self._path(name)).acquire(blocking=False):
                return False
        except filelock.Timeout:
            return True

    def log(self, name: str) -> Path:
        """Where a worker that was started from here writes what it has to say."""
        return self._directory / f"{name}.log"

    def _path(self, name: str) -> Path:
        return self._directory / f"{name}.lock"


@contextlib.contextmanager
def started_workers(
    output: Path, count: int, args: Sequence[str]
) -> Iterator[list[subprocess.Popen]]:
    """Make this process a chief for the block and start workers beside it, which end with it.

    Args:
        output: the sweep's directory.
        count: how many.
        args: of `python -m kerasbert.tune`.

    Returns:
        The processes.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    before = {name: os.environ[name] for name in (IP, PORT, TUNER_ID) if name in os.environ}
    os.environ |= {IP: "127.0.0.1", PORT: str(port), TUNER_ID: _CHIEF}
    # Else each takes all cores, and they wait for one another; and the first takes all of a GPU's
    # memory, and the others fail.
    threads = str(max(1, (os.cpu_count() or 1) // count))
    shared = {"TF_NUM_INTRAOP_THREADS": threads, "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    environment = {**shared, **os.environ, _CHIEF_PROCESS: str(os.getpid())}
    workers, processes = Workers(output), []
    try:
        workers.log("").parent.mkdir(parents=True, exist_ok=True)
        for name in (f"worker{number}" for number in range(1, count + 1)):
            with open(workers.log(name), "wb") as log:
                processes.append(
                    subprocess.Popen(
                        [sys.executable, "-m", "kerasbert.tune", *args],
                        env={**environment, TUNER_ID: name},
                        stdout=log,
                        stderr=subprocess.STDOUT,
                    )
                )
        yield processes
    finally:
        for name in (IP, PORT, TUNER_ID):  # else this process's next sweep is a chief as well
            os.environ.pop(name, None)
        os.environ |= before
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


@contextlib.contextmanager
def interruptible() -> Iterator[Callable[[], None]]:
    """Give a function that ends the block as Ctrl-C does, for another thread to call.

    It returns when the block has ended: a training that was over anyway does not hear Ctrl-C, so
    it is pressed again and again. The block is also ended in a process to which Ctrl-C says
    nothing, as a shell's script has it for what it starts with `&`. For the main thread only.
    """
    main, ended = threading.main_thread(), threading.Event()

    def interrupt() -> None:
        _interrupting.add(ended)
        while not ended.is_set():
            if hasattr(signal, "pthread_kill"):
                signal.pthread_kill(main.ident, signal.SIGINT)  # it ends a sleep as well
            else:
                _thread.interrupt_main()
            ended.wait(_MOMENT)
        _interrupting.discard(ended)

    def handle(number, frame) -> None:
        if _interrupting:  # this block, or one within it
            raise KeyboardInterrupt

    is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    is_ours = is_ignored and threading.current_thread() is main
    if is_ours:
        signal.signal(signal.SIGINT, handle)
    try:
        yield interrupt
    finally:
        ended.set()
        if is_ours:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextlib.contextmanager
def _ended_with_chief() -> Iterator[None]:
    """End the block when the chief that started this process was killed.

    Else it would ask a chief that is gone for the next trial, for an hour.
    """
    chief, done = os.environ.get(_CHIEF_PROCESS), threading.Event()
    if chief is None:
        yield
        return
    with interruptible() as interrupt:

        def look() -> None:
            while not done.wait(_SECONDS):
                if os.getppid() != int(chief):
                    interrupt()

        threading.Thread(target=look, daemon=True).start()
        try:
            yield
        finally:
            done.set()


class Watch:
    """Looks after a chief's workers, and ends the chief when there is nothing left to do.

    A trial whose worker is gone is given to another. Keras Tuner's own chief would wait for ever.

    Args:
        oracle: the chief's.
        workers: of the sweep.
        processes: those that were started from here; others may come and go.
        until: when the time is over, as `time.monotonic` has it.
        on_look: called at each look.
    """

    def __init__(self, oracle, workers: Workers, processes: list, until: float, on_look):
        self._oracle, self._workers, self._processes = oracle, workers, processes
        self._until, self._on_look = until, on_look
        self._done = threading.Event()
        self._error: Exception | None = None
        self.is_over = False

    def serve(self, search) -> None:
        """Run the chief's `search` until all trials are done, time is over, or no worker is left.

        Raises:
            InputError: the chief cannot listen where the environment says.
            TrainingError: all workers that were started from here are gone before that.
            Exception: what went wrong in a look at the workers, and ended the search.
        """
        with interruptible() as interrupt:
            thread = threading.Thread(target=self._look, args=[interrupt], daemon=True)
            thread.start()
            try:
                search()
            except KeyboardInterrupt:
                if not self.is_over:
                    raise
            except RuntimeError as error:
                if "Failed to bind" not in str(error):
                    raise
                raise InputError(
                    f"The chief cannot listen at {chief_address()}: another process does, or the "
                    f"address is another machine's. Choose another {PORT}, and pass --resume."
                ) from None
            finally:
                self._done.set()
        thread.join()
        if self._error is not None:
            raise self._error
        if self._processes and not self._oracle.is_exhausted and time.monotonic() < self._until:
            codes = ", ".join(str(process.poll()) for process in self._processes)
            raise TrainingError(
                f"All workers ended before the sweep did (exit codes {codes}). What they said is "
                f"in {self._workers.log('*')}. Mend it, and go on with --resume."
            )

    def _look(self, interrupt: Callable[[], None]) -> None:
        try:
            while not self.is_over and not self._done.wait(_SECONDS):
                self.is_over = self._look_once()
        except Exception as error:  # else the chief waits for workers that nobody looks after
            self._error, self.is_over = error, True
        if self.is_over and not self._done.is_set():
            interrupt()

    def _look_once(self) -> bool:
        """Whether there is nothing left to do."""
        for name in {*self._oracle.ongoing_trials, *self._oracle.tuner_ids}:
            if not self._workers.is_alive(name):
                self._oracle.give_back(name)
        self._on_look()
        busy = self._oracle.ongoing_trials or self._oracle.tuner_ids
        is_over = self._oracle.is_exhausted or time.monotonic() > self._until
        codes = [process.poll() for process in self._processes]
        return (is_over and not busy) or (bool(codes) and None not in codes)
