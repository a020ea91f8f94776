"""Connections that send nothing, or slowly, do not stay; those that end, end with an answer."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Seconds that a connection has from its first moment, or byte, to the end of a request's headers.
HEADERS_SECONDS = 10.0
# Seconds after SIGTERM in which a connection that is idle may still bring a request, which its
# client had sent before it could know.
_LAST_SECONDS = 0.5


class Connection(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 connection, with an end to waiting for headers."""

    _headers_due: asyncio.TimerHandle | None = None
    _is_ending = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._expect_headers()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._expect_headers()

    def on_headers_complete(self) -> None:
        self._forget_headers()
        super().on_headers_complete()
        if self._is_ending:
            self.cycle.keep_alive = False

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_headers()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        self._is_ending = True
        if self.cycle is None or self.cycle.response_complete:
            self.loop.call_later(_LAST_SECONDS, self._end_if_idle)
        else:
            self.cycle.keep_alive = False

    def _end_if_idle(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()

    def _expect_headers(self) -> None:
        if self._headers_due is None:
            self._headers_due = self.loop.call_later(HEADERS_SECONDS, self._close)

    def _forget_headers(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None

    def _close(self) -> None:
        self.transport.close()
