"""Several processes that serve at one port, each on cores of its own.

They are forked from one process that has loaded the libraries and nothing else, so that those are
in memory once, and the one that takes a dead worker's place is there soon. Each is bound to the
port by itself: the system shares connections out among those that are alive.
"""

import contextlib
import dataclasses
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from multiprocessing import connection
from pathlib import Path
from typing import Any

from kerasbert import _runtime
from kerasbert.config_serve import ServiceConfig
from kerasbert.errors import InputError, TrainingError
from kerasbert.serving.logs import log, log_to_stderr
from kerasbert.serving.sockets import open_socket, raise_file_limit, url_of

# What workers are forked from.
_PRELOADED = "kerasbert.serving.preloaded"
# A worker that dies so often before it is ready will not be better the next time.
_MOST_FAILURES = 3
_RESTART_SECONDS = 1.0
# Where prometheus_client, when it is imported, learns that there are several processes.
_SHARED = "PROMETHEUS_MULTIPROC_DIR"
# What it takes for each of its files, as long as there are not thousands of labels.
_METRICS_BYTES = 2**20


@dataclasses.dataclass(frozen=True)
class _Task:
    """What a worker is to do."""

    number: int
    run: str
    service: ServiceConfig
    host: str
    port: int
    cores: tuple[int, ...]


@dataclasses.dataclass(eq=False)
class _Worker:
    task: _Task
    process: Any
    pipe: connection.Connection
    is_ready: bool = False


class _Stop(Exception):
    """SIGTERM came."""


def supervise(run: str, service: ServiceConfig, host: str, port: int, num_workers: int) -> None:
    """Serve by several processes until SIGTERM or SIGINT.

    Raises:
        InputError, OSError: the run cannot be loaded, or the port not be served.
        TrainingError: workers die before they are ready.
        SystemExit: with 0, after SIGTERM.
    """
    # Alone first, as a port that others share could be that of another service.
    with open_socket(host, port) as alone:
        port = alone.getsockname()[1]
    # Keeps the port, without listening, while there is no worker.
    keeper = open_socket(host, port, is_shared=True)
    log_to_stderr()
    signal.signal(signal.SIGTERM, _raise_stop)
    groups = _core_groups(num_workers)
    with _shared_directory(), _Team() as team:
        try:
            for number, cores in enumerate(groups, start=1):
                team.start(_Task(number, run, service, host, port, cores))
            team.look_after(lambda: print(f"serving {run} at {url_of(keeper)}", flush=True))
        except _Stop:
            team.stop()
            sys.exit(0)


class _Team:
    """The workers that are alive."""

    def __init__(self):
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload([_PRELOADED])
        self._workers: list[_Worker] = []
        self._num_failures = 0

    def __enter__(self) -> "_Team":
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def start(self, task: _Task) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=_work, args=(task, theirs), name=f"worker-{task.number}"
        )
        process.start()
        theirs.close()
        self._workers.append(_Worker(task, process, ours))

    def stop(self) -> None:
        """Ask all to answer what they have, and wait until they did."""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # they have heard it
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join()
        self._workers = []

    def look_after(self, when_ready) -> None:
        """Pass on what workers say, and start those anew that die."""
        is_announced = False
        while True:
            pipes = {worker.pipe: worker for worker in self._workers}
            for pipe in connection.wait(list(pipes)):
                try:
                    kind, told = pipe.recv()
                except EOFError:
                    self._replace(pipes[pipe])
                    continue
                self._hear(pipes[pipe], kind, told)
            if not is_announced and all(worker.is_ready for worker in self._workers):
                is_announced = True
                when_ready()

    def _hear(self, worker: _Worker, kind: str, told: Any) -> None:
        if kind == "refused":
            if not self._is_any_ready:
                raise InputError(told)
            log.error("worker %d: %s", worker.task.number, told)
        if kind == "ready":
            worker.is_ready, self._num_failures = True, 0
            log.info("worker %d (process %d): %s", worker.task.number, worker.process.pid, told)
        if kind == "reload":
            for other in self._workers:
                if other is not worker:
                    with contextlib.suppress(OSError):  # it is dying
                        other.pipe.send("reload")

    def _replace(self, worker: _Worker) -> None:
        worker.process.join()
        self._workers.remove(worker)
        code, number = worker.process.exitcode, worker.task.number
        log.error("worker %d (process %d) ended with %s", number, worker.process.pid, code)
        _forget_metrics(worker.process.pid)
        if not worker.is_ready:
            self._num_failures += 1
            if self._num_failures >= _MOST_FAILURES and not self._is_any_ready:
                raise TrainingError(
                    f"Workers end before they are ready, the last with exit code {code}. What they "
                    "said stands above; -9 may mean too little memory: try fewer --workers."
                )
            time.sleep(_RESTART_SECONDS)
        self.start(worker.task)

    @property
    def _is_any_ready(self) -> bool:
        """Whether one answers, which is not to be ended for what others lack."""
        return any(worker.is_ready for worker in self._workers)


