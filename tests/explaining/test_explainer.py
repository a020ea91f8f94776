import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

import kerasbert
from kerasbert.data.calibration import Calibration
from kerasbert.data.labels import Labels
from kerasbert.errors import InputError
from kerasbert.explaining.explainer import Explainer, explained_column
from kerasbert.explaining.explanation import METHODS, Explanation
from kerasbert.explaining.integrated_gradients import _gauss_legendre, slopes
from kerasbert.models.running import running_copy
from tests.conftest import WORDS

pytestmark = pytest.mark.usefixtures("eager_gradients")
TEXTS = ["you are kind", "the awful man sings, very very badly !", "dog", "unknownword"]
FORMS = [
    {},
    {"task": "multiclass", "pooling": "mean", "head": "linear", "lora_rank": 2},
    {"task": "multilabel", "pooling": "max", "head": "mlp"},
    {"task": "regression", "pooling": "pooler", "head": "linear"},
    {"family": "distilbert", "head": "classification"},
    {"family": "roberta", "pooling": "last"},
]


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_contributions_add_up_to_the_difference(form, make_classifier):
    classifier = make_classifier(**form)
    outputs = classifier.outputs(TEXTS, None)
    for explanation, row in zip(classifier.explain(TEXTS, steps=30), outputs, strict=True):
        column = classifier.labels.index(explanation.label)
        assert explanation.probability == pytest.approx(row[column], abs=1e-5)
        assert abs(explanation.completeness_error) < 0.01
        assert explanation.steps >= 30
        assert explanation.is_tolerance_reached
        assert explanation.sum_of_contributions == pytest.approx(
            explanation.change + explanation.completeness_error
        )
    assert abs(explanation.change) > 1e-4


