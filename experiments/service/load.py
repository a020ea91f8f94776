"""Requests per second and milliseconds per request, at 1, 8 and 64 clients, of three servers.

    python experiments/service/load.py --run RUN --texts davidson_test.csv

Each client sends a request of one text, waits for the answer, and sends the next, for `--seconds`.
The servers take turns, `--turns` times; numbers are medians of the turns. All run beside each other
in one process each, and none is asked anything while another is measured. Needs wrk.
"""

import argparse
import contextlib
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

import psutil
from servers import HERE, Server, as_markdown, plain, read_texts, serve, write_json

CLIENTS = (1, 8, 64)
SERVED, THREADS, ONE = "kerasbert.serve", "with_classifier.py", "one_at_a_time.py"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", required=True)
    parser.add_argument("--texts", required=True, nargs="+", help="CSV files, a table for each")
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--out", default="load.json")
    parser.add_argument("--workers", type=int, help="also measure the service with so many")
    parser.add_argument(
        "--intraop",
        nargs=2,
        default=["1", "2"],
        metavar=("THREADS", "ONE"),
        help="TF_NUM_INTRAOP_THREADS of the two plain servers",
    )
    args = parser.parse_args()
    found = {"before": psutil.getloadavg()[0], "intraop": args.intraop, "tables": {}}
    with contextlib.ExitStack() as stack:
        servers = {SERVED: stack.enter_context(serve(args.run))}
        if args.workers:
            server = serve(args.run, "--workers", args.workers)
            servers[f"{SERVED} --workers {args.workers}"] = stack.enter_context(server)
        for script, threads in zip((THREADS, ONE), args.intraop, strict=True):
            environment = {"TF_NUM_INTRAOP_THREADS": threads, "TF_CPP_MIN_LOG_LEVEL": "3"}
            server = plain(script, args.run, environment=environment)
            servers[script] = stack.enter_context(server)
        for texts in args.texts:
            cells = measure(servers, texts, args.seconds, args.turns)
            found["tables"][Path(texts).stem] = cells
            write_json(args.out, found)
            show(Path(texts).stem, cells)


def measure(servers: dict[str, Server], texts: str, seconds: int, turns: int) -> dict:
    """Server -> clients -> numbers of each turn."""
    cells = {name: {str(clients): [] for clients in CLIENTS} for name in servers}
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as bodies:
        bodies.writelines(json.dumps({"texts": [text]}) + "\n" for text in read_texts(texts))
        bodies.flush()
        for server in servers.values():
            press(server, 64, 3, bodies.name)
        for _ in range(turns):
            for clients in CLIENTS:
                for name, server in servers.items():
                    result = press(server, clients, seconds, bodies.name)
                    cells[name][str(clients)].append(result)
    return cells


def press(server: Server, clients: int, seconds: int, bodies: str) -> dict[str, float]:
    threads = 2 if clients > 8 else 1
    command = ["wrk", f"-t{threads}", f"-c{clients}", f"-d{seconds}s", "--timeout", "30s"]
    command += [
        "-s",
        str(HERE / "load.lua"),
        f"http://127.0.0.1:{server.port}",
        bodies,
        str(threads),
    ]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    # Some compute on for those who have left, and would be beside the next.
    server.wait_until_idle()
    (line,) = [line for line in printed.splitlines() if line.startswith("RESULT ")]
    return json.loads(line.removeprefix("RESULT "))


def show(title: str, cells: dict) -> None:
    rows = []
    for clients in map(str, CLIENTS):
        for name, of_clients in cells.items():
            turns = of_clients[clients]
            rates = [turn["requests"] / turn["seconds"] for turn in turns]
            row = {"clients": clients, "server": name}
            row["requests/s"] = f"{statistics.median(rates):.0f}"
            for key in ("p50", "p95", "p99"):
                row[f"{key}, ms"] = f"{statistics.median(turn[key] for turn in turns):.1f}"
            bad = sum(turn[key] for turn in turns for key in ("refused", "lost", "late"))
            row["errors"] = f"{bad:.0f}"
            row["requests/s of each turn"] = " / ".join(f"{rate:.0f}" for rate in rates)
            rows.append(row)
    print(f"\n### {title}\n\n{as_markdown(rows)}\n", flush=True)
    median = {
        (row["server"], row["clients"]): [float(row["requests/s"]), float(row["p99, ms"])]
        for row in rows
    }
    for other in (THREADS, ONE):
        ours, theirs = median[SERVED, "64"], median[other, "64"]
        print(
            f"64 clients, against {other}: {ours[0] / theirs[0]:.2f} times the requests/s, p99 "
            f"{ours[1]:.0f} against {theirs[1]:.0f} ms"
        )
    for key in ("p50", "p95", "p99"):
        one, served = (
            statistics.median(turn[key] for turn in cells[name]["1"]) for name in (ONE, SERVED)
        )
        print(f"one client, {key}: {served - one:+.1f} ms against {ONE}")


if __name__ == "__main__":
    main()
