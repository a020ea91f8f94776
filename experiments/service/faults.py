"""What happens to each request when something breaks.

    python experiments/service/faults.py --run RUN --other OTHER_RUN --texts davidson_test.csv

Six faults, one after the other, or those of `--only`: a worker killed under load, clients that
hang, connections that send nothing, reloads under load, a full disk, SIGTERM under load. Clients
send one request after the other and never send one again. The full disk needs root, for file
systems of its own in memory.
"""

import argparse
import asyncio
import collections
import contextlib
import json
import os
import random
import re
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from servers import Client, Server, read_texts, running, serve, write_json
from soak import TOLERANCES

import kerasbert
from kerasbert.serving.served import model_version


class Truth:
    """What each of two runs says of each text, by version."""

    def __init__(self, runs: list[str], texts: list[str]):
        self.texts, self.runs = texts, runs
        self.versions = [model_version(Path(run)) for run in runs]
        classifiers = [kerasbert.load(run) for run in runs]
        self.labels = classifiers[0].labels
        self.tolerance = TOLERANCES[classifiers[0].run.running_precision]
        outputs = [classifier.predict_proba(texts) for classifier in classifiers]
        self._expected = dict(zip(self.versions, outputs, strict=True))

    def difference(self, row: int, body: bytes) -> float:
        """Of an answer's probabilities from those expected, the largest."""
        answer = json.loads(body)
        given = [answer["predictions"][0]["probabilities"][name] for name in self.labels]
        expected = self._expected[answer["model"]["version"]][row]
        return float(np.abs(expected - given).max())


class Load:
    """Clients that ask until the context ends.

    Attributes:
        outcomes: how many requests ended how.
        milliseconds: of those that were answered.
        versions: of the models that answered.
        failed_at: seconds, since the context began, at which a request was not answered.
    """

    def __init__(
        self, server: Server, truth: Truth, num_clients: int = 32, token: str | None = None
    ):
        self._server, self._truth, self._num_clients = server, truth, num_clients
        self._token = token
        self.outcomes: collections.Counter = collections.Counter()
        self.versions: collections.Counter = collections.Counter()
        self.largest_difference = 0.0
        self.milliseconds: list[float] = []
        self.failed_at: list[float] = []

    async def __aenter__(self) -> "Load":
        self._is_ending, self._started = False, time.monotonic()
        self._clients = [asyncio.create_task(self._ask(i)) for i in range(self._num_clients)]
        return self

    async def __aexit__(self, *error: object) -> None:
        self._is_ending = True
        await asyncio.gather(*self._clients)

    async def _ask(self, seed: int) -> None:
        choose, client = random.Random(seed), Client(self._server.port, self._token)
        while not self._is_ending:
            if not client.is_open:
                try:
                    await client.open()
                except ConnectionError:
                    self.outcomes["not connected"] += 1  # no request was sent
                    await asyncio.sleep(0.1)
                    continue
            await self._ask_once(client, choose.randrange(len(self._truth.texts)))
        client.close()

    async def _ask_once(self, client: Client, row: int) -> None:
        start = time.monotonic()
        try:
            status, body = await client.predict([self._truth.texts[row]])
        except ConnectionError:
            self.outcomes["closed without an answer"] += 1
            self.failed_at.append(round(start - self._started, 2))
            return
        if status != 200:
            self.outcomes[f"{status}"] += 1
            return
        self.milliseconds.append(1000 * (time.monotonic() - start))
        self.versions[json.loads(body)["model"]["version"]] += 1
        difference = self._truth.difference(row, body)
        self.largest_difference = max(self.largest_difference, difference)
        self.outcomes["right" if difference <= self._truth.tolerance else "WRONG"] += 1

    @property
    def told(self) -> dict:
        found = {"requests": dict(self.outcomes)}
        if self.milliseconds:
            found["largest difference"] = self.largest_difference
            found["p50, ms"], found["p99, ms"] = np.percentile(self.milliseconds, [50, 99]).round(1)
        if self.failed_at:
            found["failures at, s"] = [min(self.failed_at), max(self.failed_at)]
        return found


