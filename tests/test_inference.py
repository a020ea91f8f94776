import gc

import keras
import numpy as np
import pandas as pd
import psutil
import pytest

import kerasbert
from kerasbert.config import ModelConfig
from kerasbert.data.labels import Labels
from kerasbert.data.tokens import Tokenizer
from kerasbert.errors import InputError
from kerasbert.models.classifier import build_classifier
from kerasbert.models.resolving import resolve_model_config
from tests.conftest import call_from_threads, encoder_config, make_tokenizer

TEXTS = ["you are kind", "the awful man sings very very very very badly", "", "dog"] * 12


def make_classifier(task, names, pair_column=None):
    config = ModelConfig(task=task, num_labels=len(names), max_length=32, base="toy")
    base = encoder_config("bert", blocks=1)  # of which a graph is made, and run, in less time
    config = resolve_model_config(config, base)
    keras.utils.set_random_seed(7)  # fixtures of a module are made before each test's seed is set
    model = build_classifier(config, encoder_config=base)
    columns = names if task == "multilabel" else ("label",)
    thresholds = (0.5,) * len(names) if task in ("binary", "multilabel") else None
    labels = Labels(task, columns, names, thresholds)
    fit = {"data": {"text_column": "text", "pair_column": pair_column}}
    tokenizer = Tokenizer(make_tokenizer(), 32)
    return kerasbert.Classifier(kerasbert.Run(model, config, labels, tokenizer, fit=fit))


@pytest.fixture(scope="module")
def binary():
    return make_classifier("binary", ("civil", "rude"))


def test_one_column_per_label_name(binary):
    probabilities = binary.predict_proba(TEXTS)
    assert probabilities.shape == (len(TEXTS), 2)
    assert probabilities.dtype == np.float32
    assert binary.labels == ["civil", "rude"]
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_alone_equals_in_a_batch_and_order_is_kept(binary):
    together = binary.predict_proba(TEXTS)
    alone = np.concatenate([binary.predict_proba([text]) for text in TEXTS])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert np.ptp(together[:, 0]) > 1e-4


def test_decisions_follow_the_thresholds(binary):
    probabilities = binary.predict_proba(TEXTS)
    expected = ["rude" if rude >= 0.5 else "civil" for rude in probabilities[:, 1]]
    assert binary.predict(TEXTS) == expected


def test_multilabel_gives_lists_of_names():
    classifier = make_classifier("multilabel", ("toxic", "threat", "insult"))
    probabilities = classifier.predict_proba(["you are kind"])
    expected = [
        name for name, p in zip(classifier.labels, probabilities[0], strict=True) if p >= 0.5
    ]
    assert classifier.predict(["you are kind"]) == [expected]


def test_regression_gives_scores_and_no_probabilities():
    classifier = make_classifier("regression", ("label",))
    (score,) = classifier.predict(["you are kind"])
    assert isinstance(score, float)
    with pytest.raises(InputError, match="scores and no probabilities: call predict"):
        classifier.predict_proba(["you are kind"])


def test_pairs_are_read():
    classifier = make_classifier("binary", ("no", "yes"), pair_column="other")
    one = classifier.predict_proba(["dog"], text_pairs=["you are kind"])
    other = classifier.predict_proba(["dog"], text_pairs=["the awful man"])
    assert np.abs(one - other).max() > 1e-5
    with pytest.raises(InputError, match="Expected as many `text_pairs` as `texts`"):
        classifier.predict_proba(["dog"], ["you", "are"])
    with pytest.raises(InputError, match="was trained on pairs of texts"):
        classifier.predict_proba(["dog"])


def test_a_series_an_array_and_nothing_at_all(binary):
    expected = binary.predict_proba(TEXTS[:4])
    np.testing.assert_array_equal(binary.predict_proba(pd.Series(TEXTS[:4])), expected)
    np.testing.assert_array_equal(binary.predict_proba(np.array(TEXTS[:4])), expected)
    assert binary.predict_proba([]).shape == (0, 2)
    assert binary.predict([]) == []


@pytest.mark.parametrize(
    ("texts", "pairs", "message"),
    [
        (
            "one text",
            None,
            "`texts` must be a list of strings. Received: one string; put it in [].",
        ),
        (["a", None], None, "`texts` must hold strings. Received: texts[1]=None (NoneType)."),
        (["a"], ["b"], "The model was trained on single texts: leave the second ones out."),
    ],
)
def test_bad_input(texts, pairs, message, binary):
    with pytest.raises(InputError) as error:
        binary.predict_proba(texts, pairs)
    assert str(error.value) == message


def test_several_threads_at_once(binary):
    expected = binary.predict_proba(TEXTS)
    wrong = []

    def call():
        for _ in range(10):
            if np.abs(binary.predict_proba(TEXTS) - expected).max() > 1e-5:
                wrong.append(1)

    call_from_threads(call)
    assert not wrong


def test_memory_does_not_grow_over_10_000_calls(binary):
    def call(times):
        for number in range(times):
            binary.predict_proba(["very " * (number % 29)])

    call(500)
    gc.collect()
    before = psutil.Process().memory_info().rss
    call(10_000)
    gc.collect()
    grown = psutil.Process().memory_info().rss - before
    # A traced graph per call, or one kept batch, would be over a kilobyte each.
    assert grown < 8 * 2**20
