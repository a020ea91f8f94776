"""Two at once need features of the same texts: one encodes, the other waits and finds them."""

import threading
import time

import numpy as np
import pytest

from kerasbert.training.features import FeatureCache
from tests.training.test_features import bare_cache, tokenize

TEXTS = ["you are kind", "idiot", "dog", "the man sings"]


@pytest.mark.parametrize("more", [[], ["cat", "a rude woman"]])
def test_the_second_one_waits_and_encodes_what_is_left(more, tmp_path, monkeypatch):
    # As of two processes: each has a cache of its own in the same directory.
    first, second = (bare_cache(tmp_path, pooling="mean") for _ in range(2))
    tokens, others = tokenize(TEXTS), tokenize([*TEXTS[1:], *more])
    encode, begun, encoded = FeatureCache._encode, threading.Event(), []

    def encode_slowly(cache, tokens, texts, keys, on_progress):
        begun.set()
        if cache is first:
            time.sleep(0.5)  # so the other one asks meanwhile
        encode(cache, tokens, texts, keys, on_progress)
        encoded.append((cache, len(keys)))

    monkeypatch.setattr(FeatureCache, "_encode", encode_slowly)
    thread = threading.Thread(target=first.source, args=[tokens])
    thread.start()
    assert begun.wait(10)
    source = second.source(others)
    thread.join()
    assert encoded == [(first, 4), *([(second, len(more))] if more else [])]
    assert (second.num_encoded, second.num_found) == (len(more), 3)
    alone = bare_cache(pooling="mean").source(others)
    everything = np.arange(len(others))
    np.testing.assert_allclose(
        source.take(everything)["pooled"], alone.take(everything)["pooled"], atol=1e-6
    )
    for cache in (first, second):
        cache.close()


def test_one_that_is_interrupted_keeps_nobody_waiting(tmp_path, monkeypatch):
    first, second = (bare_cache(tmp_path, pooling="mean") for _ in range(2))

    def interrupted(cache, *args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patches, pytest.raises(KeyboardInterrupt):
        patches.setattr(FeatureCache, "_encode", interrupted)
        first.source(tokenize(TEXTS))
    second.source(tokenize(TEXTS))
    assert second.num_encoded == 4
