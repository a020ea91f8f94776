"""Without tf_keras and without transformers' TensorFlow classes; on Keras's other backends."""

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import kerasbert
from kerasbert.training.fitting import fit_classifier
from tests.conftest import toy_config

ROOT = Path(__file__).parent.parent
TEXTS = ["you are kind", "you fool !", "a dog sings"]


def python(code: str, *args, **environment) -> str:
    """Run code in a process of its own, where nothing is imported yet."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, args)],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip().splitlines()[-1]


@pytest.fixture(scope="module", params=["frozen", "lora"])
def saved(request, toy_base, tmp_path_factory):
    directory = tmp_path_factory.mktemp("runs") / "run"
    if request.param == "frozen":
        config = toy_config(toy_base(), freeze_base=True, limit=60)
    else:
        config = toy_config(toy_base(), lora_rank=3, learning_rate=1e-2, limit=60)
        config = dataclasses.replace(config, keep_lora=True)
    kerasbert.save(directory, fit_classifier(config))
    return directory


@pytest.fixture(scope="module")
def without_the_extra(toy_base, tmp_path_factory):
    """What a process that cannot have the extra says of its encoder, and the shape it predicts."""
    code = """
        import json, sys

        class Border:
            def find_spec(self, name, path=None, target=None):
                if "modeling_tf" in name:
                    raise ImportError(f"{name} is not to be had here")

        sys.modules["tf_keras"] = None  # as if it were not installed
        import kerasbert
        from kerasbert import DataConfig, FitConfig, ModelConfig, TrainConfig

        base, output = sys.argv[1:]
        config = ModelConfig(base=base, encoder="transformers", max_length=32)
        try:
            kerasbert.build_classifier(config)
        except kerasbert.InputError as error:
            message = str(error)
        sys.meta_path.insert(0, Border())
        for freeze_base in (True, False):
            run = kerasbert.fit_classifier(FitConfig(
                data=DataConfig(limit=60),
                model=ModelConfig(base=base, max_length=32, freeze_base=freeze_base),
                train=TrainConfig(epochs=1),
            ))
        kerasbert.save(output, run)
        shape = kerasbert.load(output).predict_proba(["you are kind"]).shape
        assert not [name for name in sys.modules if "modeling_tf" in name]
        print(json.dumps([message, shape]))
    """
    return json.loads(python(code, toy_base(), tmp_path_factory.mktemp("without") / "run"))


def test_a_native_run_needs_neither_tf_keras_nor_the_tensorflow_classes(without_the_extra):
    _, shape = without_the_extra
    assert shape == [1, 2]


def test_without_the_extra_the_transformers_encoder_says_what_to_install(without_the_extra):
    message, _ = without_the_extra
    assert "pip install 'kerasbert[transformers]'" in message


def where_installed(backend):
    """The name of a backend; without it no run is trained for it either."""
    is_there = importlib.util.find_spec(backend) is not None
    skip = pytest.mark.skipif(not is_there, reason=f"{backend} is not installed")
    return pytest.param(backend, marks=skip)


@pytest.mark.parametrize("backend", [where_installed("jax"), where_installed("torch")])
def test_another_backend_gives_the_same_probabilities(backend, saved):
    code = """
        import json, sys
        import kerasbert

        classifier = kerasbert.load(sys.argv[1], precision="float32")
        loaded = [name for name in ("tensorflow", "tf_keras") if name in sys.modules]
        print(json.dumps([loaded, classifier.predict_proba(json.loads(sys.argv[2])).tolist()]))
    """
    printed = python(code, saved, json.dumps(TEXTS), KERAS_BACKEND=backend)
    loaded, probabilities = json.loads(printed)
    assert loaded == []
    expected = kerasbert.load(saved, precision="float32").predict_proba(TEXTS)
    np.testing.assert_allclose(probabilities, expected, atol=1e-4)
