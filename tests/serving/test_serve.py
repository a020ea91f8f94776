"""The command: processes, signals, sockets."""

import asyncio
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest
import uvicorn

from kerasbert import serve
from kerasbert.serving import connections
from tests.conftest import check_refused

SECONDS = 60


@contextlib.contextmanager
def process(*args, env=None):
    """A serving process, and its port once it is ready."""
    command = [sys.executable, "-m", "kerasbert.serve", *map(str, args), "--port", "0"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    started = subprocess.Popen(command, env=os.environ | (env or {}), **pipes)
    try:
        line = started.stdout.readline()
        assert line.startswith("serving "), started.communicate()[1]
        started.port = int(re.search(r":(\d+)$", line)[1])
        yield started
    finally:
        if started.poll() is None:
            started.kill()
        started.communicate()


def ask(port, texts=("you fool",), path="/predict", headers=None):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    body = json.dumps({"texts": list(texts)})
    headers = {"Content-Type": "application/json"} | (headers or {})
    connection.request("GET" if path == "/metrics" else "POST", path, body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_one_process(saved_run):
    token = {"KERASBERT_TOKEN": "s3cret"}
    with process(saved_run(), "--timeout", 3, "--log-requests", env=token) as server:
        port = server.port
        assert ask(port)[0] == 401
        headers = {"Authorization": "Bearer s3cret"}
        assert ask(port, headers=headers)[0] == 200
        # A client that hangs in the middle of its body, while others are answered.
        hanging = socket.create_connection(("127.0.0.1", port))
        head = "POST /predict HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s3cret\r\n"
        head += "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n"
        hanging.sendall(f'{head}{{"texts"'.encode())
        assert ask(port, headers=headers)[0] == 200
        hanging.settimeout(SECONDS)
        assert hanging.recv(100).startswith(b"HTTP/1.1 408")
        # A first request of Java's client, and a client that goes away before its answer.
        java = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        upgrade = "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAA\r\n"
        body = b'{"texts": ["you fool"]}'
        java.sendall(head.replace("100\r\n", f"{len(body)}\r\n{upgrade}").encode() + body)
        assert java.recv(100).startswith(b"HTTP/1.1 200")
        # SIGTERM while a body is on its way, and a kept connection is idle: both are answered.
        late = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        late.sendall(head.replace("100", str(len(body))).encode() + body[:5])
        kept = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        kept.request("GET", "/healthz")
        assert kept.getresponse().read()
        server.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        kept.request("GET", "/healthz")
        assert kept.getresponse().status == 200
        late.sendall(body[5:])
        assert late.recv(100).startswith(b"HTTP/1.1 200")
        _, said = server.communicate(timeout=SECONDS)
        assert server.returncode == 0
        assert "s3cret" not in said
        assert "fool" not in said
        assert '"status": 401' in said


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_workers(saved_run, tmp_path):
    """One that dies is replaced, all follow one that is told to reload, and they end together."""
    current = tmp_path / "current"
    current.symlink_to(saved_run())
    token, headers = {"KERASBERT_TOKEN": "s3cret"}, {"Authorization": "Bearer s3cret"}
    with process(current, "--workers", 2, "--watch", 0, env=token) as server:
        supervisor = psutil.Process(server.pid)
        (fork_server,) = [
            child for child in supervisor.children() if "forkserver" in " ".join(child.cmdline())
        ]
        workers = fork_server.children()
        assert len(workers) == 2
        first = ask(server.port, headers=headers)[1]
        answers = json.loads(first)["predictions"]
        workers[0].kill()
        until = time.monotonic() + SECONDS
        while len(fork_server.children()) < 2 or workers[0].is_running():
            assert time.monotonic() < until
            time.sleep(0.05)
        for _ in range(10):  # by whichever is alive
            status, body = ask(server.port, headers=headers)
            assert status == 200
            assert json.loads(body)["predictions"] == answers
        # Counted by one and by the other, and told by either.
        text = ask(server.port, path="/metrics", headers=headers)[1].decode()
        counts = re.findall(r'requests_total\{path="/predict",status="200"\} ([\d.]+)', text)
        assert [float(count) for count in counts] == [11.0]
        current.unlink()
        current.symlink_to(saved_run("multilabel"))
        assert ask(server.port, path="/reload", headers=headers)[0] == 200
        until = time.monotonic() + SECONDS
        others = 0
        while others < 10:  # in a row, by whichever is asked
            name = json.loads(ask(server.port, headers=headers)[1])["model"]["name"]
            others = others + 1 if name == "toy-multilabel" else 0
            assert time.monotonic() < until
        server.send_signal(signal.SIGTERM)
        _, said = server.communicate(timeout=SECONDS)
        assert server.returncode == 0
        assert "ended with -9" in said
        assert "MB shared" in said
        assert not fork_server.is_running() or fork_server.status() == psutil.STATUS_ZOMBIE


def test_a_run_that_cannot_be_loaded_is_a_sentence(saved_run, tmp_path, command, monkeypatch):
    check_refused(command(serve, tmp_path / "nothing"), "There is no run")
    check_refused(command(serve, tmp_path), "is no run")
    monkeypatch.setitem(sys.modules, "fastapi_offline", None)
    check_refused(command(serve, saved_run()), "kerasbert[serve]")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--port", "70000"), "`port` must be 0 to 65,535"),
        (("--workers", "0"), "`workers` must be"),
        (("--workers", "10000"), "number of cores"),
        (("--timeout", "0"), "`timeout` must be"),
        (("--token", "two words"), "`token` must be"),
        (("--log-request",), "Unrecognized options: --log-request. Did you mean --log-requests?"),
    ],
)
def test_wrong_settings_are_a_sentence(saved_run, command, flags, said):
    check_refused(command(serve, saved_run(), *flags), said)