async def a_worker_killed(args, truth: Truth) -> dict:
    """kill -9 for one of two workers, which computes requests at that moment."""
    with serve(args.run, "--workers", "2") as server:
        async with Load(server, truth) as load:
            await asyncio.sleep(5)
            first = _worker_pids(server)
            killed = time.monotonic()
            os.kill(first[0], 9)
            while len(_worker_pids(server)) == len(first):
                await asyncio.sleep(0.05)
            back = time.monotonic() - killed
            at_return = dict(load.outcomes)
            await asyncio.sleep(5)
        return load.told | {
            "killed at, s": 5,
            "another worker ready after, s": round(back, 1),
            "requests by then": at_return,
            "exit code": server.stop(),
        }


def _worker_pids(server: Server) -> list[int]:
    """All workers that ever were ready."""
    return [int(pid) for pid in re.findall(r"\(process (\d+)\): [\d,]+ MB", server.log.read_text())]


async def clients_that_hang(args, truth: Truth) -> dict:
    """Half a body and nothing more; a body, and headers, of which a byte comes now and then."""

    async def hang(kind: str) -> tuple[str, object, float]:
        client = Client(server.port)
        await client.open()
        start = time.monotonic()
        body = json.dumps({"texts": ["a text of some length"]}).encode()
        head = client.head("POST", "/predict", len(body))
        sent, slow = {
            "half a body": (head + body[:20], b""),
            "a slow body": (head, body),
            "slow headers": (b"", head),
        }[kind]
        client.writer.write(sent)
        dripping = asyncio.create_task(_drip(client.writer, slow))
        try:
            result = (await client.answer())[0]
        except ConnectionError:
            result = "closed"
        dripping.cancel()
        client.close()
        return kind, result, time.monotonic() - start

    with serve(args.run, "--timeout", "3") as server:
        async with Load(server, truth, 8) as load:
            before = server.usage()
            kinds = ["half a body", "a slow body", "slow headers"] * 20
            ended = await asyncio.gather(*map(hang, kinds))
        seconds = collections.defaultdict(list)
        for kind, result, after in ended:
            seconds[f"{kind}: {result}"].append(after)
        hung = {
            kind: f"{len(found)}, after {min(found):.1f} to {max(found):.1f} s"
            for kind, found in seconds.items()
        }
        after = server.usage()
        return {"others": load.told, "hung": hung, "before": before, "after": after}


async def _drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    with contextlib.suppress(ConnectionError):
        for place in range(len(data)):
            writer.write(data[place : place + 1])
            await writer.drain()
            await asyncio.sleep(0.5)


async def connections_that_send_nothing(args, truth: Truth) -> dict:
    """1,000 of them, while others are answered."""
    with serve(args.run) as server:
        before = server.usage()
        async with Load(server, truth, 8) as load:
            start = time.monotonic()
            opening = [asyncio.open_connection("127.0.0.1", server.port) for _ in range(1000)]
            opened = await asyncio.gather(*opening)
            took = time.monotonic() - start
            await asyncio.sleep(1)
            during = server.usage()
            told = await asyncio.gather(*(reader.read() for reader, _ in opened))
            closed = time.monotonic() - start
            for _, writer in opened:
                writer.close()
        return {
            "others": load.told,
            "open after, s": round(took, 2),
            "all closed by the server after, s": round(closed, 2),
            "bytes sent to them": sum(map(len, told)),
            "files before": before["files"],
            "files during": during["files"],
            "files after": server.usage()["files"],
            "memory before and after, MB": [before["rss_mb"], server.usage()["rss_mb"]],
        }


async def reloads_under_load(args, truth: Truth) -> dict:
    """The link goes from one run to another and back; then to a broken one."""
    found = {}
    with tempfile.TemporaryDirectory() as place:
        link = Path(place) / "current"
        broken = Path(place) / "broken"
        shutil.copytree(args.other, broken)
        _flip_a_byte(broken / "model.weights.h5")
        _point(link, args.run)
        with serve(str(link), "--watch", "0", "--token", "secret") as server:
            async with Load(server, truth, token="secret") as load:
                client, answers = Client(server.port, "secret"), []
                for run in [args.other, args.run] * 3:
                    await asyncio.sleep(2)
                    _point(link, run)
                    status, body = await client.ask("POST", "/reload")
                    answers.append([status, json.loads(body)["model"]["version"]])
                _point(link, broken)
                status, body = await client.ask("POST", "/reload")
                refused = [status, json.loads(body)["detail"].replace(place, "DIR")]
                await asyncio.sleep(2)
                client.close()
            found["POST /reload"] = load.told | {
                "versions": dict(load.versions),
                "answers": answers,
                "a broken run": refused,
            }
        _point(link, args.run)
        with serve(str(link), "--watch", "0.5") as server:
            async with Load(server, truth) as load:
                for run in (args.other, args.run, broken):
                    await asyncio.sleep(2)
                    _point(link, run)
                    await asyncio.sleep(8)
            log = [line[20:].replace(place, "DIR") for line in server.log.read_text().splitlines()]
            found["a changed link"] = load.told | {"versions": dict(load.versions), "log": log}
    return found


