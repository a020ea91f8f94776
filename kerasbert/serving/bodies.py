"""A request's body, read within its limits."""

import asyncio
import contextlib

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

# Seconds for which the rest of a body that is too large is read and thrown away. Most clients send
# all of it before they read an answer, and see none if the connection is closed meanwhile.
_LINGER = 2.0
# Bytes of all bodies that are being read.
_MOST_AT_ONCE = 64 * 2**20
_CLOSE = {"Connection": "close"}


class BodyReader:
    """Reads the bodies of JSON requests, of which many may come at the same time.

    Args:
        most: bytes that one may have.
        seconds: that one may take.
    """

    def __init__(self, most: int, seconds: float):
        self._most, self._seconds = most, seconds
        self._num_bytes = 0  # of all that are being read

    async def read(self, request: Request) -> bytes:
        """The body of a request, whose headers are there.

        Raises:
            HTTPException: 415, it is not JSON or is compressed; 413, it is larger than it may be;
                408, it did not come in time; 503, too much is being read.
            ClientDisconnect: nobody waits for an answer any more.
        """
        _check_headers(request)
        try:
            return await asyncio.wait_for(self._read(request), self._seconds)
        except asyncio.TimeoutError:
            sentence = f"The body was not there after {self._seconds:g} s. Send it in one go."
            raise HTTPException(408, sentence, _CLOSE) from None

    async def _read(self, request: Request) -> bytes:
        announced = request.headers.get("content-length", "")
        is_too_large = announced.isdecimal() and int(announced) > self._most
        if is_too_large and request.headers.get("expect", "").lower() == "100-continue":
            raise self._too_large()  # nothing of it was sent yet
        parts, size, stream = [], 0, request.stream()
        try:
            async for part in stream:
                if is_too_large or size + len(part) > self._most:
                    parts.clear()
                    await _linger(stream)
                    raise self._too_large()
                size += len(part)
                self._num_bytes += len(part)
                if self._num_bytes > max(_MOST_AT_ONCE, self._most):
                    sentence = "Too many large requests are being sent. Send this one later."
                    raise HTTPException(503, sentence, _CLOSE | {"Retry-After": "1"})
                parts.append(part)
        finally:
            self._num_bytes -= size
        return b"".join(parts)

    def _too_large(self) -> HTTPException:
        most = f"{self._most:,}"
        sentence = f"The request is larger than {most} bytes, the limit. Send several requests."
        return HTTPException(413, sentence, _CLOSE)


def _check_headers(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # A page of another site could send other types without asking.
        sentence = f"Expected Content-Type: application/json. Received: {kind[:80] or 'none'}."
        raise HTTPException(415, sentence, _CLOSE)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPException(415, "The body must not be compressed. Send it as it is.", _CLOSE)


async def _linger(stream) -> None:
    async def read_on() -> None:
        async for _ in stream:
            pass

    with contextlib.suppress(asyncio.TimeoutError, ClientDisconnect):
        await asyncio.wait_for(read_on(), _LINGER)