def test_a_port_that_is_taken_is_a_sentence(saved_run, command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        check_refused(command(serve, saved_run(), "--port", port), f"127.0.0.1:{port} cannot be")


def test_reached_by_all_without_a_token_it_warns(saved_run, command):
    with socket.create_server(("0.0.0.0", 0)) as taken:
        code, _, err = command(
            serve, saved_run(), "--host", "0.0.0.0", "--port", taken.getsockname()[1]
        )
    assert code == 2
    assert err.startswith("warning: whoever reaches 0.0.0.0 can ask this service.")


def test_connections_that_send_nothing_are_closed(monkeypatch):
    monkeypatch.setattr(connections, "HEADERS_SECONDS", 0.2)

    async def app(scope, receive, send):
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    async def try_it():
        config = uvicorn.Config(app, port=0, http=connections.Connection, lifespan="off")
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        silent = await asyncio.open_connection("127.0.0.1", port)
        slow = await asyncio.open_connection("127.0.0.1", port)
        slow[1].write(b"GET / HTTP/1.1\r\nHost:")
        stray, huge = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        stray[1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"204" in await stray[0].readuntil(b"\r\n\r\n")
        stray[1].write(b"\r\n")
        huge[1].write(b"GET / HTTP/1.1\r\nHost: x\r\nX: " + bytes([97]) * 200_000)
        kept = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(3):
            kept[1].write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert b"204" in await kept[0].readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.15)
        assert await asyncio.wait_for(silent[0].read(), 1) == b""
        assert await asyncio.wait_for(slow[0].read(), 1) == b""
        assert await asyncio.wait_for(stray[0].read(), 1) == b""
        with contextlib.suppress(ConnectionError):  # as some of it was not read
            assert await asyncio.wait_for(huge[0].read(), 1) == b""
        for _, writer in (silent, slow, stray, huge, kept):
            writer.close()
        server.should_exit = True
        await serving

    with ThreadPoolExecutor(1) as threads:  # where uvicorn leaves signals alone
        threads.submit(asyncio.run, try_it()).result()
