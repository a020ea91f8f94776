"""How fast it is on this machine: `python experiments/speed/measure.py --data DIRECTORY`.

Prints a table as each part ends, and writes them all to `results.md` (and the numbers to
`results.json`) in the current directory. DIRECTORY holds `davidson_train.csv` and
`wiki_toxicity_gc_train.csv`. About 40 minutes on two cores.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
MODELS = ("MiniLM", "DistilBERT-sized", "BERT-base-sized")
LENGTHS = (32, 128, 512)


def job(name: str, **arguments) -> dict:
    """Run a part of `jobs.py` in a process of its own; its numbers and its peak memory."""
    command = [sys.executable, str(HERE / "jobs.py"), name, json.dumps(arguments)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    done = json.loads(printed.splitlines()[-1])
    return done["numbers"] | {"peak": done["peak"] / 1e9}


def command(*arguments: object) -> dict:
    """Run `python -m ...`; its seconds, from nothing imported to the end, and its peak memory."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    shown = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    if status:
        raise SystemExit(shown)
    return {"seconds": seconds, "peak": usage.ru_maxrss * 1024 / 1e9, "shown": shown}


class Results:
    """Tables as they come, printed and written."""

    def __init__(self):
        self.numbers, self.text = {}, ""

    def add(self, name: str, title: str, rows: list[dict], numbers: object) -> None:
        frame = pd.DataFrame(rows)
        part = f"\n### {title}\n\n{as_markdown(frame)}\n"
        print(part, flush=True)
        self.text += part
        self.numbers[name] = numbers
        Path("results.md").write_text(self.text, encoding="utf-8")
        Path("results.json").write_text(json.dumps(self.numbers, indent=1), encoding="utf-8")


def as_markdown(frame: pd.DataFrame) -> str:
    cells = [list(frame.columns), ["---"] * len(frame.columns)]
    cells += [[str(cell) for cell in row] for row in frame.to_numpy()]
    return "\n".join("| " + " | ".join(row) + " |" for row in cells)


