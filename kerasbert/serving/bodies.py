"""A request's body, read within its limits."""

import asyncio
import contextlib

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

# Seconds for which the rest of a body that is too large is read and thrown away. Most clients send
# all of it before they read an answer, and see none if the connection is closed meanwhile.
_LINGER = 2.0
_CLOSE = {"Connection": "close"}


async def read_body(request: Request, most: int, seconds: float) -> bytes:
    """The body of a JSON request.

    Args:
        request: its headers are there.
        most: bytes that it may have.
        seconds: that it may take.

    Raises:
        HTTPException: 415, it is not JSON or is compressed; 413, it is larger; 408, it did not come
            in time.
        ClientDisconnect: nobody waits for an answer any more.
    """
    _check_headers(request)
    try:
        return await asyncio.wait_for(_read(request, most), seconds)
    except asyncio.TimeoutError:
        sentence = f"The body was not there after {seconds:g} s. Send it again, in one go."
        raise HTTPException(408, sentence, _CLOSE) from None


def _check_headers(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        # A page of another site could send other types without asking.
        sentence = f"Expected Content-Type: application/json. Received: {kind[:80] or 'none'}."
        raise HTTPException(415, sentence, _CLOSE)
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPException(415, "The body must not be compressed. Send it as it is.", _CLOSE)


async def _read(request: Request, most: int) -> bytes:
    announced = request.headers.get("content-length", "")
    is_too_large = announced.isdecimal() and int(announced) > most
    if is_too_large and request.headers.get("expect", "").lower() == "100-continue":
        raise _too_large(most)  # nothing of it was sent yet
    parts, size, stream = [], 0, request.stream()
    async for part in stream:
        size += len(part)
        if is_too_large or size > most:
            await _linger(stream)
            raise _too_large(most)
        parts.append(part)
    return b"".join(parts)


async def _linger(stream) -> None:
    async def read_on() -> None:
        async for _ in stream:
            pass

    with contextlib.suppress(asyncio.TimeoutError, ClientDisconnect):
        await asyncio.wait_for(read_on(), _LINGER)


def _too_large(most: int) -> HTTPException:
    sentence = f"The request is larger than {most:,} bytes, the limit. Send several requests."
    return HTTPException(413, sentence, _CLOSE)
