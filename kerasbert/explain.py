"""`python -m kerasbert.explain`: why a trained classifier answers as it does."""

import dataclasses
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import Progress

from kerasbert import _cli, _runtime
from kerasbert.config import RUNNING_PRECISIONS
from kerasbert.config_checks import one_of
from kerasbert.data.examples import read_examples
from kerasbert.errors import InputError
from kerasbert.explaining.explanation import METHODS, STEPS
from kerasbert.explaining.terms import Terms, read_terms
from kerasbert.output_files import check_output_file, written_file
from kerasbert.run_directory import check_run, json_text, read_metadata

# Texts that are judged before the bar moves on.
_CHUNK = 16
# Texts of a file that are shown on the screen, where more would only scroll by.
_MOST_ON_SCREEN = 20
# Raised when what the JSON file holds changes its meaning.
_FORMAT = 1


@dataclasses.dataclass(frozen=True)
class ExplainConfig:
    """What each word of a text contributes to an answer, on the screen, as HTML or as JSON."""

    # Directory that `python -m kerasbert.fit` wrote.
    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]

    # File of texts (.csv, .parquet, .jsonl), with the columns of the training file.
    input: Annotated[tyro.conf.Positional[str | None], tyro.conf.arg(metavar="INPUT")] = None

    # Texts to explain, instead of a file.
    text: tuple[str, ...] = ()

    # The second texts, for a model of sentence pairs; as many as --text.
    pair: tuple[str, ...] = ()

    # Label whose probability is explained. Default: of two labels the second; of more the one that
    # is predicted, or most probable.
    label: str | None = None

    # integrated-gradients: contributions that add up to a difference of probabilities. leave-out:
    # what the probability loses by each word alone.
    method: Annotated[str, one_of(*METHODS)] = METHODS[0]

    # Points at which integrated gradients are taken; more where they are too few.
    steps: int = STEPS

    # Exchange terms, such as those of religion or gender, for each other instead, and show how the
    # probability moves. FILE is CSV with a group of terms a row, such as man,woman. Without a file:
    # neutral terms that the package carries.
    swap_terms: Annotated[tuple[str, ...] | None, tyro.conf.arg(metavar="[FILE]")] = None

    # HTML file to write, instead of the screen.
    html: str | None = None

    # JSON file to write, instead of the screen.
    json: str | None = None

    # Number format of the products. float32 shows small contributions that bfloat16 rounds away.
    precision: Annotated[str, one_of(*RUNNING_PRECISIONS)] = "float32"

    # Character encoding of CSV and JSON lines files.
    encoding: str = "utf-8"

    # Replace the files that --html and --json name.
    overwrite: bool = False


def main(args: list[str]) -> None:
    """Explain as `args` say."""
    config = _cli.parse(ExplainConfig, "explain", args)
    if bool(config.text) == (config.input is not None):
        raise InputError("Expected either an input file or --text.")
    if config.pair and len(config.pair) != len(config.text):
        raise InputError(
            "Expected as many texts after --pair as after --text, and none with a file. Received: "
            f"{len(config.pair)} and {len(config.text)}."
        )
    run = check_run(config.run)
    inputs = [path for path in (config.input, *(config.swap_terms or ())) if path is not None]
    for name, path in (("html", config.html), ("json", config.json)):
        if path is not None:
            check_output_file(path, f".{name}", config.overwrite, inputs=inputs, name=name)
    terms = _read_terms(config)
    asked = _Texts(list(config.text), list(config.pair) or None, [None] * len(config.text))
    if config.input is not None:
        asked = _read_input(config, read_metadata(run)["fit"]["data"])

    _runtime.quiet()
    from kerasbert.inference import load

    classifier = load(run, config.precision)
    if terms is None:
        _explain(classifier, asked, config)
    else:
        _swap(classifier, asked, terms, config)


@dataclasses.dataclass(frozen=True)
class _Texts:
    """Texts, their second texts if they have them, and their rows in the file, or None."""

    texts: list[str]
    pairs: list[str] | None
    rows: list[int | None]

    def __getitem__(self, some: slice) -> "_Texts":
        pairs = None if self.pairs is None else self.pairs[some]
        return _Texts(self.texts[some], pairs, self.rows[some])

    def __len__(self) -> int:
        return len(self.texts)