def encoding(results: Results, pytorch: str | None, turns: int) -> None:
    rows, products, numbers = [], [], {}
    for model in MODELS:
        few = turns if model == "MiniLM" else max(1, turns // 3)
        found = numbers[model] = job(
            "encode", model=model, lengths=LENGTHS, turns=few, pytorch=pytorch
        )
        for length in LENGTHS:
            kinds = found[str(length)]
            speeds = {name: kind["examples/s"] for name, kind in kinds.items()}
            ours = speeds["native bfloat16"]
            share = kinds["native bfloat16"]["GFLOP/s"] / kinds["product bfloat16"]["GFLOP/s"]
            row = {
                "model": model,
                "length": length,
                "bfloat16": f"{ours:.1f}",
                "pieces/s": f"{ours * length:,.0f}",
                "share of the product's rate": f"{share:.2f}",
                "float32": f"{speeds['native float32']:.1f}",
            }
            for other in ("transformers", "PyTorch"):
                if f"{other} float32" in speeds:
                    row[f"{other} float32, bfloat16"] = " / ".join(
                        f"{speeds[f'{other} {dtype}']:.1f}" for dtype in ("float32", "bfloat16")
                    )
                    row[f"times {other}"] = " / ".join(
                        f"{ours / speeds[f'{other} {dtype}']:.2f}"
                        for dtype in ("float32", "bfloat16")
                    )
            rows.append(row)
        rates = {
            dtype: " / ".join(
                f"{found[str(length)][f'product {dtype}']['GFLOP/s']:.0f}" for length in LENGTHS
            )
            for dtype in ("float32", "bfloat16")
        }
        peak = f"{found['peak']:.1f}"
        products.append({"shape of": model} | rates | {"peak GB of all encoders": peak})
    title = "A plain product of the encoder's shape, beside each length below, GFLOP/s"
    results.add("products", title, products, None)
    title = "Encoding batches of 4,096 word pieces, examples/s"
    results.add("encoding", title, rows, numbers)


def training(results: Results, turns: int) -> None:
    rows, numbers = [], {}
    for model in MODELS:
        lengths = (32, 128) if model == "MiniLM" else (128,)
        few = turns if model == "MiniLM" else max(1, turns // 3)
        numbers[model] = job("train", model=model, lengths=lengths, turns=few)
        for length in lengths:
            speeds = {k: v["examples/s"] for k, v in numbers[model][str(length)].items()}
            rows.append(
                {"model": model, "length": length}
                | {name: f"{speed:.1f}" for name, speed in speeds.items()}
                | {"peak GB of all three": f"{numbers[model]['peak']:.1f}"}
            )
    results.add(
        "training", "A training step of 16 texts, nothing frozen, examples/s", rows, numbers
    )


def real_texts(results: Results, files: dict[str, str], turns: int) -> None:
    rows, numbers = [], {}
    for name, path in files.items():
        found = numbers[name] = job("real_lengths", path=path, count=2000, turns=max(2, turns // 2))
        for kind in ("native bfloat16", "transformers float32"):
            rows.append(
                {
                    "texts": name,
                    "encoder": kind,
                    "examples/s": f"{found[kind]['examples/s']:.0f}",
                    "pieces/s": f"{found[kind]['pieces/s']:,.0f}",
                    "share of the product's rate": f"{found[kind]['share']:.2f}",
                    "padding": f"{found[kind]['padding']:.1%}",
                }
            )
        numbers[name]["waiting"] = job("waiting", path=path, steps=40)
    results.add("real", "Encoding 2,000 real texts with MiniLM, at most 512 pieces", rows, numbers)
    rows = [
        {
            "texts": name,
            "a step, ms": f"{found['waiting']['step'] * 1e3:.0f}",
            "waits for its batch, ms": f"{found['waiting']['wait'] * 1e3:.2f}",
        }
        for name, found in numbers.items()
    ]
    results.add("waiting", "How long a training step waits for its batch", rows, None)


def fits(results: Results, path: str, steps: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        common = ("kerasbert.fit", "--train", path, "--limit", 4000, "--max-length", 512)
        frozen = (*common, "--freeze-base", "--cache-dir", f"{folder}/cache", "--epochs", 3)
        first = command(*frozen, "--output", f"{folder}/1")
        second = command(*frozen, "--output", f"{folder}/2")
        whole = command(*common, "--head", "linear", "--epochs", 1, "--output", f"{folder}/3")
    # 3,200 texts to train on and 800 to validate on, in batches of 16; the report once more.
    plain_frozen = job("plain_way", frozen=True, steps=steps, max_length=512)
    plain_open = job("plain_way", frozen=False, steps=max(2, steps // 2), max_length=512)
    frozen_seconds = 3 * (200 * plain_frozen["train"] + 50 * plain_frozen["validate"])
    frozen_seconds += 50 * plain_frozen["validate"]
    open_seconds = 200 * plain_open["train"] + 100 * plain_open["validate"]
    inside = job("fit_twice", path=path)
    rows = [
        row(
            "frozen, in a process that has imported all",
            inside["first"],
            frozen_seconds,
            inside["peak"],
        ),
        row("the same, second run", inside["second"], frozen_seconds, inside["peak"]),
        row("frozen, 3 epochs, first run", first["seconds"], frozen_seconds, first["peak"]),
        row("frozen, second run", second["seconds"], frozen_seconds, second["peak"]),
        row("frozen, the plain way", frozen_seconds, frozen_seconds, plain_frozen["peak"]),
        row("nothing frozen, 1 epoch", whole["seconds"], open_seconds, whole["peak"]),
        row("nothing frozen, the plain way", open_seconds, open_seconds, plain_open["peak"]),
    ]
    numbers = {"inside": inside, "first": first, "second": second, "whole": whole}
    numbers |= {"plain frozen": plain_frozen, "plain open": plain_open}
    results.add("fits", "From a CSV of 4,000 Wikipedia comments to a report", rows, numbers)


def row(what: str, seconds: float, plain: float, peak: float) -> dict:
    return {
        "what": what,
        "seconds": f"{seconds:,.0f}",
        "times the plain way": f"{plain / seconds:.1f}",
        "peak GB": f"{peak:.1f}",
    }


def growth(results: Results, path: str, counts: list[int]) -> None:
    texts = pd.read_csv(path)
    rows, numbers = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for count in counts:
            file = f"{folder}/{count}.csv"
            with open(file, "w", encoding="utf-8", newline="") as out:
                writer = csv.writer(out)
                writer.writerow(["text", "label"])
                for number in range(count):
                    text, label = texts.iloc[number % len(texts)][["text", "label"]]
                    writer.writerow([f"{text} {number}", label])
            found = numbers[count] = command(
                *("kerasbert.fit", "--train", file, "--freeze-base", "--epochs", 1),
                *("--no-cache", "--max-length", 128, "--output", f"{folder}/run-{count}"),
            )
            rows.append(
                {
                    "rows": f"{count:,}",
                    "seconds": f"{found['seconds']:.0f}",
                    "peak GB": f"{found['peak']:.2f}",
                }
            )
    results.add("growth", "A frozen fit on more rows (tweets, each made different)", rows, numbers)


def starting(results: Results) -> None:
    with tempfile.TemporaryDirectory() as folder:
        command("kerasbert.fit", "--freeze-base", "--no-cache", "--output", f"{folder}/run")
        found = job("load_and_answer", run=f"{folder}/run")
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import kerasbert"], check=True)
    importing = time.perf_counter() - started
    seconds = {
        "`import kerasbert`, with the interpreter": importing,
        "`python -m kerasbert.fit --help`": command("kerasbert.fit", "--help")["seconds"],
        "`kerasbert.load`, TensorFlow's import included": found["load"],
        "the first text after it": found["first answer"],
        "each text after that": found["later answers"],
    }
    rows = [{"what": what, "seconds": f"{value:.3f}"} for what, value in seconds.items()]
    results.add("starting", "To the first answer", rows, seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, help="directory of the two CSV files")
    parser.add_argument("--pytorch", help="the Python of an environment with torch, transformers")
    parser.add_argument("--turns", type=int, default=5, help="how often each thing is timed")
    parser.add_argument("--plain-steps", type=int, default=6, help="steps of the plain way timed")
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 10_000, 100_000])
    parser.add_argument("--only", nargs="+", help="parts to run, such as encoding or fits")
    options = parser.parse_args()
    davidson = f"{options.data}/davidson_train.csv"
    wiki = f"{options.data}/wiki_toxicity_gc_train.csv"
    results = Results()
    parts = {
        "encoding": lambda: encoding(results, options.pytorch, options.turns),
        "training": lambda: training(results, options.turns),
        "real": lambda: real_texts(results, {"davidson": davidson, "wiki": wiki}, options.turns),
        "fits": lambda: fits(results, wiki, options.plain_steps),
        "starting": lambda: starting(results),
        "growth": lambda: growth(results, davidson, options.rows),
    }
    for name, part in parts.items():
        if not options.only or name in options.only:
            part()


if __name__ == "__main__":
    main()
