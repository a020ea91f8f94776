import dataclasses
import os
import re
import shutil
from io import StringIO

import keras
import numpy as np
import pytest
from rich.console import Console

from kerasbert.config import ModelConfig
from kerasbert.data.batches import num_batches
from kerasbert.data.dataset import read_dataset
from kerasbert.data.pipeline import token_source, training_batches
from kerasbert.data.tokens import Tokenizer, Tokens
from kerasbert.errors import InputWarning
from kerasbert.inference import Classifier
from kerasbert.models.classifier import build_classifier
from kerasbert.models.optimization import build_optimizer, compile_classifier
from kerasbert.models.resolving import resolve_model_config
from kerasbert.models.schedules import WarmupThenDecay
from kerasbert.training import features
from kerasbert.training.features import FeatureCache, fits, text_keys
from kerasbert.training.fitting import fit_classifier
from kerasbert.training.stages import frozen_stage
from tests.conftest import comments, encoder_config, make_tokenizer, toy_config, write_csv

TEXTS = ["you are kind", "idiot !", "dog", "the man sings a very good very great piano"]


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def frozen(toy_base, comments_csv, cache):
    """The config of a run on a frozen base whose features go to a cache of its own."""

    def configure(base=None, **changes):
        given = {"train": comments_csv, "freeze_base": True, "cache_dir": str(cache)} | changes
        return toy_config(base or toy_base(), **given)

    return configure


def fit(config):
    """A run, and what it showed."""
    shown = StringIO()
    run = fit_classifier(config, console=Console(file=shown, width=200))
    return run, shown.getvalue()


@pytest.fixture(scope="module")
def first(toy_base, tmp_path_factory):
    """A run of two epochs on a frozen base, what it showed, and the features that it kept."""
    directory = tmp_path_factory.mktemp("first")
    path = write_csv(directory / "comments.csv", ("text", "label"), comments())
    changes = {"freeze_base": True, "epochs": 2, "cache_dir": str(directory / "cache")}
    return *fit(toy_config(toy_base(), path, **changes)), directory / "cache"


@pytest.fixture
def before(first, cache):
    """The same, its features being where this test's runs look for theirs."""
    run, shown, kept = first
    shutil.copytree(kept, cache)
    return run, shown


def counts(shown):
    """Texts encoded and texts found, of training and of validation together."""
    lines = re.findall(r"frozen features: (\d+) distinct texts encoded in .* s, (\d+) found", shown)
    assert len(lines) == 2
    return tuple(sum(int(line[place]) for line in lines) for place in (0, 1))


def stores(cache):
    return {path.name for path in cache.iterdir()} if cache.exists() else set()


def content(directory):
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def probabilities(run):
    return Classifier(run).predict_proba(TEXTS)


def bare_cache(directory=None, family="bert", precision="float32", limit=10**9, **changes):
    """A cache over a toy model of random weights, the same ones each time."""
    keras.utils.set_random_seed(7)
    config = ModelConfig(**{"base": "toy", "max_length": 32, "freeze_base": True} | changes)
    config = resolve_model_config(config, encoder_config(family))
    model = build_classifier(config, encoder_config=encoder_config(family))
    return FeatureCache(frozen_stage(model, config, precision), directory, limit)


def tokenize(texts, pairs=None, max_length=32):
    return Tokenizer(make_tokenizer(), max_length)(texts, pairs)


# The same run again


def test_a_second_run_encodes_nothing_and_gives_the_same_report(before, frozen):
    first, shown = before
    assert counts(shown) == (40, 0)
    second, shown = fit(frozen(epochs=2))
    assert counts(shown) == (0, 40)
    assert second.report == first.report
    np.testing.assert_array_equal(probabilities(second), probabilities(first))


def test_a_text_that_is_there_twice_is_encoded_once(frozen, tmp_path):
    rows = comments()
    path = write_csv(tmp_path / "twice.csv", ("text", "label"), rows + rows[:15] + rows[:5])
    _, shown = fit(frozen(train=path))
    assert counts(shown) == (40, 0)


def test_each_text_gets_the_features_of_its_own():
    cache = bare_cache(pooling="mean")
    cache.source(tokenize(["cat", "dog"]))
    texts = ["dog", "very good", "cat", "dog"]
    taken = cache.source(tokenize(texts)).take(np.arange(4))["pooled"]
    apart = bare_cache(pooling="mean")
    alone = [apart.source(tokenize([text])).take([0]) for text in texts]
    np.testing.assert_allclose(taken, [rows["pooled"][0] for rows in alone], atol=1e-6)
    assert (cache.num_encoded, cache.num_found) == (3, 2)
    assert np.abs(taken[0] - taken[2]).max() > 1e-3


