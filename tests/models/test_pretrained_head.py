"""A fine-tuned Hugging Face text classifier, its head taken along."""

import json

import numpy as np
import pytest
import safetensors.numpy

from kerasbert.config import ModelConfig
from kerasbert.errors import InputError
from kerasbert.inference import Classifier
from kerasbert.models.classifier import build_classifier
from kerasbert.models.pretrained_head import pretrained_label_order
from kerasbert.training.fitting import fit_classifier
from tests.conftest import encoder_config, make_tokenizer, tensorflow_model, toy_config, write_csv

pytest.importorskip("tf_keras")
LABELS = {"0": "rude", "1": "civil", "2": "odd"}


@pytest.fixture(scope="module", params=["bert", "distilbert"])
def published(request, tmp_path_factory):
    """A directory as a user of transformers has it, and the model that wrote it."""
    directory = tmp_path_factory.mktemp(request.param)
    config = encoder_config(request.param)
    config.num_labels = 3
    config.id2label = {int(number): name for number, name in LABELS.items()}
    model = tensorflow_model(request.param, "TFAutoModelForSequenceClassification", config=config)
    random = np.random.default_rng(3)
    for weight in model.weights:
        weight.assign(weight + random.normal(0, 0.3, weight.shape))
    model.save_pretrained(directory)
    make_tokenizer().save_pretrained(directory)
    return directory, model


ROWS = [
    (f"{words} {number}", label)
    for number in range(4)
    for words, label in (("you fool", "rude"), ("thank you", "civil"), ("a dog sings", "odd"))
]


def test_answers_as_the_published_model(published, tmp_path):
    directory, model = published
    path = write_csv(tmp_path / "a.csv", ("text", "label"), ROWS)
    run = fit_classifier(
        toy_config(directory, path, head="pretrained", epochs=0, precision="float32")
    )
    assert run.labels.names == ("rude", "civil", "odd")  # the checkpoint's order, not the sorted
    texts = ["you are kind", "thank you , fool !"]
    batch = make_tokenizer()(texts, padding=True, return_tensors="np")
    inputs = {name: batch[name] for name in run.input_names}
    logits = np.asarray(model(inputs, training=False).logits)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.ptp(expected, axis=0).max() > 1e-3
    np.testing.assert_allclose(Classifier(run).predict_proba(texts), expected, atol=1e-5)


@pytest.mark.usefixtures("eager")
def test_it_can_be_trained_on(published, tmp_path):
    directory, _ = published
    path = write_csv(tmp_path / "a.csv", ("text", "label"), ROWS)
    run = fit_classifier(toy_config(directory, path, head="pretrained", epochs=1))
    untouched = build_classifier(run.config)
    for before, after in zip(untouched.weights, run.model.weights, strict=True):
        assert not np.array_equal(before, after)


def test_labels_of_other_names_are_refused(published, tmp_path):
    directory, _ = published
    rows = [(text, label.upper()) for text, label in ROWS]
    path = write_csv(tmp_path / "a.csv", ("text", "label"), rows)
    message = "tells 'rude', 'civil', 'odd' apart, and the data has 'CIVIL', 'ODD', 'RUDE'"
    with pytest.raises(InputError, match=message):
        fit_classifier(toy_config(directory, path, head="pretrained"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_labels": 2}, "has 3 labels, and the data has 2"),
        (
            {"hidden_units": (7,), "num_labels": 3, "task": "multiclass"},
            "`hidden_units` must be left out with --head pretrained",
        ),
        ({"pooling": "mean", "num_labels": 3, "task": "multiclass"}, "`pooling` must be '"),
    ],
)
def test_what_does_not_go_with_the_head_is_refused(published, changes, message):
    directory, _ = published
    config = ModelConfig(base=str(directory), head="pretrained", max_length=32, **changes)
    with pytest.raises(InputError, match=message):
        build_classifier(config)


def test_a_base_without_a_head_is_refused(toy_base):
    config = ModelConfig(base=str(toy_base()), head="pretrained", max_length=32)
    with pytest.raises(InputError, match=r"brings no head along: it has no '\w+\.weight'"):
        build_classifier(config)


def test_a_family_without_a_known_head_is_refused():
    config = ModelConfig(head="pretrained", max_length=32)
    with pytest.raises(InputError, match="only the heads of BERT and DistilBERT"):
        build_classifier(config, encoder_config=encoder_config("roberta"))


def test_the_kind_of_problem_must_be_that_of_the_data():
    config = encoder_config("bert")
    config.problem_type = "multi_label_classification"
    asked = ModelConfig(head="pretrained", max_length=32)
    with pytest.raises(InputError, match="was trained for 'multi_label_classification'"):
        build_classifier(asked, encoder_config=config)


def test_a_head_of_another_shape_is_refused(toy_base, tmp_path):
    source = toy_base()
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    state = safetensors.numpy.load_file(tmp_path / "model.safetensors")
    state = {f"bert.{name}": value for name, value in state.items()}
    state |= {"classifier.weight": np.zeros((2, 7), np.float32), "classifier.bias": np.zeros(2)}
    safetensors.numpy.save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    config = ModelConfig(base=str(tmp_path), head="pretrained", max_length=32)
    with pytest.raises(InputError, match=r"'classifier.weight' in the shape \(7, 2\), expected"):
        build_classifier(config)


def test_labels_without_names_keep_the_order_of_the_data():
    config = encoder_config("bert")
    assert json.dumps(config.id2label[0]) == '"LABEL_0"'
    assert pretrained_label_order(("no", "yes"), config) == ("no", "yes")
