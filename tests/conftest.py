"""Toy bases of every family, made here from nothing: no test touches a network."""

import os

# Read when TensorFlow and transformers are imported, so set before anything else.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["HF_HUB_OFFLINE"] = "1"

import csv
import dataclasses
import functools
import gc
import sys
import tempfile
import threading

import keras
import pytest
import transformers
from tokenizers import Tokenizer as Backend
from tokenizers import models, normalizers, pre_tokenizers, processors
from transformers import AutoConfig, PreTrainedTokenizerFast

from kerasbert import _cli
from kerasbert.config import FitConfig
from kerasbert.models.bert import BertEncoder
from kerasbert.models.checkpoints import write_checkpoint
from kerasbert.reporting import page, writing

# Features of frozen bases are kept here, and not in the user's own cache.
_CACHE = tempfile.TemporaryDirectory(prefix="kerasbert-tests-")
os.environ["XDG_CACHE_HOME"] = _CACHE.name

WORDS = (
    "[PAD] <pad> [UNK] [CLS] [SEP] the a you are is was this that very not thank kind good great "
    "helpful nice fool idiot awful bad rude man woman sings plays piano dog cat . , ! ?"
).split()

# Sizes are odd and all different, so that a swapped axis cannot pass.
_BERT = {
    "vocab_size": len(WORDS),
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 37,
    "max_position_embeddings": 41,
    "pad_token_id": 0,
}
_ROBERTA = _BERT | {"max_position_embeddings": 43, "pad_token_id": 1, "type_vocab_size": 1}
FAMILIES = {
    "bert": _BERT,
    "distilbert": {
        "vocab_size": len(WORDS),
        "dim": 12,
        "n_layers": 2,
        "n_heads": 3,
        "hidden_dim": 37,
        "max_position_embeddings": 41,
        "pad_token_id": 0,
    },
    "albert": _BERT | {"embedding_size": 7, "num_hidden_groups": 1},
    "electra": _BERT | {"embedding_size": 7},
    "mpnet": _BERT | {"max_position_embeddings": 43, "pad_token_id": 1},
    "deberta-v2": _BERT
    | {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 5},
    "roberta": _ROBERTA,
    "xlm-roberta": _ROBERTA,
    "camembert": _ROBERTA,
    "gpt2": {
        "vocab_size": len(WORDS),
        "n_embd": 12,
        "n_layer": 2,
        "n_head": 3,
        "n_positions": 41,
        "bos_token_id": 3,
        "eos_token_id": 4,
    },
}


NATIVE = ("bert", "distilbert", "roberta", "xlm-roberta", "camembert")


def pytest_collection_finish():
    # What TensorFlow and Keras consist of stays. Looked through again and again while graphs are
    # traced, it would be a fifth of all the time.
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(7)


@pytest.fixture(scope="module", autouse=True)
def _pages(request):
    """Pages of saved runs, which take half a second to draw, only where `DRAWS_PAGES` is set."""
    with pytest.MonkeyPatch.context() as patches:
        if not getattr(request.module, "DRAWS_PAGES", False):
            patches.setattr(writing, "write_page", lambda path, *args, **options: path.touch())
        yield


@pytest.fixture
def draws_pages(monkeypatch):
    """Pages in one test of a module that has none."""
    monkeypatch.setattr(writing, "write_page", page.write_page)


@pytest.fixture
def eager(monkeypatch):
    """Training without graphs, of which tracing one takes longer than a few steps of a toy do."""
    compiled = functools.partialmethod(keras.Model.compile, run_eagerly=True)
    monkeypatch.setattr(keras.Model, "compile", compiled)


def encoder_config(family: str, blocks: int = 2):
    config = AutoConfig.for_model(family, **FAMILIES[family])
    config.num_hidden_layers = blocks
    return config


def make_tokenizer(pad: str = "[PAD]") -> PreTrainedTokenizerFast:
    backend = Backend(models.WordLevel({word: i for i, word in enumerate(WORDS)}, "[UNK]"))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", WORDS.index("[CLS]")), ("[SEP]", WORDS.index("[SEP]"))],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token=pad, unk_token="[UNK]", cls_token="[CLS]",
        sep_token="[SEP]",
    )  # fmt: skip


def tensorflow_model(family: str, kind: str = "TFAutoModel", config=None):
    """A toy model of one of transformers' TensorFlow classes, which are an extra."""
    model = getattr(transformers, kind).from_config(config or encoder_config(family))
    model.build_in_name_scope()
    return model


@pytest.fixture(scope="session")
def toy_base(tmp_path_factory):
    """A function from a family to a directory that holds a toy base of it, made once.

    It has one block, which is traced in less time, where a test does not ask for more.
    """
    made = {}

    def make(family: str = "bert", blocks: int = 1):
        if (family, blocks) not in made:
            keras.utils.set_random_seed(7)  # the same base whichever test asks first
            directory = tmp_path_factory.mktemp(f"base-{family}")
            if family in NATIVE:
                pooler = family != "distilbert"
                encoder = BertEncoder(encoder_config(family, blocks), pooler=pooler)
                write_checkpoint(directory, encoder)
            else:
                config = encoder_config(family, blocks)
                tensorflow_model(family, config=config).save_pretrained(directory)
            pad = "<pad>" if FAMILIES[family].get("pad_token_id") == 1 else "[PAD]"
            make_tokenizer(pad).save_pretrained(directory)
            made[family, blocks] = directory
        return made[family, blocks]

    return make


def write_csv(path, header, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
    return str(path)


POLITE = ("thank", "kind", "good", "great", "helpful", "nice")
RUDE = ("fool", "idiot", "awful", "bad", "rude", "not")


def comments(count: int = 40) -> list[tuple[str, str]]:
    """Rows of (text, label) that a toy model can learn; no two texts are the same."""
    rows = []
    for number in range(count):
        words, label = ((POLITE, "civil"), (RUDE, "rude"))[number % 2]
        first, second = words[number // 2 % 6], words[number // 12 % 6]
        filler = " ".join(["very"] * (number // 2 % 9))
        rows.append((f"you are {filler} {first} {second} {number}", label))
    return rows


@pytest.fixture
def comments_csv(tmp_path):
    return write_csv(tmp_path / "comments.csv", ("text", "label"), comments())


def toy_config(base, train=None, **changes) -> FitConfig:
    """A quick run on a toy base; `changes` are fields of the configs, wherever they are."""
    parts = {
        field.name: field.default_factory
        for field in dataclasses.fields(FitConfig)
        if field.default_factory is not dataclasses.MISSING
    }
    given = {"base": str(base), "train": train, "max_length": 32, "epochs": 1, "batch_size": 8}
    given |= changes
    configs = {
        part: config_class(
            **{k: v for k, v in given.items() if k in config_class.__dataclass_fields__}
        )
        for part, config_class in parts.items()
    }
    own = {key: value for key, value in given.items() if key in FitConfig.__dataclass_fields__}
    return FitConfig(**configs, **{key: value for key, value in own.items() if key not in parts})


@pytest.fixture
def command(monkeypatch, capsys):
    """Run a command's main as the shell would; returns exit code, stdout and stderr."""

    def call(module, *args):
        monkeypatch.setattr(sys, "argv", [module.__name__, *map(str, args)])
        code = 0
        try:
            _cli.run(module.main)
        except SystemExit as stop:
            code = stop.code
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def check_refused(result, message):
    code, out, err = result
    assert (code, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert message in err


def call_from_threads(call, times: int = 4) -> None:
    """Call a function from several threads at once, and wait for all of them."""
    threads = [threading.Thread(target=call) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
