"""On Keras's other backends, and with the encoder of transformers."""

import importlib.util
import json

import numpy as np
import pytest

import kerasbert
from kerasbert.errors import InputError
from tests.test_portability import python

TEXT = "you are kind, not a fool"


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_leaving_out_on_another_backend(backend, make_classifier, tmp_path):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    classifier = make_classifier()
    kerasbert.save(tmp_path / "run", classifier.run)
    code = """
        import json, sys
        import kerasbert

        classifier = kerasbert.load(sys.argv[1], precision="float32")
        (explanation,) = classifier.explain([sys.argv[2]], method="leave-out")
        try:
            classifier.explain([sys.argv[2]])
        except kerasbert.InputError as error:
            refused = str(error)
        words = [word.contribution for word in explanation.words]
        print(json.dumps(["tensorflow" in sys.modules, words, refused]))
    """
    printed = python(code, tmp_path / "run", TEXT, KERAS_BACKEND=backend)
    is_loaded, contributions, refused = json.loads(printed)
    assert not is_loaded
    assert "Use the method 'leave-out'" in refused
    (explanation,) = classifier.explain([TEXT], method="leave-out")
    expected = [word.contribution for word in explanation.words]
    np.testing.assert_allclose(contributions, expected, atol=1e-4)


def test_the_encoder_of_transformers_is_explained_by_leaving_out(make_classifier):
    pytest.importorskip("tf_keras")
    classifier = make_classifier(family="gpt2", encoder="transformers")
    texts = [TEXT, "dog", ""]
    for explanation in classifier.explain(texts, method="leave-out"):
        probability = classifier.predict_proba([explanation.text])[0, 1]
        assert explanation.probability == pytest.approx(probability, abs=1e-5)
        assert np.isfinite(explanation.completeness_error)
    with pytest.raises(InputError, match="need the native encoder"):
        classifier.explain(texts)
