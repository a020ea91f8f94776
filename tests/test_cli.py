import json
import os
import subprocess
import sys
import warnings

import pytest

from kerasbert import _cli
from kerasbert.config import DataConfig, FitConfig, ModelConfig, TrainConfig
from kerasbert.errors import InputError, InputWarning, TrainingError
from kerasbert.evaluate import EvaluateConfig
from kerasbert.predict import PredictConfig


def parse(*args, config_class=FitConfig):
    return _cli.parse(config_class, "fit", args)


def message_of(*args, config_class=FitConfig):
    with pytest.raises(InputError) as caught:
        parse(*args, config_class=config_class)
    return str(caught.value)


@pytest.fixture
def config_json(tmp_path):
    path = tmp_path / "config.json"
    values = {
        "data": {"train": "a.csv", "label_columns": ["rude", "kind"]},
        "model": {"head": "classification", "hidden_units": [5]},
        "train": {"epochs": 9, "learning_rate": 0.001},
    }
    path.write_text(json.dumps(values), encoding="utf-8")
    return str(path)


FROM_JSON = FitConfig(
    data=DataConfig(train="a.csv", label_columns=("rude", "kind")),
    model=ModelConfig(head="classification", hidden_units=(5,)),
    train=TrainConfig(epochs=9, learning_rate=0.001),
)


def test_no_flags_are_the_defaults():
    assert parse() == FitConfig()


def test_flags_carry_the_name_of_their_field_alone():
    config = parse(
        "--train", "a.csv", "--label-columns", "rude", "kind", "--task=multilabel",
        "--freeze-base", "--hidden-units", "4", "5", "--learning-rate", "1e-3", "--output", "run",
    )  # fmt: skip
    assert config == FitConfig(
        data=DataConfig(train="a.csv", label_columns=("rude", "kind"), task="multilabel"),
        model=ModelConfig(freeze_base=True, hidden_units=(4, 5)),
        train=TrainConfig(learning_rate=1e-3),
        output="run",
    )


@pytest.mark.parametrize("form", ["two words", "one word"])
def test_a_config_file_is_read(form, config_json):
    args = ["--config", config_json] if form == "two words" else [f"--config={config_json}"]
    assert parse(*args) == FROM_JSON


@pytest.mark.parametrize("form", ["two words", "one word"])
@pytest.mark.parametrize("place", ["before", "after"])
def test_flags_override_the_config_file(form, place, config_json):
    file = ["--config", config_json] if form == "two words" else [f"--config={config_json}"]
    flags = ["--epochs", "2", "--label-columns", "spam"]
    config = parse(*file, *flags) if place == "before" else parse(*flags, *file)
    assert config == FitConfig(
        data=DataConfig(train="a.csv", label_columns=("spam",)),
        model=FROM_JSON.model,
        train=TrainConfig(epochs=2, learning_rate=0.001),
    )


def test_an_argument_list_is_left_as_it_was(config_json):
    args = ["--config", config_json, "--epochs", "2"]
    _cli.parse(FitConfig, "fit", args)
    assert args == ["--config", config_json, "--epochs", "2"]


@pytest.mark.parametrize("args", [["--config"], ["--config="], ["--epochs", "2", "--config"]])
def test_config_without_a_file_is_refused(args):
    assert message_of(*args) == "`--config` must be followed by a JSON file."


def test_a_missing_config_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"^There is no config file 'none\.json'\.$"):
        parse("--config", "none.json")


@pytest.mark.parametrize("form", ["two words", "one word"])
@pytest.mark.parametrize(
    ("config_class", "args"), [(EvaluateConfig, ["run", "a.csv"]), (PredictConfig, ["run"])]
)
def test_only_a_command_whose_fields_all_have_defaults_takes_a_config_file(
    form, config_class, args
):
    file = ["--config", "a.json"] if form == "two words" else ["--config=a.json"]
    assert message_of(*args, *file, config_class=config_class) == (
        f"Unrecognized options: {', '.join(file)}"
    )


@pytest.mark.parametrize(
    ("args", "nearest"),
    [
        (["--epoch", "5"], "--epochs"),
        (["--trian", "a.csv"], "--train"),
        # This one has a second form, --no-freeze-embeddings.
        (["--freeze-embedings"], "--freeze-embeddings"),
        (["--zzzzqqq", "--epoch", "5"], "--epochs"),
    ],
)
def test_an_unknown_flag_is_answered_with_the_nearest(args, nearest):
    assert message_of(*args) == (
        f"Unrecognized options: {', '.join(args)}. Did you mean {nearest}?"
    )


def test_of_two_unknown_flags_one_is_answered():
    assert message_of("--dropuot", "0.1", "--epoch", "5") in {
        f"Unrecognized options: --dropuot, 0.1, --epoch, 5. Did you mean {nearest}?"
        for nearest in ("--dropout", "--epochs")
    }


