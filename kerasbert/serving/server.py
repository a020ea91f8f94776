"""One process that serves: a socket, uvicorn's loop, and the way in and out."""

import contextlib
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator

import uvicorn

from kerasbert.serving.app import build_app
from kerasbert.serving.connections import Connection
from kerasbert.serving.service import Service

# More than proxies and balancers keep theirs, so that it is they who close.
_KEEP_ALIVE_SECONDS = 75
# After SIGTERM, beyond the longest that a request may take.
_GRACE_SECONDS = 5


class Server:
    """A service on a socket.

    Args:
        service: it may have its model, or get it by `load_meanwhile`.
        bound: from `open_socket`.
    """

    def __init__(self, service: Service, bound: socket.socket):
        self._service, self._bound = service, bound
        self._failure: BaseException | None = None
        self._loading: threading.Thread | None = None
        config = uvicorn.Config(
            build_app(service),
            http=Connection,
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=round(service.config.timeout + _GRACE_SECONDS),
        )
        self._server = uvicorn.Server(config)

    def load_meanwhile(self, then: Callable[[], None]) -> None:
        """Load the model while `run` answers already that it is not ready; `then` follows."""

        def load() -> None:
            try:
                self._service.load()
                self._service.watch()
                then()
            except BaseException as error:  # raised by `run`, in the thread that waits
                self._failure = error
                self.stop()

        self._loading = threading.Thread(target=load, name="loading")
        self._loading.start()

    def run(self) -> None:
        """Serve until SIGTERM, SIGINT or `stop`; requests that are there by then are answered.

        Raises:
            Exception: the model could not be loaded.
            SystemExit: with 0, after SIGTERM.
            KeyboardInterrupt: after SIGINT.
        """
        try:
            with _ending_well():
                self._server.run(sockets=[self._bound])
        finally:
            if self._loading is not None:
                self._loading.join()
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """As SIGTERM does, from any thread."""
        self._server.should_exit = True


@contextlib.contextmanager
def _ending_well() -> Iterator[None]:
    """uvicorn raises the signal that ended it once more; SIGTERM is to be an exit with 0 then."""
    before = signal.signal(signal.SIGTERM, lambda signum, frame: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
