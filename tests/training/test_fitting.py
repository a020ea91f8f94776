import dataclasses
import json
import math
import shutil
from io import StringIO

import keras
import numpy as np
import pytest
from rich.console import Console

from kerasbert.config import FitConfig
from kerasbert.config_json import from_dict
from kerasbert.data.dataset import read_dataset
from kerasbert.errors import InputError, TrainingError
from kerasbert.inference import Classifier
from kerasbert.models.classifier import build_classifier
from kerasbert.models.optimization import AdamW, compile_classifier
from kerasbert.training.callbacks import FreezingProof, Steps
from kerasbert.training.fitting import fit_classifier
from kerasbert.training.parts import Part
from tests.conftest import comments, encoder_config, toy_config, write_csv

# With these a toy base learns its toy task to the end, whatever the seed.
LEARNS = {"epochs": 12, "learning_rate": 1e-2, "pooling": "mean", "head": "linear"}


def test_learns_what_can_be_learned(toy_base, comments_csv):
    config = toy_config(toy_base(), comments_csv, test=comments_csv, **LEARNS)
    run = fit_classifier(config)
    assert set(run.report) == {"validation", "test"}
    assert run.report["test"]["accuracy"] > 0.9
    assert run.report["test"]["count"] == 40
    classifier = Classifier(run)
    assert classifier.predict(["you are idiot fool", "you are kind nice"]) == ["rude", "civil"]


def test_pairs_are_cut_as_the_config_says(toy_base, tmp_path):
    rows = [(text, "cat", label) for text, label in comments()]
    path = write_csv(tmp_path / "pairs.csv", ("text", "reply", "label"), rows)
    config = toy_config(
        toy_base(), path, pair_column="reply", truncation="proportional", freeze_base=True
    )
    assert fit_classifier(config).tokenizer.truncation == "proportional"


