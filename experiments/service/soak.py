"""Many requests, a tenth of them malformed; each answer is compared with `predict_proba`.

    python experiments/service/soak.py --run RUN --texts davidson_test.csv --requests 100000

Counts answers by status, wrong answers and failures, and looks at the server's memory, threads and
open files while it goes on. Exits with 1 if an answer was wrong, or 500, or not there.
"""

import argparse
import asyncio
import collections
import contextlib
import json
import random
import sys
import time

import malformed
import numpy as np
from servers import Client, Server, as_markdown, read_texts, serve, write_json

import kerasbert

# bfloat16 rounds otherwise in batches of another form: `predict_proba` of a text alone and among
# 2,000 tweets differ by up to 0.0035.
TOLERANCES = {"float32": 1e-5, "bfloat16": 0.005}
NUM_CLIENTS = 32
# Texts of a request, and how often.
SIZES, SHARES = (1, 2, 3, 4, 8, 16), (90, 3, 2, 2, 2, 1)
_LOOK_SECONDS = 5


class Soak:
    """The requests, and what came of them."""

    def __init__(self, server: Server, texts: list[str], classifier: kerasbert.Classifier):
        self._server, self._texts, self._labels = server, texts, classifier.labels
        self._expected = classifier.predict_proba(texts)
        self._decode = classifier.run.labels.decode
        self._tolerance = TOLERANCES[classifier.run.running_precision]
        self.statuses: collections.Counter = collections.Counter()
        self.differences: list[float] = []
        self.wrong: list[str] = []
        self.looks: list[dict] = []
        self.num_done = self.num_disconnected = self.num_lost = 0

    async def run(self, num_requests: int, seed: int) -> None:
        left = iter(range(num_requests))
        looking = asyncio.create_task(self._look())
        await asyncio.gather(*(self._client(left, seed + i) for i in range(NUM_CLIENTS)))
        looking.cancel()
        self._note()

    async def _client(self, left, seed: int) -> None:
        choose, client = random.Random(seed), Client(self._server.port)
        bodies = malformed.bodies(seed, sys.maxsize)
        for _ in left:
            if choose.random() < 0.1:
                await self._ask_badly(client, choose, bodies)
            else:
                await self._ask_well(client, choose)
            self.num_done += 1
        client.close()

    async def _ask_well(self, client: Client, choose: random.Random) -> None:
        (size,) = choose.choices(SIZES, SHARES)
        rows = [choose.randrange(len(self._texts)) for _ in range(size)]
        try:
            status, body = await client.predict([self._texts[row] for row in rows])
        except ConnectionError as error:
            self.num_lost += 1
            self.wrong.append(f"{rows}: {error!r}")
            return
        self.statuses[f"well-formed: {status}"] += 1
        if status != 200:
            self.wrong.append(f"{rows}: {status} {body[:200]!r}")
            return
        found = json.loads(body)["predictions"]
        given = np.array([[one["probabilities"][name] for name in self._labels] for one in found])
        difference = np.abs(given - self._expected[rows]).max() if len(found) == size else np.inf
        self.differences.append(float(difference))
        decided = [one["labels"] for one in found]
        # What the given probabilities mean, decided here.
        names = self._decode(given.astype(np.float32))
        wanted = [one if isinstance(one, list) else [one] if one else [] for one in names]
        if difference > self._tolerance or decided != wanted:
            self.wrong.append(f"{rows}: off by {difference:.2g}, {decided}")

    async def _ask_badly(self, client: Client, choose: random.Random, bodies) -> None:
        kind = choose.choices(("body", "http", "leave", "garbage"), (85, 7, 5, 3))[0]
        try:
            if kind == "leave":
                return await self._leave(choose)
            if kind == "garbage":
                return await self._send_garbage(choose)
            if kind == "http":
                request, wanted = _bad_http(client, choose)
            else:
                request, wanted = next(bodies)
                request = client.head("POST", "/predict", len(request)) + request
            status, body = await client.send(request)
        except ConnectionError as error:
            self.num_lost += 1
            self.wrong.append(f"malformed {kind}: {error!r}")
            return
        self.statuses[f"malformed {kind}: {status}"] += 1
        if status not in wanted or not json.loads(body).get("detail"):
            self.wrong.append(f"malformed {kind}: {status} {body[:200]!r}: {request[:300]!r}")

    async def _leave(self, choose: random.Random) -> None:
        """A connection that is closed in the middle of a body, or while its answer is computed."""
        client = Client(self._server.port)
        await client.open()
        body = json.dumps({"texts": [choose.choice(self._texts)]}).encode()
        request = client.head("POST", "/predict", len(body)) + body
        client.writer.write(request[: choose.choice([len(request), len(request) - 5])])
        await client.writer.drain()
        client.close()
        self.num_disconnected += 1

    async def _send_garbage(self, choose: random.Random) -> None:
        client = Client(self._server.port)
        try:
            status, _ = await client.send(b"\x16\x03" + choose.randbytes(50) + b"\r\n\r\n")
        except ConnectionError:
            status = "closed"
        self.statuses[f"no HTTP: {status}"] += 1
        client.close()

    async def _look(self) -> None:
        while True:
            self._note()
            await asyncio.sleep(_LOOK_SECONDS)

    def _note(self) -> None:
        usage = self._server.usage()
        self.looks.append({"requests": self.num_done, "at": time.monotonic()} | usage)