def test_an_unknown_flag_unlike_any_other_is_named():
    assert message_of("--zzzzqqq") == "Unrecognized options: --zzzzqqq"


def test_two_unknown_flags_unlike_any_other_are_named():
    assert message_of("--zzzzqqq", "--qqqzzzz") == "Unrecognized options: --zzzzqqq, --qqqzzzz"


@pytest.mark.parametrize(
    ("config_class", "args", "message"),
    [
        (EvaluateConfig, [], "Missing: RUN."),
        (EvaluateConfig, ["run"], "Missing: TEST."),
        (EvaluateConfig, ["run", "--output", "report.json"], "Missing: TEST."),
        (PredictConfig, [], "Missing: RUN."),
        (PredictConfig, ["--output", "a.csv"], "Missing: RUN."),
    ],
)
def test_a_missing_argument_is_named(config_class, args, message):
    assert message_of(*args, config_class=config_class) == message


def test_a_word_without_a_flag_is_named():
    assert message_of("train.csv") == "Unrecognized options: train.csv"


def test_what_is_read_off_the_labels_is_not_a_flag():
    assert "--num-labels" in message_of("--num-labels", "4")
    assert "--target-mean" in message_of("--target-mean", "4")


@pytest.mark.parametrize(
    ("args", "parts"),
    [
        (["--epochs", "many"], ["--epochs", "'many'"]),
        (["--epochs"], ["--epochs"]),
        (["--hidden-units", "wide"], ["--hidden-units", "'wide'"]),
    ],
)
def test_a_bad_value_is_one_line(args, parts):
    message = message_of(*args)
    assert "\n" not in message
    assert not set("│╭╰─") & set(message)
    assert [part for part in parts if part not in message] == []


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--dropout", "2"], "`dropout` must be at least 0 and below 1. Received: dropout=2.0."),
        (["--l2", "inf"], "`l2` must be 0 or above, and finite. Received: l2=inf."),
        (
            ["--label-columns"],
            "`label_columns` must be a list of at least one column. Received: label_columns=().",
        ),
        (
            ["--task", "binry"],
            "`task` must be one of 'auto', 'binary', 'multiclass', 'multilabel', 'regression'. "
            "Received: task='binry'. Did you mean 'binary'?",
        ),
        (
            ["--head=mpl"],
            "`head` must be one of 'linear', 'classification', 'mlp', 'pretrained'. "
            "Received: head='mpl'. Did you mean 'mlp'?",
        ),
        (
            ["--pooling", "men"],
            "`pooling` must be one of 'cls', 'mean', 'max', 'pooler', 'last'. "
            "Received: pooling='men'. Did you mean 'mean'?",
        ),
        (
            ["--pooling", "avg"],
            "`pooling` must be one of 'cls', 'mean', 'max', 'pooler', 'last'. "
            "Received: pooling='avg'.",
        ),
        (
            ["--precision", "float23"],
            "`precision` must be one of 'auto', 'float32', 'mixed_bfloat16', 'mixed_float16'. "
            "Received: precision='float23'. Did you mean 'float32'?",
        ),
    ],
)
def test_a_value_out_of_range_has_the_message_of_the_config(args, message):
    assert message_of(*args) == message


def test_the_message_does_not_depend_on_the_width_of_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    assert message_of("--validation-fractoin", "0.1") == (
        "Unrecognized options: --validation-fractoin, 0.1. Did you mean --validation-fraction?"
    )


def test_help_exits_with_0(capsys):
    with pytest.raises(SystemExit) as caught:
        parse("--help")
    assert not caught.value.code
    assert capsys.readouterr().out.startswith("usage: python -m kerasbert.fit ")


def exit_code(monkeypatch, main):
    """What a process that ran `main` would exit with."""
    monkeypatch.setattr(sys, "argv", ["command", "one", "two"])
    try:
        _cli.run(main)
    except SystemExit as stop:
        return stop.code
    return 0


def test_run_passes_the_arguments_on(monkeypatch, capsys):
    received = []
    assert exit_code(monkeypatch, received.extend) == 0
    assert received == ["one", "two"]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("a.csv, row 3:\n  no\tlabel."), 2, "error: a.csv, row 3: no label.\n"),
        (FileNotFoundError("There is no file 'a'."), 2, "error: There is no file 'a'.\n"),
        (TrainingError("The loss is not a number."), 1, "error: The loss is not a number.\n"),
        (KeyboardInterrupt(), 130, "Interrupted.\n"),
    ],
)
def test_an_error_is_one_line_and_an_exit_code(error, code, line, monkeypatch, capsys):
    def main(args):
        raise error

    assert exit_code(monkeypatch, main) == code
    assert capsys.readouterr() == ("", line)


