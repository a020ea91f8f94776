"""One measurement in a process of its own: `python jobs.py NAME JSON` prints its numbers as JSON.

Things that are compared take turns within one process, and each number is the median of the turns:
what else the machine does meets all of them.
"""

import functools
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from kerasbert import _runtime
from kerasbert.data.batches import pad
from kerasbert.data.tokens import Tokens

BATCH_PIECES = 4096
MODELS = {
    "MiniLM": None,  # the pretrained base itself; the others have random weights
    "DistilBERT-sized": ("distilbert", {}),
    "BERT-base-sized": ("bert", {}),
}


def medians(turns: int, **calls) -> dict[str, float]:
    """Seconds of each call: the median of `turns` turns, after a first one that is not counted."""
    seconds = {name: [] for name in calls}
    for turn in range(turns + 1):
        for name, call in calls.items():
            started = time.perf_counter()
            call()
            if turn:
                seconds[name].append(time.perf_counter() - started)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def encoder_config(model: str):
    from kerasbert.models.base import find_base, read_encoder_config
    from kerasbert.models.encoder import encoder_config_from_dict

    if MODELS[model] is None:
        return read_encoder_config(find_base("minilm"))
    family, changes = MODELS[model]
    return encoder_config_from_dict({"model_type": family, **changes})


def classifier(model: str, encoder: str = "native", policy: str = "float32"):
    from kerasbert.config import ModelConfig
    from kerasbert.models.classifier import build_classifier

    config = ModelConfig(head="linear", pooling="mean", encoder=encoder)
    return build_classifier(config, encoder_config=encoder_config(model), dtype=policy)


def random_tokens(count: int, length: int) -> Tokens:
    """Texts of one length."""
    ids = np.random.default_rng(0).integers(1000, 30_000, count * length).astype(np.int32)
    offsets = np.arange(count + 1) * length
    return Tokens(ids, np.zeros(len(ids), np.int8), offsets, pad_id=0, num_truncated=0)


def random_batch(model, size: int, length: int) -> dict[str, np.ndarray]:
    names = [tensor.name for tensor in model.inputs]
    return pad(random_tokens(size, length), np.arange(size), names)


def flops(model: str, size: int, length: int) -> float:
    """Of the products of a forward pass: those with the weights, and those of the attention."""
    config = encoder_config(model)
    hidden, blocks = config.hidden_size, config.num_hidden_layers
    middle = getattr(config, "intermediate_size", None) or config.hidden_dim
    return (
        2.0 * size * length * blocks * (4 * hidden**2 + 2 * hidden * middle + 2 * length * hidden)
    )


def product(model: str, dtype: str):
    """Ten plain products of the encoder's shape, as a call; and their FLOP."""
    import tensorflow as tf

    config = encoder_config(model)
    middle = getattr(config, "intermediate_size", None) or config.hidden_dim
    left = tf.cast(tf.random.normal((BATCH_PIECES, config.hidden_size)), dtype)
    right = tf.cast(tf.random.normal((config.hidden_size, middle)), dtype)
    multiply = tf.function(tf.matmul)

    def ten_times():
        for _ in range(10):
            result = multiply(left, right)
        result.numpy()

    return ten_times, 20.0 * BATCH_PIECES * config.hidden_size * middle