def _read_input(config: ExplainConfig, data: dict) -> _Texts:
    examples = read_examples(
        config.input,
        text_column=data["text_column"],
        pair_column=data["pair_column"],
        label_columns=(),
        encoding=config.encoding,
    )
    pairs = None if examples.pairs is None else list(examples.pairs)
    return _Texts(list(examples.texts), pairs, list(examples.rows))


def _read_terms(config: ExplainConfig) -> Terms | None:
    given = config.swap_terms
    if given is None:
        return None
    if (config.method, config.steps) != (METHODS[0], STEPS):
        raise InputError(
            "`--swap-terms` exchanges terms and does not look at single words: it takes neither "
            "--method nor --steps. Remove them, or --swap-terms."
        )
    if len(given) > 1:
        raise InputError(f"`--swap-terms` takes one file. Received: {', '.join(map(repr, given))}.")
    return read_terms(*given)


def _explain(classifier, asked: _Texts, config: ExplainConfig) -> None:
    from kerasbert.explaining.page import explanations_page
    from kerasbert.explaining.screen import print_explanation

    is_cut = _is_for_screen(config) and len(asked) > _MOST_ON_SCREEN
    explained = asked[:_MOST_ON_SCREEN] if is_cut else asked
    options = {"label": config.label, "method": config.method, "steps": config.steps}
    explanations = _in_chunks(explained, functools.partial(classifier.explain, **options))
    if _is_for_screen(config):
        console = Console()
        for explanation, row in zip(explanations, explained.rows, strict=True):
            print_explanation(console, explanation, row)
    if is_cut:
        _say_cut(f"explained the first {len(explained)} of {len(asked):,} texts")
    if config.html is not None:
        title = f"{Path(config.run).name}, explained"
        _write(config.html, explanations_page(explanations, title, asked.rows))
    if config.json is not None:
        values = [
            {"row": row} | explanation.to_dict()
            for row, explanation in zip(asked.rows, explanations, strict=True)
        ]
        _write(config.json, json_text({"format": _FORMAT, "explanations": values}))


def _swap(classifier, asked: _Texts, terms: Terms, config: ExplainConfig) -> None:
    from kerasbert.explaining.page import swaps_page
    from kerasbert.explaining.screen import print_swaps
    from kerasbert.explaining.swapping import summarise, swap_terms

    swap = functools.partial(swap_terms, classifier, terms=terms, label=config.label)
    swapped = _in_chunks(asked, swap)
    if _is_for_screen(config):
        is_cut = len(swapped) > _MOST_ON_SCREEN
        with_terms = [number for number, text in enumerate(swapped) if text.swaps]
        shown = with_terms[:_MOST_ON_SCREEN] if is_cut else None
        print_swaps(Console(), swapped, asked.rows, shown)
        if is_cut:
            _say_cut(
                f"showed {len(shown)} of {len(with_terms):,} texts with a listed term, out of "
                f"{len(asked):,}"
            )
    if config.html is not None:
        title = f"{Path(config.run).name}, terms exchanged"
        _write(config.html, swaps_page(swapped, title, asked.rows))
    if config.json is not None:
        values = {
            "format": _FORMAT,
            "texts": [
                {"row": row} | dataclasses.asdict(text)
                for row, text in zip(asked.rows, swapped, strict=True)
            ],
            "terms": [dataclasses.asdict(row) for row in summarise(swapped)],
        }
        _write(config.json, json_text(values))


def _in_chunks(asked: _Texts, judge: Callable[[list[str], list[str] | None], list]) -> list:
    """What `judge` says of all texts, with a bar on the terminal meanwhile."""
    console, found = Console(stderr=True), []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("texts", total=len(asked))
        for start in range(0, len(asked), _CHUNK):
            chunk = asked[start : start + _CHUNK]
            found += judge(chunk.texts, chunk.pairs)
            progress.advance(bar, len(chunk))
    return found


def _is_for_screen(config: ExplainConfig) -> bool:
    return config.html is None and config.json is None


def _say_cut(what: str) -> None:
    print(f"warning: {what}. --html FILE or --json FILE has all.", file=sys.stderr)


def _write(path: str, content: str) -> None:
    with written_file(Path(path)) as file:
        file.write(content)
    print(f"wrote {path}")


if __name__ == "__main__":
    _cli.run(main)