def _flip_a_byte(path: Path) -> None:
    with open(path, "r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def _point(link: Path, run: object) -> None:
    new = link.with_name("new")
    new.symlink_to(Path(str(run)).resolve())
    new.replace(link)


async def a_full_disk(args, truth: Truth) -> dict:
    """Nothing left where the run, temporary files and the log are, nor in shared memory."""
    found = {}
    for workers in (1, 2):
        with _on_small_disks(args.run, workers) as server:
            async with Load(server, truth, 8) as load:
                await asyncio.sleep(3)
                before = dict(load.outcomes)
                left = [_fill(Path(f"/proc/{server.process.pid}/root{d}")) for d in _SMALL_DISKS]
                await asyncio.sleep(10)
                refused, _ = await Client(server.port).ask("GET", "/predict")
                metrics, _ = await Client(server.port).ask("GET", "/metrics")
                docs, _ = await Client(server.port).ask("GET", "/docs")
            found[f"{workers} workers"] = load.told | {
                "before": before,
                "bytes left": left,
                "GET /predict, /metrics, /docs": [refused, metrics, docs],
                "exit code": server.stop(),
            }
    return found


_SMALL_DISKS = ("/mnt", "/dev/shm")


def _on_small_disks(run: str, workers: int):
    """A server with a file system of its own for all that it may write to."""
    size = sum(file.stat().st_size for file in Path(run).rglob("*")) // 2**20 + 8
    script = (
        f"mount -t tmpfs -o size={size}m tmpfs /mnt && mount -t tmpfs -o size=4m tmpfs /dev/shm "
        f'&& cp -r "$1" /mnt/run && mkdir /mnt/tmp && exec "$2" -m kerasbert.serve /mnt/run '
        f"--port 0 --workers {workers} --log-requests 2> /mnt/log"
    )
    command = ["unshare", "-m", "sh", "-c", script, "-", run, sys.executable]
    return running(command, {"TMPDIR": "/mnt/tmp"})


def _fill(directory: Path) -> int:
    """Write until nothing more can be; how many bytes are left."""
    with open(directory / "full", "wb", buffering=0) as file:
        for size in (2**16, 2**12, 1):
            with contextlib.suppress(OSError):
                while file.write(b"x" * size):
                    pass
    return shutil.disk_usage(directory).free


async def sigterm_under_load(args, truth: Truth) -> dict:
    """Requests that are being computed are answered; those that come later are not taken."""
    found = {}
    for workers in (1, 2):
        with serve(args.run, "--workers", workers) as server:
            load = Load(server, truth)
            async with load:
                await asyncio.sleep(4)
                start = time.monotonic()
                server.process.terminate()
                code = await asyncio.to_thread(server.process.wait, 60)
                seconds = time.monotonic() - start
                await asyncio.sleep(0.5)
            found[f"{workers} workers"] = load.told | {
                "SIGTERM at, s": 4,
                "exit code": code,
                "ended after, s": round(seconds, 2),
            }
    return found


FAULTS = {
    "worker": a_worker_killed,
    "hang": clients_that_hang,
    "silent": connections_that_send_nothing,
    "reload": reloads_under_load,
    "disk": a_full_disk,
    "sigterm": sigterm_under_load,
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", required=True)
    parser.add_argument("--other", required=True, help="with the same labels")
    parser.add_argument("--texts", required=True)
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=list(FAULTS))
    parser.add_argument("--out", default="faults.json")
    args = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    truth = Truth([args.run, args.other], read_texts(args.texts)[:2000])
    found = {}
    for name in args.only:
        found[name] = asyncio.run(FAULTS[name](args, truth))
        print(
            f"\n## {name}: {FAULTS[name].__doc__}\n{json.dumps(found[name], indent=1)}", flush=True
        )
        write_json(args.out, found)


if __name__ == "__main__":
    main()