def encode(model: str, lengths: list[int], turns: int, pytorch: str | None) -> dict:
    """Two batches of 4,096 pieces at each length, as `score` computes them, and by others."""
    from kerasbert.models.running import build_forward
    from kerasbert.scoring import run_batches

    kinds = {
        "native bfloat16": ("native", "bfloat16"),
        "native float32": ("native", "float32"),
        "transformers float32": ("transformers", "float32"),
        "transformers bfloat16": ("transformers", "mixed_bfloat16"),
    }
    models = {name: classifier(model, *kind) for name, kind in kinds.items()}
    forwards = {name: build_forward(built) for name, built in models.items()}
    products = {dtype: product(model, dtype) for dtype in ("float32", "bfloat16")}
    ask = pytorch_process(pytorch, model) if pytorch else None
    names = [tensor.name for tensor in models["native float32"].inputs]
    result = {}
    for length in lengths:
        size = BATCH_PIECES // length
        tokens = random_tokens(2 * size, length)
        batches = np.split(np.arange(2 * size), 2)
        batch = pad(tokens, batches[0], names)

        def ours(kind, tokens=tokens, batches=batches):
            take = functools.partial(pad, tokens, names=names)
            return lambda: list(run_batches(forwards[kind], take, batches))

        def theirs(kind, batch=batch):
            return lambda: [forwards[kind](batch) for _ in range(2)]

        calls = {name: (ours if "native" in name else theirs)(name) for name in kinds}
        calls |= {f"product {dtype}": call for dtype, (call, _) in products.items()}
        if ask:
            for dtype in ("float32", "bfloat16"):
                calls[f"PyTorch {dtype}"] = lambda d=dtype, n=length: [ask(n, d) for _ in range(2)]
        seconds = medians(turns, **calls)
        work = {name: 2 * flops(model, size, length) for name in calls}
        work |= {f"product {dtype}": flop for dtype, (_, flop) in products.items()}
        result[length] = {
            name: {"examples/s": 2 * size / s, "GFLOP/s": work[name] / s / 1e9}
            for name, s in seconds.items()
        }
    return result