@pytest.mark.usefixtures("eager")
def test_the_same_seed_gives_the_same_weights(toy_base, comments_csv):
    config = toy_config(toy_base(), comments_csv, seed=3, head="linear")
    first, second = (fit_classifier(config).model.get_weights() for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    other = fit_classifier(
        toy_config(toy_base(), comments_csv, seed=4, head="linear")
    ).model.get_weights()
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


def test_the_settings_of_a_run_make_the_same_run(toy_base, comments_csv):
    run = fit_classifier(toy_config(toy_base(), comments_csv, freeze_base=True))
    settings = from_dict(FitConfig, run.fit)
    assert settings.model == run.config
    assert settings.model.pooling == "cls"
    assert settings.train.learning_rate == 1e-2
    again = fit_classifier(settings)
    assert again.report == run.report


def test_a_frozen_base_stays_as_it_was_and_says_so(toy_base, comments_csv):
    shown = StringIO()
    config = toy_config(toy_base(blocks=2), comments_csv, freeze_base=True, epochs=2)
    run = fit_classifier(config, console=Console(file=shown, width=120))
    encoder = run.model.get_layer("encoder")
    untouched = build_classifier(run.config).get_layer("encoder")
    for weight, original in zip(encoder.weights, untouched.weights, strict=True):
        np.testing.assert_array_equal(weight.numpy(), original.numpy())
    assert f"{len(encoder.weights)} frozen weights unchanged bit for bit" in shown.getvalue()
    assert "examples/s" in shown.getvalue()
    assert "encoder, block 2" in shown.getvalue()


def test_bars_on_a_terminal(toy_base, comments_csv):
    shown = StringIO()
    console = Console(file=shown, width=120, force_terminal=True)
    config = toy_config(toy_base(), comments_csv, epochs=2, freeze_base=True)
    fit_classifier(config, console=console)
    assert "epoch 2/2, validating" in shown.getvalue()
    assert "32/32 examples" in shown.getvalue()


@pytest.mark.usefixtures("eager")
def test_the_terminal_is_whole_again_after_an_error(toy_base, comments_csv, monkeypatch):
    def interrupt(self, batch, logs=None):
        raise KeyboardInterrupt

    monkeypatch.setattr(Steps, "on_train_batch_end", interrupt)
    shown = StringIO()
    console = Console(file=shown, width=120, force_terminal=True)
    with pytest.raises(KeyboardInterrupt):
        fit_classifier(toy_config(toy_base(), comments_csv), console=console)
    assert shown.getvalue().count("\x1b[?25l") == shown.getvalue().count("\x1b[?25h") > 0


def test_a_tokenizer_that_does_not_fit_the_base(toy_base, comments_csv, tmp_path):
    directory = shutil.copytree(toy_base(), tmp_path / "base")
    path = directory / "tokenizer.json"
    values = json.loads(path.read_text())
    values["model"]["vocab"]["more"] = 5000
    path.write_text(json.dumps(values))
    with pytest.raises(InputError, match="knows the piece number 5000, and its encoder has 37"):
        fit_classifier(toy_config(directory, comments_csv))


def test_a_weight_that_moves_though_frozen_stops_the_training():
    config = toy_config("toy").model
    model = build_classifier(config, encoder_config=encoder_config("bert", blocks=1))
    compile_classifier(model, "binary", AdamW(1e-2))
    ids = np.array([[3, 7, 9, 4]] * 4, np.int32)
    batch = {"input_ids": ids, "attention_mask": ids * 0 + 1, "token_type_ids": ids * 0}
    model.fit(batch, np.array([0, 1, 0, 1]), verbose=0)
    model.get_layer("encoder").freeze(base=True)  # too late: the step knows what it trains
    proof = FreezingProof(Console(quiet=True), model)
    with pytest.raises(TrainingError, match="moved in the first step"):
        model.fit(batch, np.array([0, 1, 0, 1]), verbose=0, callbacks=[proof])


def test_nan_within_a_call_of_several_steps_is_told_of_the_step_that_has_it(toy_base, comments_csv):
    # The first loss is of the weights at the start, the second of weights beyond all numbers.
    settings = {"freeze_base": True, "head": "linear", "learning_rate": 1e38, "warmup": 0.0}
    with pytest.raises(TrainingError, match=r"at step 2 of epoch 1"):
        fit_classifier(toy_config(toy_base(), comments_csv, **settings))


@pytest.mark.usefixtures("eager")
def test_nan_stops_the_training(toy_base, comments_csv, monkeypatch):
    monkeypatch.setattr(
        "kerasbert.training.plan.build_loss",
        lambda *settings: lambda truth, outputs: keras.ops.mean(outputs) * math.nan,
    )
    with pytest.raises(TrainingError, match=r"The loss became nan at step 1 of epoch 1.*smaller"):
        fit_classifier(toy_config(toy_base(), comments_csv))


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(precision, toy_base, comments_csv, monkeypatch):
    optimizers = []
    compile_part = Part.compile

    def look(self, task, optimizer, *settings):
        optimizers.append(optimizer)
        compile_part(self, task, optimizer, *settings)

    monkeypatch.setattr(Part, "compile", look)
    run = fit_classifier(toy_config(toy_base(), comments_csv, precision=precision))
    assert run.precision == precision
    assert math.isfinite(run.report["validation"]["loss"])
    (optimizer,) = optimizers
    is_scaled = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    assert is_scaled == (precision == "mixed_float16")


def test_multilabel_with_unknown_cells(toy_base, tmp_path):
    rows = [
        (text, int(label == "rude"), "" if number % 3 == 0 else number % 2)
        for number, (text, label) in enumerate(comments())
    ]
    path = write_csv(tmp_path / "m.csv", ("text", "rude", "odd"), rows)
    config = toy_config(toy_base(), path, label_columns=("rude", "odd"), freeze_base=True)
    run = fit_classifier(config)
    assert run.labels.names == ("rude", "odd")
    report = run.report["validation"]
    assert [label["name"] for label in report["labels"]] == ["rude", "odd"]
    assert math.isfinite(report["loss"])


def test_regression_of_pairs_in_the_users_own_scale(toy_base, tmp_path):
    rows = [(f"man {number}", "sings " * (number % 5), 100.5 + number % 5) for number in range(40)]
    path = write_csv(tmp_path / "r.csv", ("text", "other", "label"), rows)
    config = toy_config(toy_base(), path, pair_column="other", **LEARNS)
    run = fit_classifier(config)
    assert 100 < run.config.target_mean < 105
    assert set(run.report["validation"]) == {"loss", "mse", "pearson", "spearman", "count"}
    assert run.report["validation"]["mse"] < 2
    classifier = Classifier(run)
    low, high = classifier.predict(["man", "man"], ["", "sings sings sings sings"])
    assert low < high


def test_a_dataset_of_ones_own(toy_base, comments_csv):
    dataset = read_dataset(toy_config(toy_base(), comments_csv).data)
    half = dataset.train.take(range(0, len(dataset.train), 2))
    dataset = dataclasses.replace(dataset, train=dataset.train.take(range(16)), test=half)
    run = fit_classifier(toy_config(toy_base(), freeze_base=True), dataset)
    assert run.report["test"]["count"] == len(half)