def test_an_interrupted_run_loses_one_part_at_most(tmp_path, monkeypatch):
    monkeypatch.setattr(features, "_PART", 1000)
    # 3,000 texts of 4 pieces, all different, in batches of 1,024, as 4,096 pieces fit into one.
    ids = np.stack([np.arange(3000) // 30**place % 30 + 5 for place in range(4)], axis=1)
    ids = ids.astype(np.int32).ravel()
    tokens = Tokens(ids, np.zeros(12_000, np.int8), np.arange(0, 12_001, 4), 0, 0)

    def interrupt(done, total):
        assert total == 3000
        if done > 2000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bare_cache(directory=tmp_path).source(tokens, interrupt)
    cache = bare_cache(directory=tmp_path)
    again = cache.source(tokens).take(np.arange(3000))["pooled"]
    assert (cache.num_encoded, cache.num_found) == (3000 - 1024, 1024)
    fresh = bare_cache().source(tokens).take(np.arange(3000))["pooled"]
    np.testing.assert_allclose(again, fresh, atol=1e-6)


# What decides the features


FIRST_BLOCK = {"freeze_base": False, "freeze_layers": 1}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The features of `TEXTS` as a bare cache leaves them."""
    directory = tmp_path_factory.mktemp("plain")
    bare_cache(directory).source(tokenize(TEXTS))
    return directory


@pytest.mark.parametrize(
    "changes",
    [
        {"family": "distilbert"},
        {"pooling": "mean"},
        {"pooling": "pooler"},
        {"precision": "bfloat16"},
        {"precision": "mixed_float16"},
        {"encoder": "transformers"},
        FIRST_BLOCK,
    ],
    ids=str,
)
def test_what_changes_the_features_names_another_store(changes, plain, cache):
    shutil.copytree(plain, cache)
    other = bare_cache(cache, **changes)
    other.source(tokenize(TEXTS))
    assert (other.num_encoded, other.num_found) == (4, 0)
    assert len(stores(cache)) == 2


def test_other_weights_name_another_store(tmp_path):
    names = set()
    for value in (0.0, 1.0):
        config = resolve_model_config(
            toy_config("toy", freeze_base=True).model, encoder_config("bert")
        )
        model = build_classifier(config, encoder_config=encoder_config("bert"))
        for weight in model.get_layer("encoder").weights:
            weight.assign(keras.ops.zeros_like(weight))
        weight.assign(keras.ops.full_like(weight, value))  # of the last of them alone
        names.add(FeatureCache(frozen_stage(model, config, "float32"), tmp_path, 0).directory.name)
    assert len(names) == 2


@pytest.mark.parametrize("frozen_part", [{}, FIRST_BLOCK], ids=["base", "first block"])
def test_the_head_does_not_change_the_features(frozen_part, tmp_path):
    bare_cache(tmp_path, **frozen_part).source(tokenize(TEXTS))
    other = bare_cache(tmp_path, head="linear", l2=0.5, max_length=16, **frozen_part)
    other.source(tokenize(TEXTS))
    assert (other.num_encoded, other.num_found) == (0, 4)


def test_pooling_does_not_change_what_leaves_the_first_block(tmp_path):
    for pooling in ("cls", "mean", "pooler"):
        bare_cache(tmp_path, pooling=pooling, **FIRST_BLOCK)
    assert len(stores(tmp_path)) == 1


def test_head_epochs_seed_and_batches_leave_the_features_as_they_are(before, frozen, cache):
    changes = {"head": "linear", "epochs": 1, "seed": 5, "batch_size": 4, "bucket": False}
    _, shown = fit(frozen(**changes))
    assert counts(shown) == (0, 40)
    assert len(stores(cache)) == 1


def test_texts_that_another_maximum_length_cuts_are_encoded_anew(tmp_path):
    texts = ["you are kind", "idiot", "you are " + "very " * 9, "you are very bad"]
    cache = bare_cache(tmp_path)
    # At 5 the first two are whole; the others are both [CLS] you are very [SEP].
    for length, encoded, found in ((32, 4, 0), (5, 1, 2), (5, 0, 3), (32, 0, 4)):
        before = cache.num_encoded, cache.num_found
        cache.source(tokenize(texts, max_length=length))
        assert (cache.num_encoded - before[0], cache.num_found - before[1]) == (encoded, found)


def test_keys_tell_pieces_and_segments_apart():
    tokens = tokenize(["dog", "dog dog", "cat", "dog"])
    keys = text_keys(tokens)
    assert keys[0] == keys[3]
    assert len(set(keys.tolist())) == 3
    assert keys.dtype == "S16"
    other_segments = dataclasses.replace(tokens, token_type_ids=1 - tokens.token_type_ids)
    assert not set(text_keys(other_segments).tolist()) & set(keys.tolist())


def test_keys_do_not_depend_on_the_other_texts():
    together = text_keys(tokenize(TEXTS))
    alone = [text_keys(tokenize([text]))[0] for text in TEXTS]
    assert together.tolist() == alone
    assert text_keys(tokenize(TEXTS[::-1])).tolist() == alone[::-1]
    assert text_keys(tokenize([])).shape == (0,)


# Kept and not kept


def test_without_a_cache_nothing_is_written_and_all_is_the_same(
    before, frozen, tmp_path, monkeypatch
):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (kept, _), files = before, content(tmp_path)
    thrown_away, shown = fit(frozen(epochs=2, cache=False))
    assert counts(shown) == (40, 0)
    assert content(tmp_path) == files
    np.testing.assert_allclose(probabilities(thrown_away), probabilities(kept), atol=1e-6)
    loss = kept.report["validation"]["loss"]
    assert thrown_away.report["validation"]["loss"] == pytest.approx(loss, abs=1e-6)


def test_features_beyond_the_limit_are_kept_for_this_run_only(frozen, cache):
    # 32 texts to train on and 12 numbers of 4 bytes each are 1,536 bytes.
    assert fits(1536, cache, 1536) and not fits(1536, cache, 1535)
    _, shown = fit(frozen(cache_limit=1535e-9))
    assert "more than --cache-limit or the disk allows: kept for this run only" in shown
    assert counts(shown) == (40, 0)
    assert not list(cache.rglob("shard-*"))


def test_a_cache_that_cannot_be_made_is_warned_of_and_done_without(frozen, cache):
    cache.write_text("a file")
    with pytest.warns(InputWarning, match=r"kept for this run only\. Name another --cache-dir"):
        _, shown = fit(frozen(cache_dir=str(cache / "below")))
    assert counts(shown) == (40, 0)


def test_a_damaged_shard_is_encoded_again(before, frozen, cache):
    first, _ = before
    rows = sorted(cache.rglob("rows.npy"), key=lambda path: path.stat().st_size)
    data = bytearray(rows[-1].read_bytes())
    data[-1] ^= 1
    rows[-1].write_bytes(data)
    with pytest.warns(InputWarning, match="damaged"):
        again, shown = fit(frozen(epochs=2))
    # The larger of the two shards held the texts to train on.
    assert counts(shown) == (32, 8)
    assert again.report == first.report


def test_the_store_used_longest_ago_makes_room(tmp_path):
    names = []
    for number, pooling in enumerate(("cls", "mean", "max")):
        cache = bare_cache(tmp_path, pooling=pooling)
        cache.source(tokenize(TEXTS))
        os.utime(cache.directory / "kerasbert-features", (number, number))
        names.append(cache.directory.name)
    weight = sum(map(len, content(cache.directory).values()))
    # Four texts of 12 numbers of 4 bytes are to be added; checksums differ in their digits.
    cache = bare_cache(tmp_path, pooling="pooler", limit=2 * weight + 4 * 12 * 4 + 20)
    cache.source(tokenize(TEXTS))
    assert stores(tmp_path) == {*names[1:], cache.directory.name}


# Training on features is training the model


def trained_whole(config):
    """Train the whole model as `fit` trains; probabilities of the validation texts, and these."""
    dataset = read_dataset(config.data, config.train.seed)
    keras.utils.set_random_seed(config.train.seed)
    model_config = dataclasses.replace(config.model, task=dataset.labels.task)
    model = build_classifier(model_config, dtype="float32")
    tokenizer = Tokenizer.from_directory(config.model.base, config.model.max_length)
    tokens = tokenizer(dataset.train.texts, dataset.train.pairs)
    source = token_source(tokens, [tensor.name for tensor in model.inputs])
    targets = dataset.labels.encode(dataset.train)
    steps_per_epoch = num_batches(len(targets), config.train.batch_size)
    schedule = WarmupThenDecay(config.train.learning_rate, config.train.epochs * steps_per_epoch)
    optimizer = build_optimizer(config.optimizer, schedule)
    compile_classifier(model, dataset.labels.task, optimizer)
    for epoch in range(config.train.epochs):
        batches = training_batches(
            source,
            targets,
            batch_size=config.train.batch_size,
            seed=config.train.seed,
            epoch=epoch,
            bucket=False,
        )
        model.fit(batches, shuffle=False, verbose=0)
    validation = tokenizer(dataset.validation.texts, dataset.validation.pairs)
    inputs = token_source(validation, list(source.signature)).take(np.arange(len(validation)))
    return model.predict(inputs, verbose=0), dataset.validation


def test_on_kept_features_the_head_learns_what_it_learns_in_the_whole_model(frozen):
    config = frozen(pooling="mean", precision="float32", epochs=3, learning_rate=1e-2, seed=5)
    run, shown = fit(config)
    assert counts(shown) == (40, 0)
    expected, validation = trained_whole(config)
    kept = Classifier(run).predict_proba(validation.texts)
    # Adam makes steps of one size out of gradients that differ by rounding.
    np.testing.assert_allclose(kept, expected, atol=1e-3)


def test_pairs_on_kept_features(frozen, tmp_path):
    rows = [
        (text, f"dog {'cat ' * (number % 4)}", label)
        for number, (text, label) in enumerate(comments())
    ]
    path = write_csv(tmp_path / "pairs.csv", ("text", "other", "label"), rows + rows[:4])
    config = frozen(
        train=path, pair_column="other", precision="float32", epochs=2, learning_rate=1e-2
    )
    run, shown = fit(config)
    assert counts(shown) == (40, 0)
    expected, validation = trained_whole(config)
    kept = Classifier(run).predict_proba(validation.texts, validation.pairs)
    np.testing.assert_allclose(kept, expected, atol=1e-5)
    # The same first texts with other second texts are other texts.
    path = write_csv(
        tmp_path / "pairs.csv", ("text", "other", "label"), [(a, "man", c) for a, _, c in rows]
    )
    _, shown = fit(config)
    assert counts(shown) == (40, 0)


# Frozen first blocks


@pytest.mark.parametrize(("layers", "pooling"), [(1, "mean"), (2, "pooler")])
def test_on_kept_activations_all_is_as_with_those_of_each_epoch(
    layers, pooling, toy_base, frozen, cache
):
    changes = {
        "base": toy_base(blocks=2),
        "freeze_base": False,
        "freeze_layers": layers,
        "pooling": pooling,
        "precision": "float32",
        "epochs": 2,
        "learning_rate": 1e-2,
    }
    kept, shown = fit(frozen(**changes))
    assert f"what leaves block {layers} weighs 0.00 GB more than is kept already: kept" in shown
    assert re.findall(r"(\d+) distinct texts encoded", shown) == ["32", "8"]
    before = content(cache)
    elsewhere = str(cache.with_name("elsewhere"))
    computed, shown = fit(frozen(**changes, cache_dir=elsewhere, cache_limit=0.0))
    assert f"what leaves block {layers} weighs 0.00 GB more than is kept already: too much" in shown
    assert "encoded" not in shown
    assert content(cache) == before
    np.testing.assert_allclose(probabilities(kept), probabilities(computed), atol=1e-5)
    untouched = build_classifier(kept.config).get_layer("encoder").blocks()
    names = ["embeddings", "block 1", "block 2"]
    for run in (kept, computed):
        blocks = run.model.get_layer("encoder").blocks()
        assert [name for name in names if is_same(blocks[name], untouched[name])] == names[
            : layers + 1
        ]


def is_same(weights, others):
    return all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(weights, others, strict=True))


def test_activations_of_a_text_are_those_of_its_own_pieces(tmp_path):
    cache = bare_cache(tmp_path, **FIRST_BLOCK)
    tokens = tokenize(["dog", "you are kind"])
    batch = cache.source(tokens).take(np.array([1, 0]))
    assert batch["hidden"].shape == (2, 5, 12)
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]
    assert np.all(batch["hidden"][1, 3:] == 0)
    # 3 pieces and 5 pieces, of 12 numbers of 4 bytes each.
    assert cache.missing_bytes(tokens) == 0
    assert sum(shard.stat().st_size for shard in tmp_path.rglob("rows.npy")) == 128 + 8 * 12 * 4