def pytorch_process(python: str, model: str):
    """A process with PyTorch that waits for its turns; a call that gives it one."""
    process = subprocess.Popen(
        [python, str(Path(__file__).with_name("pytorch_job.py")), model],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    process.stdout.readline()

    def ask(length: int, precision: str) -> None:
        process.stdin.write(f"{length} {precision}\n")
        process.stdin.flush()
        process.stdout.readline()

    return ask


def train(model: str, lengths: list[int], turns: int) -> dict:
    """A training step with nothing frozen, 16 texts."""
    from kerasbert.models.optimization import AdamW, compile_classifier

    kinds = {
        "native float32": ("native", "float32"),
        "native bfloat16": ("native", "mixed_bfloat16"),
        "transformers float32": ("transformers", "float32"),
    }
    models = {name: classifier(model, *kind) for name, kind in kinds.items()}
    for built in models.values():
        compile_classifier(built, "binary", AdamW(1e-5, clip_norm=1.0))
    targets = (np.arange(16) % 2).astype(np.int32)
    result = {}
    for length in lengths:
        batch = random_batch(models["native float32"], 16, length)
        seconds = medians(
            turns,
            **{
                name: lambda m=m, b=batch: m.train_on_batch(b, targets)
                for name, m in models.items()
            },
        )
        result[length] = {name: {"examples/s": 16 / s} for name, s in seconds.items()}
    return result


def real_lengths(path: str, count: int, turns: int) -> dict:
    """Texts of a file: ours in batches sorted by length, transformers' in the file's order."""
    from kerasbert.data.batches import sorted_buckets
    from kerasbert.models.running import build_forward
    from kerasbert.scoring import run_batches

    tokens = tokens_of(path, count)
    plain = [np.arange(i, min(i + 32, len(tokens))) for i in range(0, len(tokens), 32)]
    ours = sorted_buckets(tokens.lengths)
    kinds = {
        "native bfloat16": ("native", "bfloat16", ours),
        "transformers float32": ("transformers", "float32", plain),
    }
    calls, result = {}, {"texts": len(tokens), "pieces": int(tokens.lengths.sum())}
    for name, (encoder, policy, batches) in kinds.items():
        model = classifier("MiniLM", encoder, policy)
        names = [tensor.name for tensor in model.inputs]
        run = build_forward(model)
        computed = sum(len(batch) * tokens.lengths[batch].max() for batch in batches)
        work = sum(flops("MiniLM", len(b), int(tokens.lengths[b].max())) for b in batches)
        result[name] = {"padding": 1 - tokens.lengths.sum() / computed, "flops": work}
        take = functools.partial(pad, tokens, names=names)
        calls[name] = lambda run=run, t=take, b=batches: list(run_batches(run, t, b))
    calls["product"], flop = product("MiniLM", "bfloat16")
    seconds = medians(turns, **calls)
    rate = flop / seconds.pop("product")
    for name, s in seconds.items():
        result[name] |= {
            "examples/s": len(tokens) / s,
            "pieces/s": tokens.lengths.sum() / s,
            "share": result[name].pop("flops") / s / rate,
        }
    return result


def tokens_of(path: str, count: int, max_length: int = 512):
    from kerasbert.data.examples import read_examples
    from kerasbert.data.tokens import Tokenizer
    from kerasbert.models.base import find_base

    examples = read_examples(path)
    chosen = np.random.default_rng(0).permutation(len(examples))[:count]
    tokenizer = Tokenizer.from_directory(find_base("minilm"), max_length)
    return tokenizer(examples.take(chosen).texts)


def waiting(path: str, steps: int) -> dict:
    """How long training on real texts waits for its batches."""
    from kerasbert.data.pipeline import token_source, training_batches
    from kerasbert.models.optimization import AdamW, compile_classifier

    model = classifier("MiniLM")
    compile_classifier(model, "binary", AdamW(1e-5, clip_norm=1.0))
    tokens = tokens_of(path, 16 * (steps + 8))
    source = token_source(tokens, [tensor.name for tensor in model.inputs])
    targets = (np.arange(len(tokens)) % 2).astype(np.int32)
    batches = iter(training_batches(source, targets, batch_size=16, seed=0))
    waited, worked = [], []
    for _ in range(steps):
        started = time.perf_counter()
        inputs, labels = next(batches)
        ready = time.perf_counter()
        model.train_on_batch(inputs, labels)
        waited.append(ready - started)
        worked.append(time.perf_counter() - ready)
    return {"wait": float(np.mean(waited[5:])), "step": float(np.mean(worked[5:]))}


def plain_way(frozen: bool, steps: int, max_length: int) -> dict:
    """Steps of the plain way: transformers' class, 16 texts, each padded to `max_length`."""
    from kerasbert.config import ModelConfig
    from kerasbert.models.classifier import build_classifier
    from kerasbert.models.optimization import AdamW, compile_classifier

    config = ModelConfig(encoder="transformers", freeze_base=frozen, max_length=max_length)
    model = build_classifier(config)
    compile_classifier(model, "binary", AdamW(1e-5, clip_norm=1.0))
    batch = random_batch(model, 16, max_length)
    targets = (np.arange(16) % 2).astype(np.int32)
    for _ in range(2):
        model.train_on_batch(batch, targets)
        model.test_on_batch(batch, targets)
    seconds = {"train": [], "validate": []}
    for _ in range(steps):
        for name, call in (("train", model.train_on_batch), ("validate", model.test_on_batch)):
            started = time.perf_counter()
            call(batch, targets)
            seconds[name].append(time.perf_counter() - started)
    return {name: float(np.median(values)) for name, values in seconds.items()}


def fit_twice(path: str) -> dict:
    """Two frozen fits with one cache in one process: what they take once all is imported."""
    import tempfile

    from kerasbert.config import DataConfig, FitConfig, ModelConfig, TrainConfig
    from kerasbert.training.fitting import fit_classifier

    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        config = FitConfig(
            data=DataConfig(train=path, limit=4000),
            model=ModelConfig(freeze_base=True, max_length=512),
            train=TrainConfig(epochs=3, cache_dir=folder),
        )
        for _ in range(2):
            started = time.perf_counter()
            fit_classifier(config)
            seconds.append(time.perf_counter() - started)
    return dict(zip(("first", "second"), seconds, strict=True))


def load_and_answer(run: str) -> dict:
    """From nothing imported to the probabilities of one text."""
    started = time.perf_counter()
    import kerasbert

    loaded = kerasbert.load(run)
    at = time.perf_counter()
    loaded.predict_proba(["What a kind thing to say."])
    first = time.perf_counter()
    for _ in range(20):
        loaded.predict_proba(["What a kind thing to say."])
    later = (time.perf_counter() - first) / 20
    return {"load": at - started, "first answer": first - at, "later answers": later}


if __name__ == "__main__":
    if sys.argv[1] != "load_and_answer":
        _runtime.quiet()
    numbers = globals()[sys.argv[1]](**json.loads(sys.argv[2]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"numbers": numbers, "peak": peak, "at": str(Path.cwd())}))
