"""The door to sweeps, opened as from a shell, with trainings of toy bases."""

import collections
import csv
import gc
import signal
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

import kerasbert
from kerasbert import fit, tune
from kerasbert.config import FitConfig
from kerasbert.config_json import read_config
from kerasbert.data import examples
from kerasbert.data.dataset import Dataset
from kerasbert.data.examples import Examples
from kerasbert.data.tokens import Tokenizer
from kerasbert.errors import InputError
from kerasbert.models.bert import BertEncoder
from kerasbert.reporting import writing
from kerasbert.reporting.page import write_page
from kerasbert.run_directory import read_json
from kerasbert.search import running, winner, workers
from kerasbert.search.place import SweepDirectory
from kerasbert.training.features import FeatureCache
from kerasbert.training.fitting import fit_classifier
from tests import forking
from tests.conftest import comments, write_csv
from tests.reporting.reading import check_page

TEXTS = [("you are nice kind one", "civil"), ("you are rude two", "rude"), ("fool three", "rude")]


def watch(patches):
    """Note what a sweep does: lists by what was done."""
    done = collections.defaultdict(list)

    def note(owner, name, what):
        function = getattr(owner, name)

        def noting(*args, **options):
            done[name].append(what(*args))
            return function(*args, **options)

        patches.setattr(owner, name, noting)

    def alive(*args):
        """Objects when a training begins, of those that trainings make."""
        kinds = (keras.Variable, tf.Graph, keras.Layer, Tokenizer, Dataset, Examples)
        gc.collect()
        counts = dict.fromkeys((kind.__name__ for kind in kinds), 0)
        for one in gc.get_objects():
            for kind in kinds:
                counts[kind.__name__] += issubclass(type(one), kind)
        return counts

    note(running, "fit_classifier", lambda config, dataset: (dataset.test, alive()))
    note(winner, "Judged", lambda labels, examples, outputs: len(outputs))
    note(examples, "open_table", lambda path, encoding, errors: str(path))
    note(Tokenizer, "__call__", lambda tokenizer, texts, pairs: len(texts))
    note(FeatureCache, "_encode", lambda cache, tokens, texts, keys, progress: list(keys))
    note(BertEncoder, "load_pretrained", lambda encoder, directory: str(directory))
    return done


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    directory = tmp_path_factory.mktemp("sweeps")
    train = write_csv(directory / "train.csv", ("text", "label"), comments())
    test = write_csv(directory / "test.csv", ("text", "label"), TEXTS)
    return types.SimpleNamespace(train=train, test=test, directory=directory)


def settings_of(files, output, base):
    return [
        *("--train", files.train, "--test", files.test, "--base", str(base), "--max-length", "32"),
        *("--batch-size", "8", "--head", "linear", "--output", str(output)),
    ]


def tuned(files, name, base, *args):
    """Sweep by the command; the directory, and what was done."""
    output = files.directory / name
    with pytest.MonkeyPatch.context() as patches:
        done = watch(patches)
        tune.main([*settings_of(files, output, base), *args])
    return output, done


FROZEN = ("--freeze-base", "--learning-rate", "1e-1", "1e-2", "1e38", "--tuner", "grid")


@pytest.fixture(scope="module")
def frozen(files, toy_base):
    cache = ("--cache-dir", str(files.directory / "cache"))
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(writing, "write_page", write_page)  # pages are read here alone
        return tuned(files, "frozen", toy_base(), *FROZEN, "--epochs", "5", *cache)


@pytest.fixture(scope="module")
def opened(files, toy_base):
    rates = ("--learning-rate", "1e-4", "1e-2")
    return tuned(files, "opened", toy_base(), *rates, "--trials", "3", "--epochs", "1")


