"""Bytes as bodies, and Unicode as texts, for some minutes.

    python experiments/service/fuzz.py --run RUN --minutes 10

Half of the clients send requests that are mutated, byte by byte and token by token, over kept
connections: the answer must be 200, or a 4xx with a sentence. The other half sends texts of letters
of all planes, combining, invisible, directional and control characters, up to the limits: the
answer must be 200, with probabilities that are numbers. Once a minute a text that is known must
have the answer that it had at first. Exits with 1 if anything else happened, and says what was
sent.
"""

import argparse
import asyncio
import json
import math
import random
import sys
import time
import unicodedata

import malformed
from servers import Client, Server, serve, write_json

NUM_CLIENTS = 8
_TIMEOUT = 32
_KNOWN = "Thank you, that was very kind of you."
# What once was answered wrongly is sent first, each time.
REGRESSIONS: list[bytes] = []

_SEEDS = [
    b'{"texts": ["a text", "another \\u00e9 \\ud83d\\ude00"], "explain": false}',
    b'{"texts": ["one"], "text_pairs": null}',
    b'{"texts": ["one"], "explain": true}',
    b' {\t"texts" :\r\n[ "\\"\\\\\\/\\b\\f\\n\\r\\t" ] } ',
]
_TOKENS = [
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u", b"\\ud800", b"\\udc00", b"null",
    b"true", b"NaN", b"Infinity", b"-", b"1e999", b"-0", b"0x1", b"\0", b"\xff", b"\xc3",
    b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"//", b"/**/", b"'", b'"texts"',
    b'"explain"', b"[" * 400,
]  # fmt: skip
# Blocks of code points: Latin, combining, right to left, Indic, Hangul, invisible, directions,
# CJK, presentation forms, private, emoji, tags, variation selectors, the last plane.
_BLOCKS = [
    (0x20, 0x7F), (0, 0x20), (0x7F, 0x250), (0x300, 0x370), (0x370, 0x530), (0x590, 0x780),
    (0x900, 0xE00), (0xE00, 0x1000), (0x1100, 0x1200), (0x2000, 0x2070), (0x2E80, 0x3100),
    (0x4E00, 0xA000), (0xAC00, 0xD7A4), (0xE000, 0xE100), (0xFB00, 0x10000), (0x1D400, 0x1D800),
    (0x1F000, 0x1FB00), (0x20000, 0x20100), (0xE0000, 0xE01F0), (0x10FF00, 0x110000),
]  # fmt: skip


def mutated(choose: random.Random) -> bytes:
    """A body with a few places changed."""
    body = bytearray(choose.choice(_SEEDS))
    for _ in range(choose.choice([1, 1, 2, 4, 16])):
        start = choose.randrange(len(body) + 1)
        end = min(len(body), start + choose.choice([0, 0, 1, 1, 3, 10]))
        what = choose.choice(["token", "bytes", "repeat", "nothing", "bit"])
        if what == "token":
            body[start:end] = choose.choice(_TOKENS)
        elif what == "bytes":
            body[start:end] = choose.randbytes(choose.randrange(4))
        elif what == "repeat":
            body[start:end] = body[start:end] * choose.choice([2, 50, 1000])
        elif what == "bit" and start < len(body):
            body[start] ^= 1 << choose.randrange(8)
        else:
            del body[start:end]
    return bytes(body[:100_000])