def _bad_http(client: Client, choose: random.Random) -> tuple[bytes, set[int]]:
    body = b'{"texts": ["a"]}'
    size = len(body)
    too_large = b'{"texts": ["' + b"a" * (4 * 2**20) + b'"]}'
    return choose.choice(
        [
            (client.head("POST", "/predict", size, kind="text/plain") + body, {415}),
            (client.head("POST", "/predict", size, kind="") + body, {415}),
            (
                client.head("POST", "/predict", size, more="Content-Encoding: gzip\r\n") + body,
                {415},
            ),
            (client.head("PUT", "/predict", size) + body, {405}),
            (client.head("GET", "/predict", 0), {405}),
            (client.head("POST", "/predictions", size) + body, {404}),
            (client.head("POST", "/../../etc/passwd", size) + body, {404}),
            (client.head("POST", "/reload", 0), {404}),
            (client.head("DELETE", "/labels", 0), {405}),
            (client.head("POST", "/predict", len(too_large)) + too_large, {413}),
        ]
    )


def at_share(looks: list[dict], share: float) -> dict:
    """The first look with so many of the requests done."""
    wanted = share * looks[-1]["requests"]
    return next(look for look in looks if look["requests"] >= wanted)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", required=True)
    parser.add_argument("--texts", required=True)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="soak.json")
    args = parser.parse_args()
    classifier = kerasbert.load(args.run, args.precision)
    odd = malformed.odd_texts()
    texts = [text for text in read_texts(args.texts) if len(text) <= 20_000] + odd * 2
    with serve(args.run, "--precision", args.precision) as server:
        soak = Soak(server, texts, classifier)
        started = time.monotonic()
        asyncio.run(soak.run(args.requests, args.seed))
        seconds = time.monotonic() - started
        with contextlib.suppress(ProcessLookupError):
            code = server.stop()
        log = server.log.read_text()
    found = {
        "requests": args.requests,
        "seconds": seconds,
        "precision": classifier.run.running_precision,
        "statuses": dict(sorted(soak.statuses.items())),
        "disconnected": soak.num_disconnected,
        "lost": soak.num_lost,
        "wrong": len(soak.wrong),
        "first wrong": soak.wrong[:20],
        "largest difference": max(soak.differences),
        "99.9 % of differences below": float(np.quantile(soak.differences, 0.999)),
        "exit code": code,
        "tracebacks": log.count("Traceback"),
        "log": log[-4000:],
        "looks": soak.looks,
    }
    write_json(args.out, found)
    rows = []
    for share in (0.0, 0.1, 0.25, 0.5, 0.75, 1.0):
        look = at_share(soak.looks, share)
        rows.append({"requests": f"{look['requests']:,}", "memory, MB": f"{look['rss_mb']:.0f}"})
        rows[-1] |= {"threads": look["threads"], "open files": look["files"]}
    print(as_markdown([{"answer": key, "requests": n} for key, n in found["statuses"].items()]))
    print("\n" + as_markdown(rows) + "\n")
    for key in list(found)[:12]:
        if key != "statuses":
            print(f"{key}: {found[key]}")
    failures = [key for key in soak.statuses if key.endswith(": 500")]
    raise SystemExit(bool(soak.wrong or failures or code or found["tracebacks"]))


if __name__ == "__main__":
    main()