def rows_of(directory):
    with open(directory / "trials.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_what_there_is_at_the_end(frozen):
    directory = frozen[0]
    rows = rows_of(directory)
    assert [row["status"] for row in rows] == ["completed", "completed", "failed"]
    assert [float(row["learning_rate"]) for row in rows] == [1e-1, 1e-2, 1e38]
    assert list(rows[0])[:4] == ["trial", "status", "val_macro_f1", "learning_rate"]
    assert "Try a smaller --learning-rate" in rows[2]["error"]
    config = read_config(FitConfig, directory / "best.json")
    best = max(rows[:2], key=lambda row: float(row["val_macro_f1"]))
    assert config.train.learning_rate == float(best["learning_rate"])
    assert (config.train.epochs, config.model.freeze_base) == (5, True)
    assert (directory / "sweep.png").read_bytes().startswith(b"\x89PNG")
    report = read_json(directory / "best" / "report.json")
    assert report["validation"]["macro_f1"] == float(best["val_macro_f1"])
    assert report["test"]["count"] == 3
    page = check_page((directory / "best" / "report.html").read_text())
    assert [title for level, title in page.headings if level == 2][:2] == ["Test", "Validation"]
    card = (directory / "best" / "MODEL_CARD.md").read_text()
    data = read_json(directory / "best" / "metadata.json")["data"]
    assert all(data[part]["sha256"] in card for part in ("train", "validation", "test"))
    classifier = kerasbert.load(directory / "best")
    assert classifier.run.report == report
    assert classifier.predict_proba(["you are nice"]).shape == (1, 2)
    left = {path.name for path in directory.iterdir()}
    assert left == {
        *("best", "best.json", "lock", "settings.json", "state.json", "sweep.png", "trials"),
        "trials.csv",
    }
    assert not list(directory.glob("trials/*/run"))


def test_what_trials_of_a_frozen_base_share(frozen, files):
    done = frozen[1]
    assert done["open_table"] == [files.train, files.test]
    assert len(done["fit_classifier"]) == 3
    # The training and the validation examples once, and the latter again for the winner's page.
    assert done["__call__"][:2] == [32, 8]
    assert [done["__call__"].count(rows) for rows in (32, 8)] == [1, 2]
    encoded = [key for keys in done["_encode"] for key in keys]
    assert [len(keys) for keys in done["_encode"]] == [32, 8, 3]
    assert len(set(encoded)) == 43


@pytest.mark.parametrize("sweep", ["frozen", "opened"])
def test_test_examples_are_looked_at_once(sweep, request):
    done = request.getfixturevalue(sweep)[1]
    assert [test for test, _ in done["fit_classifier"]] == [None] * 3
    assert done["Judged"] == [8, 3]


def test_pretrained_weights_are_read_once(opened, toy_base):
    assert opened[1]["load_pretrained"] == [str(toy_base())]
    assert opened[1]["__call__"][:2] == [32, 8]


@pytest.mark.parametrize("sweep", ["frozen", "opened"])
def test_a_trial_leaves_nothing_in_memory(sweep, request):
    alive = [alive for _, alive in request.getfixturevalue(sweep)[1]["fit_classifier"]]
    # What the first one leaves is there once.
    assert alive[2] == alive[1]


@pytest.mark.parametrize("sweep", ["frozen", "opened"])
def test_fit_gives_the_numbers_of_the_winner_again(sweep, request, tmp_path):
    directory = request.getfixturevalue(sweep)[0]
    config = str(directory / "best.json")
    fit.main(["--config", config, "--seed", "0", "--output", str(tmp_path / "run")])
    again, best = tmp_path / "run" / "report.json", directory / "best" / "report.json"
    assert again.read_text() == best.read_text()


def test_a_trial_is_what_it_is_alone(frozen, tmp_path):
    place = SweepDirectory(frozen[0])
    other = next(t for t in place.trials() if t.score and not _is_best(t, place))
    run = fit_classifier(place.config(other.number))
    found = {name: run.report["validation"][name] for name in other.metrics}
    assert found == other.metrics
    assert {"loss", "accuracy", "macro_f1", "roc_auc"} <= set(found)


def _is_best(trial, place):
    return place.config(trial.number) == read_config(FitConfig, place.path / "best.json")


def test_kill_9_in_a_trial(frozen, files, toy_base, tmp_path, capsys):
    output = files.directory / "killed"
    args = ("--epochs", "5", "--cache-dir", str(files.directory / "cache"))
    all_args = [*settings_of(files, output, toy_base()), *FROZEN, *args]
    # 20 steps are the first trial's.
    killed = forking.start(forking.tune_until, 23, all_args, log=tmp_path / "log")
    killed.join(240)
    assert killed.exitcode == -signal.SIGKILL, (tmp_path / "log").read_text()
    place = SweepDirectory(output)
    assert [trial.status for trial in place.trials()] == ["completed", "running"]
    assert not (output / "trials.csv").exists()
    done = tuned(files, "killed", toy_base(), *FROZEN, *args, "--resume")[1]
    assert len(done["fit_classifier"]) == 2
    ours, theirs = rows_of(output), rows_of(frozen[0])
    for row in (*ours, *theirs):
        del row["seconds"]
    assert ours == theirs
    assert (output / "best.json").read_text() == (frozen[0] / "best.json").read_text()
    assert kerasbert.load(output / "best").run.report["test"]["count"] == 3


def test_two_workers_of_which_one_is_killed(files, toy_base, tmp_path, monkeypatch, capsys):
    def begin(command, env, stdout, stderr):
        assert command[:3] == [sys.executable, "-m", "kerasbert.tune"]
        process = forking.start(forking.work, tmp_path, env, command[3:], log=stdout.name)
        return types.SimpleNamespace(
            poll=lambda: process.exitcode, wait=process.join, terminate=process.terminate
        )

    monkeypatch.setattr(workers, "subprocess", types.SimpleNamespace(Popen=begin, STDOUT=None))
    tune.main([
        "--train", files.train, "--base", str(toy_base()), "--max-length", "32", "--epochs", "1",
        "--batch-size", "8", "--head", "linear", "--freeze-base", "--output",
        str(tmp_path / "sweep"), "--cache-dir", str(tmp_path / "cache"), "--trials", "4",
        "--learning-rate", "1e-3", "3e-2", "--workers", "2",
    ])  # fmt: skip
    logs = [path.read_text() for path in sorted((tmp_path / "sweep").glob("workers/*.log"))]
    trials = SweepDirectory(tmp_path / "sweep").trials()
    assert [trial.status for trial in trials] == ["completed"] * 4, logs
    assert sorted(trial.worker for trial in trials) == ["worker1", *["worker2"] * 3]
    assert len({trial.values["learning_rate"] for trial in trials}) == 4
    assert (tmp_path / "worker1-2").exists()  # and nothing of it in the table
    # One of them encoded the texts, and the other found them: the training's and the validation's.
    shards = (tmp_path / "cache").glob("*/shard-*/keys.npy")
    assert sorted(len(np.load(path)) for path in shards) == [8, 32]
    assert (tmp_path / "sweep" / "best" / "report.json").is_file()
    assert "worker2" in capsys.readouterr().out


def test_refit_trains_on_all_rows(frozen, files, toy_base, capsys):
    before = rows_of(frozen[0])
    cache = ("--cache-dir", str(files.directory / "cache"))
    args = (*FROZEN, "--epochs", "5", *cache, "--resume", "--refit")
    directory, done = tuned(files, "frozen", toy_base(), *args)
    assert rows_of(directory) == before
    assert read_json(directory / "best" / "report.json").keys() == {"test"}
    assert len(done["fit_classifier"]) == 1
    # The rows of both, in an order of their own, and those of the test.
    assert done["__call__"][0] == 40
    assert not done["_encode"]
    assert "test" in capsys.readouterr().out


def test_refused_before_anything_is_read(tmp_path):
    for args, message in (
        (["--seeds", "0", "1"], "`seeds` must be left out: a trial is one training"),
        (["--folds", "3"], "`folds` must be left out"),
        (["--overwrite"], "`overwrite` must be left out: a sweep replaces nothing"),
        (["--find-learning-rate"], "`find_learning_rate` must be left out"),
        (["--tensorboard"], "`tensorboard` must be left out of a sweep"),
        (["--tuner", "hyperband", "--epochs", "1", "3"], "`epochs` must be one number"),
        (["--tuner", "hyperband", "--max-steps", "3"], "`max_steps` must be left out"),
        (["--tuner", "hyperband", "--unfreeze-from", "2"], "`unfreeze_from` must be left out"),
        (["--freeze-base", "--freeze-layers", "1", "2"], "be left out with --freeze-base"),
        (["--head", "linear", "--l2", "1e-3", "1e-1"], "`l2` must be left out with --head linear"),
        (["--trails", "3"], "Unrecognized options: --trails. Did you mean --trials?"),
        (["--frezee-base"], "Did you mean --freeze-base?"),
        (["--head", "linear", "--hidden-units", "8"], "be left out with --head linear"),
    ):
        with pytest.raises(InputError) as caught:
            tune.main([*args, "--train", "nowhere.csv", "--output", str(tmp_path / "sweep")])
        assert message in str(caught.value)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.csv"):
        tune.main(["--train", "nowhere.csv", "--output", str(tmp_path / "sweep")])
    assert not (tmp_path / "sweep").exists()


def test_a_directory_that_is_taken(frozen, files, toy_base):
    with pytest.raises(InputError, match=r"holds a sweep\. Pass --resume to go on with it"):
        tuned(files, "frozen", toy_base(), *FROZEN)
    with pytest.raises(InputError, match="began with epochs=5, and now it is 2"):
        tuned(files, "frozen", toy_base(), *FROZEN, "--epochs", "2", "--resume")
    (files.directory / "other").mkdir()
    (files.directory / "other" / "notes.txt").touch()
    with pytest.raises(InputError, match="holds files"):
        tuned(files, "other", toy_base(), *FROZEN)
    for args, message in (
        (["--learning-rate", "1e-3"], "There is nothing to search"),
        (["--freeze-layers", "1", "99"], "`freeze_layers` must be at most"),
        (["--max-length", "8", "9999"], "`max_length` must be at most"),
    ):
        with pytest.raises(InputError, match=message):
            tuned(files, "third", toy_base(), *args)
        assert not (files.directory / "third").exists()