def odd_text(choose: random.Random, most: int) -> str:
    """Characters of a few blocks; mostly short, now and then as long as may be."""
    length = choose.choice([0, 1, 2, 5, 20, 20, 100, 100, 1000, most])
    blocks = choose.choices(_BLOCKS, k=choose.choice([1, 2, 3, 8]))
    characters = (chr(choose.randrange(*choose.choice(blocks))) for _ in range(length))
    # Where one is repeated, it is an endless word, or a letter with endless accents.
    if choose.random() < 0.1 and length:
        characters = [chr(choose.randrange(*blocks[0])) for _ in range(3)] * (length // 3)
    text = "".join(characters)
    if choose.random() < 0.2:
        form = choose.choice(["NFC", "NFD", "NFKC", "NFKD"])
        text = unicodedata.normalize(form, text)[:most]
    return text


class Fuzz:
    """What was sent, and what was answered that should not have been."""

    def __init__(self, server: Server, until: float):
        self._server, self._until = server, until
        self.answers: dict[str, int] = {}
        self.found: list[str] = []
        self.slowest = 0.0
        self.num_known = 0

    async def run(self, seed: int) -> None:
        self._known = await self._ask_known()
        for body in REGRESSIONS:
            await self._send(Client(self._server.port), "body", body)
        clients = (self._client(seed + number) for number in range(NUM_CLIENTS))
        await asyncio.gather(self._ask_each_minute(), *clients)

    async def _client(self, seed: int) -> None:
        choose, client = random.Random(seed), Client(self._server.port)
        while time.monotonic() < self._until:
            if seed % 2:
                await self._send(client, "body", mutated(choose))
                continue
            texts = [odd_text(choose, 20_000) for _ in range(choose.choice([1, 1, 2, 5]))]
            texts += choose.sample(malformed.odd_texts(), choose.choice([0, 0, 1]))
            body = json.dumps({"texts": texts}, ensure_ascii=choose.random() < 0.5).encode()
            await self._send(client, "text", body)

    async def _send(self, client: Client, kind: str, body: bytes) -> None:
        start = time.monotonic()
        try:
            request = client.ask("POST", "/predict", body)
            status, answer = await asyncio.wait_for(request, _TIMEOUT)
        except (ConnectionError, asyncio.TimeoutError) as error:
            self._note(kind, repr(error), False, body)
            return
        self.slowest = max(self.slowest, time.monotonic() - start)
        told = json.loads(answer)
        if status == 200:
            is_right = all(_is_answer(one) for one in told["predictions"])
        else:
            is_right = kind == "body" and 400 <= status < 500 and bool(told["detail"])
        self._note(kind, str(status), is_right, body)

    def _note(self, kind: str, answer: str, is_right: bool, body: bytes) -> None:
        key = f"{kind}: {answer}"
        self.answers[key] = self.answers.get(key, 0) + 1
        if not is_right:
            self.found.append(f"{answer}: {body!r}")

    async def _ask_known(self) -> list:
        client = Client(self._server.port)
        _, body = await client.predict([_KNOWN])
        client.close()
        return list(json.loads(body)["predictions"][0]["probabilities"].values())

    async def _ask_each_minute(self) -> None:
        while True:
            left = self._until - time.monotonic()
            if left <= 0:
                return
            await asyncio.sleep(min(60, left))
            now = await self._ask_known()
            self.num_known += 1
            if not all(abs(a - b) < 1e-3 for a, b in zip(now, self._known, strict=True)):
                self.found.append(f"{_KNOWN}: {now}, at first {self._known}")


def _is_answer(prediction: dict) -> bool:
    numbers = list(prediction["probabilities"].values())
    return all(isinstance(one, float) and 0 <= one <= 1 + 1e-6 for one in numbers) and not any(
        map(math.isnan, numbers)
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", required=True)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="fuzz.json")
    args = parser.parse_args()
    with serve(args.run, "--timeout", 30) as server:
        before = server.usage()
        fuzz = Fuzz(server, time.monotonic() + 60 * args.minutes)
        asyncio.run(fuzz.run(args.seed))
        after = server.usage()
        code = server.stop()
        log = server.log.read_text()
    found = {
        "minutes": args.minutes,
        "answers": dict(sorted(fuzz.answers.items())),
        "slowest, s": round(fuzz.slowest, 2),
        "times the known text was right": fuzz.num_known,
        "before": before,
        "after": after,
        "exit code": code,
        "tracebacks": log.count("Traceback"),
        "number found": len(fuzz.found),
        "found": fuzz.found[:50],
        "log": log[-4000:],
    }
    write_json(args.out, found)
    print(json.dumps(found, indent=1))
    sys.exit(bool(fuzz.found or code or found["tracebacks"]))


if __name__ == "__main__":
    main()
