"""Servers that the scripts beside this one start, and a client that may also misbehave."""

import asyncio
import contextlib
import csv
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

HERE = Path(__file__).parent
_START_SECONDS = 120


class Server:
    """A server in a process of its own.

    Attributes:
        process: of it; its workers, if it has any, are this one's children.
        port: on 127.0.0.1.
        log: what it wrote to standard error.
    """

    def __init__(self, command: list[str], environment: dict[str, str], port: int | None = None):
        self._errors = tempfile.NamedTemporaryFile("w+", suffix=".log")
        self.log = Path(self._errors.name)
        self.process = subprocess.Popen(
            command,
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.port = self._announced_port() if port is None else port
        self._wait_for_port()

    def _announced_port(self) -> int:
        line = self.process.stdout.readline()
        if not line.startswith("serving "):
            raise SystemExit(f"The server did not start: {line}{self.log.read_text()}")
        return int(line.rsplit(":", 1)[1])

    def _wait_for_port(self) -> None:
        until = time.monotonic() + _START_SECONDS
        while time.monotonic() < until and self.process.poll() is None:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            time.sleep(0.2)
        raise SystemExit(f"The server did not start: {self.log.read_text()}")

    def usage(self) -> dict[str, float]:
        """Memory in MB, threads and open files of the process, without children."""
        process = psutil.Process(self.process.pid)
        with process.oneshot():
            return {
                "rss_mb": process.memory_info().rss / 1e6,
                "threads": process.num_threads(),
                "files": process.num_fds(),
            }

    def wait_until_idle(self) -> None:
        """Return once the process and its children compute nothing any more."""
        process = psutil.Process(self.process.pid)
        processes = [process, *process.children(recursive=True)]
        before = float("-inf")
        while (now := sum(sum(one.cpu_times()[:2]) for one in processes)) > before + 0.02:
            before = now
            time.sleep(0.25)

    def stop(self) -> int:
        """Send SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def kill(self) -> None:
        for process in [*psutil.Process(self.process.pid).children(recursive=True), self.process]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait()


@contextlib.contextmanager
def running(*arguments) -> Iterator[Server]:
    """A server as a context, gone when that ends."""
    server = Server(*arguments)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()


def serve(run: str, *options: object, environment: dict[str, str] | None = None):
    """`python -m kerasbert.serve` as a context, gone when that ends."""
    command = [sys.executable, "-m", "kerasbert.serve", run, "--port", "0", *map(str, options)]
    return running(command, environment or {})


def plain(script: str, run: str, *options: object, environment: dict[str, str] | None = None):
    """One of the servers beside this file as a context."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    command = [sys.executable, str(HERE / script), run, "--port", str(port), *map(str, options)]
    return running(command, environment or {}, port)


class Client:
    """One kept connection, HTTP/1.1, that sends whatever bytes it is told to."""

    def __init__(self, port: int, token: str | None = None):
        self._port, self._token = port, token
        self._reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        self._reader, self.writer = await asyncio.open_connection("127.0.0.1", self._port)

    @property
    def is_open(self) -> bool:
        return self.writer is not None

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
        self._reader = self.writer = None

    def head(
        self, method: str, path: str, length: int, kind: str = "application/json", more: str = ""
    ) -> bytes:
        """A request's first lines."""
        if self._token:
            more += f"Authorization: Bearer {self._token}\r\n"
        return (
            f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
            f"Content-Length: {length}\r\n{more}\r\n"
        ).encode()

    async def ask(self, method: str, path: str, body: bytes = b"", **head) -> tuple[int, bytes]:
        """The status and body of an answer."""
        return await self.send(self.head(method, path, len(body), **head) + body)

    async def predict(self, texts: list[str]) -> tuple[int, bytes]:
        return await self.ask("POST", "/predict", json.dumps({"texts": texts}).encode())

    async def send(self, data: bytes) -> tuple[int, bytes]:
        """Send bytes, which the server may refuse before it has read all, and read an answer."""
        if not self.is_open:
            await self.open()
        try:
            self.writer.write(data)
            with contextlib.suppress(ConnectionError):
                await self.writer.drain()
            return await self.answer()
        except BaseException:
            self.close()
            raise

    async def answer(self) -> tuple[int, bytes]:
        """Read an answer; closes where the server does.

        Raises:
            ConnectionError: there is none.
        """
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").lower().split("\r\n")
            fields = dict(line.split(": ", 1) for line in lines if line)
            length = int(fields.get("content-length", 0))
            body = await self._reader.readexactly(length)
        except asyncio.IncompleteReadError as error:
            raise ConnectionError("closed without an answer") from error
        if fields.get("connection") == "close":
            self.close()
        return int(first.split()[1]), body


def read_texts(path: str) -> list[str]:
    """The column `text` of a CSV, in its order."""
    with open(path, encoding="utf-8", newline="") as file:
        return [row["text"] for row in csv.DictReader(file)]


def write_json(path: str, found: object) -> None:
    Path(path).write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def as_markdown(rows: list[dict]) -> str:
    """A table of dicts with the same keys."""
    cells = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in cells)
