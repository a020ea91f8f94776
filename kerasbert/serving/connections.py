"""Connections that send nothing, or slowly, do not stay; those that end, end with an answer."""

import asyncio
import re

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

# Seconds that a connection has from its first moment, or byte, to the end of a request's headers.
HEADERS_SECONDS = 10.0
# Seconds after SIGTERM in which a connection that is idle may still bring a request, which its
# client had sent before it could know.
_LAST_SECONDS = 1.0
# Bytes of a request's headers.
_MOST_HEADERS = 64 * 1024
_UPGRADE = re.compile(rb"\r\nupgrade:", re.IGNORECASE)


class Connection(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 connection, with an end to waiting for headers."""

    _headers_due: asyncio.TimerHandle | None = None
    _num_header_bytes = 0
    _is_ending = False

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._expect_headers()

    def data_received(self, data: bytes) -> None:
        if self._is_idle and b"\r\n\r\n" in data:
            # Java's client asks with its first request for HTTP/2. A server may pass over that; the
            # parser would pass over the body.
            head, end, body = data.partition(b"\r\n\r\n")
            data = _UPGRADE.sub(b"\r\nX-Upgrade:", head) + end + body
        super().data_received(data)
        if self.timeout_keep_alive_task is None and self._is_idle:
            self._expect_headers()  # after an empty line, which ends uvicorn's own waiting
        if self._headers_due is not None:
            self._num_header_bytes += len(data)
            if self._num_header_bytes > _MOST_HEADERS:
                self._close()

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
        if self._is_idle:
            self.loop.call_later(_LAST_SECONDS, self._end_if_idle)
        else:
            self.cycle.keep_alive = False

    @property
    def _is_idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _end_if_idle(self) -> None:
        if self._is_idle:
            self.transport.close()

    def _expect_headers(self) -> None:
        if self._headers_due is None:
            self._headers_due = self.loop.call_later(HEADERS_SECONDS, self._close)

    def _forget_headers(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due, self._num_header_bytes = None, 0

    def _close(self) -> None:
        self.transport.close()
