"""Documentation that is executed cannot rot: the README's commands, in order, in one place."""

import csv
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from kerasbert import _cli
from kerasbert.check import CheckConfig
from kerasbert.config import FitConfig
from kerasbert.data.dataset import SAMPLE
from kerasbert.decide import DecideConfig
from kerasbert.export import ExportConfig
from kerasbert.predict import PredictConfig
from kerasbert.tune import TuneConfig
from tests.conftest import write_csv

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


COMMANDS = [
    line for block in blocks("bash") for line in block.replace("\\\n", " ").splitlines() if line
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A directory with the files that the commands name, where they run one after the other."""
    directory = tmp_path_factory.mktemp("readme")
    with open(SAMPLE, encoding="utf-8", newline="") as file:
        rows = [(row["text"], row["label"]) for row in csv.DictReader(file)]
    write_csv(directory / "comments.csv", ("text", "label"), rows[:60])
    held_out = [(*row, ("forum", "mail")[number % 2]) for number, row in enumerate(rows[60:80])]
    write_csv(directory / "held_out.csv", ("text", "label", "source"), held_out)
    return directory


def run(place, *command):
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HF_HUB_OFFLINE": "1",
    }
    return subprocess.run(
        command, cwd=place, env=environment, capture_output=True, text=True, timeout=400
    )


def test_the_first_commands_are_the_makefiles():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    first = re.findall(r"^\$ make (\w+)", blocks("console")[0], flags=re.MULTILINE)
    assert first == ["demo", "test"]
    for target in first:
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE)
    assert "make test" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


# Each command as `python -m` runs it, and then each block, of which the next knows no name: in one
# process, which loads TensorFlow once.
RUN_ALL = """
import json, runpy, sys
commands, blocks = map(json.loads, sys.argv[1:])
for words in commands:
    assert words[:2] == ["python", "-m"], words
    sys.argv = words[2:]
    print("COMMAND", *words, file=sys.stderr)
    runpy.run_module(words[2], run_name="__main__")
print("BLOCKS", file=sys.stderr)
print(end="\\0")
for block in blocks:
    exec(block, {})
    print(end="\\0")
"""


@pytest.fixture(scope="module")
def done(place):
    commands = [shlex.split(command) for command in COMMANDS]
    return run(
        place, sys.executable, "-c", RUN_ALL, json.dumps(commands), json.dumps(blocks("python"))
    )


def test_commands(done):
    said, blocks_began, _ = done.stderr.partition("BLOCKS\n")
    assert blocks_began, done.stderr
    assert said.count("COMMAND python -m") == len(COMMANDS) > 8
    errors = [line for line in said.splitlines() if "error" in line.lower()]
    assert not errors


def test_what_the_commands_wrote(done, place):
    assert (place / "predictions.csv").read_text(encoding="utf-8").count("probability_rude") == 1
    assert (place / "saved_weights" / "first" / "evaluation_held_out.json").is_file()


def test_python(done):
    assert done.returncode == 0, done.stderr
    printed = done.stdout.split("\0")[1:-1]
    assert len(printed) == len(blocks("python"))
    assert all(printed)


CONFIGS = {
    "fit": FitConfig,
    "check": CheckConfig,
    "decide": DecideConfig,
    "export": ExportConfig,
    "predict": PredictConfig,
}
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("experiments/**/*.md")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("https://") or (page.parent / target).exists(), target


def test_every_experiment_is_a_script_or_a_command_that_is_understood():
    for page in ROOT.glob("experiments/*/README.md"):
        found = re.findall(r"```bash\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        commands = "".join(found).replace("\\\n", " ").splitlines()
        assert commands
        for command in commands:
            words = shlex.split(command)
            if words[1].endswith(".py"):
                assert (ROOT / words[1]).is_file()
                continue
            assert words[:2] == ["python", "-m"]
            command, rest = words[2].removeprefix("kerasbert."), words[3:]
            if command == "tune":
                _, rest = _cli.parse_known(TuneConfig, "tune", rest)
                command = "fit"
            _cli.parse(CONFIGS[command], command, rest)