def test_a_mistake_of_ours_keeps_its_traceback(monkeypatch):
    def main(args):
        raise KeyError("ours")

    with pytest.raises(KeyError):
        exit_code(monkeypatch, main)


@pytest.mark.filterwarnings("always")
def test_only_our_warnings_are_shown_and_each_on_one_line(monkeypatch, capsys):
    class Ours(InputWarning):
        pass

    def main(args):
        warnings.warn_explicit("dropped 2 rows.", InputWarning, "kerasbert/data/x.py", 1)
        # Whose file it is does not matter: a copy of the package may be called anything.
        warnings.warn_explicit("dropped 3 rows.", Ours, "elsewhere/x.py", 1)
        warnings.warn_explicit("of a library", UserWarning, "numpy/x.py", 1)
        warnings.warn_explicit("of a library", UserWarning, "kerasbert/data/x.py", 1)
        warnings.warn_explicit("for developers", FutureWarning, "kerasbert/data/x.py", 1)

    assert exit_code(monkeypatch, main) == 0
    assert capsys.readouterr() == ("", "warning: dropped 2 rows.\nwarning: dropped 3 rows.\n")


def test_run_leaves_the_display_of_warnings_as_it_was(monkeypatch):
    before = warnings.showwarning
    exit_code(monkeypatch, lambda args: None)
    assert warnings.showwarning is before


def run_python(*args):
    return subprocess.run(
        [sys.executable, *args], capture_output=True, encoding="utf-8", timeout=60
    )


def test_a_missing_file_ends_the_command_with_one_line():
    done = run_python("-m", "kerasbert.fit", "--train", "none.csv")
    assert (done.returncode, done.stdout, done.stderr) == (
        2,
        "",
        "error: The file 'none.csv' does not exist.\n",
    )


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (
            ["kerasbert.fit", "--epoch", "5"],
            "Unrecognized options: --epoch, 5. Did you mean --epochs?",
        ),
        (["kerasbert.fit", "--zzzzqqq"], "Unrecognized options: --zzzzqqq"),
        (["kerasbert.evaluate", "run"], "Missing: TEST."),
    ],
)
def test_the_message_does_not_depend_on_the_encoding_of_the_terminal(args, line):
    done = subprocess.run(
        [sys.executable, "-m", *args],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"error: {line}\n")


SAY_MUCH = "from kerasbert import _cli; _cli.run(lambda args: print('word ' * 100_000))"
SAY_LITTLE = "from kerasbert import _cli; _cli.run(lambda args: print('word'))"


def run_unread(*args):
    """Run Python with a standard output that nobody reads, as after `head` is done."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    try:
        return subprocess.run(
            [sys.executable, *args],
            # Empty is as good as unset: a short text waits in the buffer until the end.
            env=os.environ | {"PYTHONUNBUFFERED": ""},
            stdout=write_end,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            timeout=60,
        )
    finally:
        os.close(write_end)


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(["-m", "kerasbert.fit", "--help"], id="a long help"),
        pytest.param(["-m", "kerasbert.evaluate", "--help"], id="a short help"),
        pytest.param(["-c", SAY_MUCH], id="much"),
        pytest.param(["-c", SAY_LITTLE], id="little"),
    ],
)
def test_a_reader_who_has_enough_is_no_error(args):
    done = run_unread(*args)
    assert (done.returncode, done.stderr) == (0, "")


SAY_A_WORD_AND_FAIL = """
from kerasbert import _cli
from kerasbert.errors import InputError

def main(args):
    print("word")
    raise InputError("a.csv, row 3: no label.")

_cli.run(main)
"""


def test_an_error_is_told_though_nobody_reads_the_output():
    done = run_unread("-c", SAY_A_WORD_AND_FAIL)
    assert (done.returncode, done.stderr) == (2, "error: a.csv, row 3: no label.\n")


WITHOUT_TENSORFLOW = {
    "the package": "import kerasbert",
    "the help of fit": """
import contextlib
from kerasbert import fit
with contextlib.suppress(SystemExit):
    fit.main(["--help"])
""",
    "the help of tune": """
import contextlib
from kerasbert import tune
with contextlib.suppress(SystemExit):
    tune.main(["--help"])
""",
    "the dataset": """
import kerasbert
kerasbert.read_dataset(kerasbert.DataConfig())
""",
}


@pytest.mark.parametrize("what", WITHOUT_TENSORFLOW)
def test_tensorflow_is_not_loaded_for(what):
    check = "import sys\nprint('tensorflow' in sys.modules)"
    done = run_python("-c", f"{WITHOUT_TENSORFLOW[what]}\n{check}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("False\n")