@pytest.mark.parametrize("steps", [1, 9, 1000, 8000])
def test_points_on_the_way(steps, monkeypatch):
    find, asked = np.polynomial.legendre.leggauss, []
    monkeypatch.setattr(
        np.polynomial.legendre, "leggauss", lambda n: [asked.append(n), find(min(n, 50))][1]
    )
    points, weights = _gauss_legendre.__wrapped__(steps)
    assert max(asked) <= 1000
    assert len(points) == len(weights) == min(steps, 50) * (steps // max(asked))
    assert points[0] > 0 and points[-1] < 1 and (np.diff(points) > 0).all()
    assert weights @ points == pytest.approx(1 / 2)
    assert weights.sum() == pytest.approx(1)


def test_a_graph_gives_the_same(make_classifier):
    run = make_classifier().run
    outputs = np.array([[0.5, 0.5]])
    found = []
    for is_eager in (True, False):
        tf.config.run_functions_eagerly(is_eager)
        (explanation,) = Explainer(run).explain(TEXTS[:1], None, outputs, steps=9)
        found.append([word.contribution for word in explanation.words])
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


def test_a_linear_score_is_shared_out_by_hand(make_classifier, monkeypatch):
    """Without its blocks the score is a mean of products: a word's share of it is its own."""
    classifier = make_classifier(task="regression", pooling="mean", head="linear", max_length=30)
    encoder = classifier.run.model.get_layer("encoder")
    monkeypatch.setattr(encoder.embeddings, "placed", lambda words, segments: words)
    monkeypatch.setattr(encoder, "upper", lambda words, mask, first: words)
    (explanation,) = classifier.explain(["dog bad dog"], steps=1)
    table = encoder.embeddings.word.embeddings.numpy()
    kernel = classifier.run.model.get_layer("head").get_layer("linear").kernel.numpy()[:, 0]
    dog, bad = (
        (table[WORDS.index(word)] - table[WORDS.index("[PAD]")])
        @ kernel
        / 5  # [CLS] and [SEP], too
        for word in ("dog", "bad")
    )
    found = [word.contribution for word in explanation.words]
    np.testing.assert_allclose(found, [dog, bad, dog], rtol=1e-4)
    assert explanation.completeness_error == pytest.approx(0, abs=1e-6)


def test_leaving_out_is_the_probability_of_the_shorter_text(make_classifier):
    classifier = make_classifier()
    (explanation,) = classifier.explain(["you are, not  kind !"], method="leave-out")
    shorter = ["are, not kind !", "you not kind !", "you are, kind !", "you are, not !",
               "you are, not kind"]  # fmt: skip
    whole, empty, *without = classifier.predict_proba(["you are, not  kind !", "", *shorter])[:, 1]
    assert [word.text for word in explanation.words] == ["you", "are,", "not", "kind", "!"]
    found = [word.contribution for word in explanation.words]
    np.testing.assert_allclose(found, whole - without, atol=1e-5)
    assert np.ptp(found) > 1e-3
    assert explanation.change == pytest.approx(whole - empty, abs=1e-5)
    assert explanation.completeness_error == pytest.approx(sum(found) - (whole - empty), abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_pairs(method, make_classifier):
    classifier = make_classifier(pair_column="other")
    (explanation,) = classifier.explain(["you are"], ["a dog"], method=method)
    assert [(word.text, word.part, word.start) for word in explanation.words] == [
        ("you", 0, 0), ("are", 0, 4), ("a", 1, 0), ("dog", 1, 2)
    ]  # fmt: skip
    assert all(word.contribution != 0 for word in explanation.words)
    if method == "leave-out":
        probability = classifier.predict_proba(["you are"], ["dog"])[0, 1]
        expected = explanation.probability - probability
        assert explanation.words[2].contribution == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_together_is_as_one_by_one(method, make_classifier, monkeypatch):
    monkeypatch.setattr("kerasbert.explaining.explainer._CHUNK", 3)
    classifier = make_classifier(**FORMS[1])
    together = classifier.explain(TEXTS, method=method, steps=9)
    for text, explanation in zip(TEXTS, together, strict=True):
        (alone,) = classifier.explain([text], method=method, steps=9)
        assert alone.label == explanation.label
        np.testing.assert_allclose(
            [word.contribution for word in alone.words],
            [word.contribution for word in explanation.words],
            atol=1e-5,
        )


@pytest.mark.parametrize("method", METHODS)
def test_words_after_the_cut_contribute_nothing(method, make_classifier):
    classifier = make_classifier(max_length=6)
    (cut, short) = classifier.explain(
        ["you are not kind good man", "you are not kind"], method=method
    )
    assert [word.is_read for word in cut.words] == [True] * 4 + [False] * 2
    assert [word.contribution for word in cut.words[4:]] == [0, 0]
    assert [word.contribution for word in cut.words[:4]] == pytest.approx(
        [word.contribution for word in short.words], abs=1e-5
    )
    assert all(word.is_read for word in cut.strongest(10))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("text", ["", " \n", "👩‍👩‍👧", "e\u0301", "[SEP]", "\x00\x1b[31m"])
def test_odd_texts(method, text, make_classifier):
    (explanation,) = make_classifier().explain([text], method=method)
    assert explanation.text == text
    assert "".join(word.text for word in explanation.words) == "".join(text.split())
    if not text.strip():
        assert explanation.words == ()
        assert explanation.change == pytest.approx(0, abs=1e-5)
        assert explanation.completeness_error == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_no_texts(method, make_classifier):
    assert make_classifier().explain([], method=method) == []


CALIBRATIONS = {
    "temperature": Calibration("temperature", temperatures=(2.0,)),
    "isotonic": Calibration("isotonic", curves=(((0.0, 0.4, 1.0), (0.1, 0.7, 0.8)),)),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", CALIBRATIONS)
def test_what_is_explained_is_the_calibrated_probability(name, method, make_classifier):
    run = make_classifier().run
    labels = dataclasses.replace(run.labels, calibration=CALIBRATIONS[name])
    classifier = kerasbert.Classifier(dataclasses.replace(run, labels=labels))
    expected = classifier.predict_proba(TEXTS)[:, 1]
    assert np.abs(expected - make_classifier().predict_proba(TEXTS)[:, 1]).max() > 0.01
    for explanation, probability in zip(
        classifier.explain(TEXTS, method=method), expected, strict=True
    ):
        assert explanation.probability == pytest.approx(probability, abs=1e-5)
        if method == "integrated-gradients":
            assert abs(explanation.completeness_error) < 0.01


def test_the_slope_of_a_calibration():
    plain = Labels("binary", ("label",), ("no", "yes"), (0.5, 0.5))
    outputs = np.array([[0.2, 0.8], [0.999, 0.001]], np.float32)
    np.testing.assert_array_equal(slopes(plain, outputs, 1), [[0, 1], [0, 1]])
    # √b / (√a + √b) has the derivatives -√b / (2 √a (√a + √b)²) and √a / (2 √b (√a + √b)²).
    labels = dataclasses.replace(plain, calibration=CALIBRATIONS["temperature"])
    a, b = np.sqrt(outputs).T
    expected = np.array([-b / (2 * a * (a + b) ** 2), a / (2 * b * (a + b) ** 2)]).T
    np.testing.assert_allclose(slopes(labels, outputs, 1), expected, rtol=1e-2)
    labels = dataclasses.replace(plain, calibration=CALIBRATIONS["isotonic"])
    np.testing.assert_allclose(slopes(labels, outputs, 1), [[0, 1 / 6], [0, 1.5]], rtol=1e-3)


def test_which_label_is_explained():
    outputs = np.array([0.7, 0.2, 0.1])
    names = ("a", "b", "c")
    multiclass = Labels("multiclass", ("label",), names)
    assert explained_column(multiclass, outputs) == 0
    assert explained_column(multiclass, outputs, "c") == 2
    by_ratio = dataclasses.replace(multiclass, thresholds=(0.9, 0.1, 0.9))
    assert explained_column(by_ratio, outputs) == 1
    unsure = dataclasses.replace(by_ratio, unsure_below=0.99)
    assert explained_column(unsure, outputs) == 0
    assert explained_column(Labels("multilabel", names, names, (0.5,) * 3), outputs) == 0
    binary = Labels("binary", ("label",), ("a", "b"), (0.5, 0.5))
    assert explained_column(binary, outputs[:2]) == 1
    with pytest.raises(InputError, match=r"Received: label='B'\. Did you mean 'b'\?"):
        explained_column(binary, outputs[:2], "B")


@pytest.mark.parametrize("method", METHODS)
def test_there_and_back_as_a_dict(method, make_classifier):
    (explanation,) = make_classifier(pair_column="other").explain(["a dog"], ["b"], method=method)
    values = json.loads(json.dumps(explanation.to_dict()))
    assert Explanation.from_dict(values) == explanation
    assert values["completeness_error"] == explanation.completeness_error
    assert values["words"][0]["text"] == "a"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "leave_out"}, "Received: method='leave_out'. Did you mean 'leave-out'?"),
        ({"label": "ruder"}, "`label` must be one of 'civil', 'rude'."),
        ({"steps": 0}, "`steps` must be at least 1 and at most 1,000. Received: steps=0."),
        ({"text_pairs": ["b"]}, "was trained on single texts"),
    ],
)
def test_bad_calls(changes, message, make_classifier):
    with pytest.raises(InputError) as error:
        make_classifier().explain(["a"], **changes)
    assert message in str(error.value)


def test_more_points_where_they_are_too_few(make_classifier, monkeypatch):
    monkeypatch.setattr("kerasbert.explaining.integrated_gradients._TOLERANCE", -1.0)
    explainer = Explainer(make_classifier().run)  # the classifier's own has its tolerance
    (explanation,) = explainer.explain(["you are kind"], None, np.array([[0.5, 0.5]]), steps=2)
    assert explanation.steps == 16
    assert not explanation.is_tolerance_reached


def test_half_precision_is_explained_in_float32(make_classifier):
    run = make_classifier().run
    rounded = dataclasses.replace(
        run, model=running_copy(run.model, run.config, "bfloat16"), running_precision="bfloat16"
    )
    (explanation,) = kerasbert.Classifier(rounded).explain(["you are kind"])
    assert explanation.probability == pytest.approx(
        kerasbert.Classifier(run).predict_proba(["you are kind"])[0, 1], abs=0.05
    )
    assert abs(explanation.completeness_error) < 0.01
