import csv
import dataclasses
import json
import shutil
import signal

import numpy as np
import pytest

from kerasbert import repeats
from kerasbert.errors import TrainingError
from kerasbert.inference import load
from kerasbert.places import choose_output
from kerasbert.repeats import fit_repeatedly
from kerasbert.runs import fit_to
from kerasbert.training.recorder import Recorder
from tests.conftest import comments, toy_config


def test_a_run_of_several_seeds_is_the_run_of_that_seed(toy_base, comments_csv, tmp_path):
    settings = {"freeze_base": True, "test": comments_csv}
    config = toy_config(toy_base(), comments_csv, seeds=(0, 3), **settings)
    summary = fit_repeatedly(tmp_path / "runs", config)
    alone = fit_to(tmp_path / "alone", toy_config(toy_base(), comments_csv, seed=3, **settings))
    together = load(tmp_path / "runs" / "seed_3", precision="float32").run
    for ours, theirs in zip(together.model.weights, alone.model.weights, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())
    assert set(summary) == {"validation", "test"}
    assert summary["test"]["accuracy"]["values"][1] == alone.report["test"]["accuracy"]
    values = summary["test"]["loss"]["values"]
    assert summary["test"]["loss"]["mean"] == pytest.approx(np.mean(values))
    assert summary["test"]["loss"]["spread"] == pytest.approx(np.std(values, ddof=1))
    assert json.loads((tmp_path / "runs" / "summary.json").read_text()) == summary
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == [
        "seed_0", "seed_3", "summary.json"
    ]  # fmt: skip
    assert not (tmp_path / "runs.unfinished").exists()


def test_seeds_that_failed_go_on_with_the_one_that_did(
    toy_base, comments_csv, tmp_path, monkeypatch
):
    config = toy_config(toy_base(), comments_csv, freeze_base=True, seeds=(0, 1))
    trained = []

    def fit_and_fail(output, member, *args, **settings):
        trained.append(member.train.seed)
        if trained == [0, 1]:
            raise TrainingError("out of luck")
        return fit_to(output, member, *args, **settings)

    monkeypatch.setattr(repeats, "fit_to", fit_and_fail)
    with pytest.raises(TrainingError, match="out of luck"):
        fit_repeatedly(tmp_path / "runs", config)
    first = (tmp_path / "runs" / "seed_0" / "metadata.json").stat().st_mtime_ns
    resumed = toy_config(
        toy_base(), comments_csv, freeze_base=True, seeds=(0, 1), resume=True,
        output=str(tmp_path / "runs"),
    )  # fmt: skip
    assert choose_output(resumed) == tmp_path / "runs"
    summary = fit_repeatedly(tmp_path / "runs", resumed)
    assert summary["validation"]["count"]["values"] == [8, 8]
    assert (tmp_path / "runs" / "seed_0" / "metadata.json").stat().st_mtime_ns == first


def test_ctrl_c_ends_all_of_them(toy_base, comments_csv, tmp_path, monkeypatch):
    take_step = Recorder.step

    def press_ctrl_c(self, progress, **numbers):
        take_step(self, progress, **numbers)
        if progress.num_steps == 1:  # the second time it would stop at once
            signal.raise_signal(signal.SIGINT)

    settings = {"freeze_base": True, "epochs": 2, "seeds": (0, 1), "resume": True}
    config = toy_config(toy_base(), comments_csv, **settings)
    with monkeypatch.context() as patches:
        patches.setattr(Recorder, "step", press_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            fit_repeatedly(tmp_path / "runs", config)
    assert [path.name for path in (tmp_path / "runs").iterdir() if path.is_dir()]
    assert not (tmp_path / "runs" / "seed_1").exists()
    summary = fit_repeatedly(tmp_path / "runs", config)
    assert summary["validation"]["accuracy"]["counted"] == 2


def test_folds_keep_what_each_row_got_while_it_was_held_out(toy_base, comments_csv, tmp_path):
    config = toy_config(toy_base(), comments_csv, freeze_base=True, folds=2, precision="float32")
    summary = fit_repeatedly(tmp_path / "runs", config)
    with open(tmp_path / "runs" / "out_of_fold.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["label"] for row in rows] == [label for _, label in comments()]
    assert [int(row["row"]) for row in rows] == list(range(2, 42))
    assert {row["fold"] for row in rows} == {"1", "2"}
    classifiers = [load(tmp_path / "runs" / f"fold_{number}") for number in (1, 2)]
    for row, (text, _) in zip(rows, comments(), strict=True):
        expected = classifiers[int(row["fold"]) - 1].predict_proba([text])[0]
        found = [float(row["probability_civil"]), float(row["probability_rude"])]
        np.testing.assert_allclose(found, expected, atol=1e-5)
    right = np.mean([row["prediction"] == row["label"] for row in rows])
    assert summary["out_of_fold"]["accuracy"] == pytest.approx(right)
    assert summary["out_of_fold"]["count"] == 40

    # Gone on with where one fold is complete, which then is asked anew, and one is not.
    shutil.rmtree(tmp_path / "runs" / "fold_2")
    resumed = fit_repeatedly(tmp_path / "runs", dataclasses.replace(config, resume=True))
    with open(tmp_path / "runs" / "out_of_fold.csv", newline="", encoding="utf-8") as file:
        again = list(csv.DictReader(file))
    for row, before in zip(again, rows, strict=True):
        for name in ("probability_civil", "probability_rude"):
            assert float(row.pop(name)) == pytest.approx(float(before.pop(name)), abs=1e-5)
        assert row == before
    assert resumed["validation"] == summary["validation"]