def _work(task: _Task, pipe: connection.Connection) -> None:
    """A worker's life; Ctrl-C, which all processes hear, ends it by the supervisor."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with contextlib.suppress(KeyboardInterrupt):
        _serve(task, pipe)


def _serve(task: _Task, pipe: connection.Connection) -> None:
    log_to_stderr(f"worker {task.number}: ")
    raise_file_limit()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, task.cores)
    _runtime.halve_threads()
    _reserve_metrics()
    from kerasbert.serving.server import Server
    from kerasbert.serving.service import Service

    service = Service(task.run, task.service)
    try:
        service.load()
    except (InputError, OSError) as error:
        pipe.send(("refused", str(error)))
        return
    service.watch()
    service.on_reload = lambda: pipe.send(("reload", None))
    bound = open_socket(task.host, task.port, is_shared=True)
    # Before it is said that the worker is ready: who connects then is shared out among all.
    bound.listen()
    server = Server(service, bound)
    threading.Thread(target=_listen, args=(pipe, service, server), daemon=True).start()
    pipe.send(("ready", _memory()))
    server.run()


def _listen(pipe: connection.Connection, service: Any, server: Any) -> None:
    """Do what the supervisor says; without it, end."""
    while True:
        try:
            pipe.recv()
        except (EOFError, OSError):
            shutil.rmtree(os.environ.get(_SHARED, ""), ignore_errors=True)  # as nobody else will
            server.stop()
            return
        service.load_or_keep()


def _memory() -> str:
    """What a process takes, as a sentence."""
    import psutil

    used = psutil.Process().memory_full_info()
    if not hasattr(used, "pss"):
        return f"{used.rss / 1e6:,.0f} MB"
    return f"{used.uss / 1e6:,.0f} MB of its own, {(used.rss - used.uss) / 1e6:,.0f} MB shared"


def _core_groups(num_groups: int) -> list[tuple[int, ...]]:
    """The cores that this process may use, shared out."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return [tuple(cores[number::num_groups]) for number in range(num_groups)]


@contextlib.contextmanager
def _shared_directory() -> Iterator[Path]:
    """A directory in memory, where there is one, in which workers count their requests."""
    memory = Path("/dev/shm")
    parent = memory if os.access(memory, os.W_OK) else None
    directory = Path(tempfile.mkdtemp(prefix="kerasbert-serve-", dir=parent))
    os.environ[_SHARED] = str(directory)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _reserve_metrics() -> None:
    """Make the files of this process's counts, whole, before prometheus_client maps them.

    It makes them without room on the disk, and a process that writes to such a file when the disk
    is full is killed.
    """
    directory = Path(os.environ[_SHARED])
    kinds = ("counter", "histogram", "gauge_livesum", "gauge_liveall", "gauge_livemax")
    paths = [directory / f"{kind}_{os.getpid()}.db" for kind in kinds]
    try:
        for path in paths:
            path.write_bytes(bytes(_METRICS_BYTES))
    except OSError as error:
        for path in paths:
            path.unlink(missing_ok=True)
        del os.environ[_SHARED]
        log.error("%s: %s. /metrics tells of one process alone", directory, error.strerror)


def _forget_metrics(pid: int) -> None:
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(pid)


def _raise_stop(signum: int, frame: object) -> None:
    raise _Stop
