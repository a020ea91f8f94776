"""`python -m kerasbert.explain`: why a trained classifier answers as it does."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from kerasbert import _cli, _runtime
from kerasbert.config import RUNNING_PRECISIONS
from kerasbert.config_checks import one_of
from kerasbert.data.examples import read_examples
from kerasbert.errors import InputError
from kerasbert.explaining.explanation import METHODS, STEPS
from kerasbert.explaining.terms import Terms, read_terms
from kerasbert.output_files import check_output_file, written_file
from kerasbert.run_directory import check_run, json_text, read_metadata

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
    # probability moves. FILE has one group of terms a line, with commas between them. Without a
    # file: neutral terms that the package carries.
    swap_terms: Annotated[tuple[str, ...] | None, tyro.conf.arg(metavar="[FILE]")] = None

    # HTML file to write, instead of the screen.
    html: str | None = None

    # JSON file to write, instead of the screen.
    json: str | None = None

    # Number format of the products. float32 shows small contributions that bfloat16 rounds away.
    precision: Annotated[str, one_of(*RUNNING_PRECISIONS)] = "float32"

    # Replace the files that --html and --json name.
    overwrite: bool = False


def main(args: list[str]) -> None:
    """Explain as `args` say."""
    config = _cli.parse(ExplainConfig, "explain", args)
    if bool(config.text) == (config.input is not None):
        raise InputError("Expected either an input file or --text.")
    run = check_run(config.run)
    for path, suffix in ((config.html, ".html"), (config.json, ".json")):
        if path is not None:
            check_output_file(path, suffix, config.overwrite)
    terms = _read_terms(config.swap_terms)
    texts, pairs = list(config.text), list(config.pair) or None
    if config.input is not None:
        data = read_metadata(run)["fit"]["data"]
        examples = read_examples(
            config.input,
            text_column=data["text_column"],
            pair_column=data["pair_column"],
            label_columns=(),
        )
        texts = list(examples.texts)
        pairs = None if examples.pairs is None else list(examples.pairs)

    _runtime.quiet()
    from kerasbert.inference import load

    classifier = load(run, config.precision)
    if terms is None:
        _explain(classifier, texts, pairs, config)
    else:
        _swap(classifier, texts, pairs, terms, config)


def _read_terms(given: tuple[str, ...] | None) -> Terms | None:
    if given is None:
        return None
    if len(given) > 1:
        raise InputError(f"`--swap-terms` takes one file. Received: {', '.join(map(repr, given))}.")
    return read_terms(*given)


def _explain(classifier, texts: list[str], pairs: list[str] | None, config: ExplainConfig) -> None:
    from kerasbert.explaining.page import explanations_page
    from kerasbert.explaining.screen import print_explanation

    explanations = classifier.explain(
        texts, pairs, label=config.label, method=config.method, steps=config.steps
    )
    if config.html is None and config.json is None:
        console = Console()
        for explanation in explanations:
            print_explanation(console, explanation)
    if config.html is not None:
        _write(config.html, explanations_page(explanations, f"{Path(config.run).name}, explained"))
    if config.json is not None:
        values = [explanation.to_dict() for explanation in explanations]
        _write(config.json, json_text({"format": _FORMAT, "explanations": values}))


def _swap(
    classifier, texts: list[str], pairs: list[str] | None, terms: Terms, config: ExplainConfig
) -> None:
    from kerasbert.explaining.page import swaps_page
    from kerasbert.explaining.screen import print_swaps
    from kerasbert.explaining.swapping import summarise, swap_terms

    swapped = swap_terms(classifier, texts, pairs, terms=terms, label=config.label)
    if config.html is None and config.json is None:
        print_swaps(Console(), swapped)
    if config.html is not None:
        _write(config.html, swaps_page(swapped, f"{Path(config.run).name}, terms exchanged"))
    if config.json is not None:
        values = {
            "format": _FORMAT,
            "texts": [dataclasses.asdict(text) for text in swapped],
            "terms": [dataclasses.asdict(row) for row in summarise(swapped)],
        }
        _write(config.json, json_text(values))


def _write(path: str, content: str) -> None:
    with written_file(Path(path)) as file:
        file.write(content)
    print(f"wrote {path}")


if __name__ == "__main__":
    _cli.run(main)
