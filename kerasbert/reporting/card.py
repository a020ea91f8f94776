"""`MODEL_CARD.md`: what is known of a run, and what only a person can say of it.

The headings are those of model cards (Mitchell et al., 2019, https://arxiv.org/abs/1810.03993).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kerasbert.config_json import from_dict
from kerasbert.data.chosen import Chosen
from kerasbert.data.labels import Labels
from kerasbert.metrics import show_number
from kerasbert.output_files import written_file
from kerasbert.reporting.command_line import run_commands
from kerasbert.reporting.intervals import show_with_interval
from kerasbert.reporting.sections import NAMES, chosen_remarks, decision_remarks, numbers_of
from kerasbert.run_directory import CARD, LABELS, METADATA, read_json

# What a person is asked for, by heading.
_FOR_A_PERSON = {
    "Intended use": (
        "what it is for, and who is to use it",
        "what it must not be used for",
        "who checks its answers, and what happens when they are wrong",
    ),
    "Limits": (
        "on which texts it fails, or was never tried: languages, dialects, times, kinds of text",
        "whom its mistakes harm, and which groups it was checked for (`evaluate --by COLUMN`)",
    ),
    "Origin of the data": (
        "who collected the texts, when, from where, and whether the authors agreed",
        "who labelled them, by which rules, and how often two of them agreed",
        "licence of the data, and personal data in it",
    ),
    "Contact": ("licence of the model", "who answers for it, and how to reach them"),
}
_MOST_LABELS = 40
_MOST_COUNTS = 12


def write_card(directory: str | Path) -> None:
    """Write the card of a saved run from its files, in the place of one that is there.

    Call it again when thresholds, calibration or numbers have changed. What stands under the
    headings that are for a person stays.

    Args:
        directory: with `metadata.json` and `labels.json`.
    """
    directory = Path(directory)
    labels = from_dict(Labels, read_json(directory / LABELS))
    path = directory / CARD
    before = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    with written_file(path) as file:
        file.write(render_card(labels, read_json(directory / METADATA), _written_by_hand(before)))


def _written_by_hand(card: str) -> dict[str, list[str]]:
    """The lines below those headings of a card that are for a person."""
    sections = (part.partition("\n") for part in re.split(r"^## ", card, flags=re.MULTILINE)[1:])
    return {
        heading.strip(): body.strip().splitlines()
        for heading, _, body in sections
        if heading.strip() in _FOR_A_PERSON
    }


def render_card(
    labels: Labels, metadata: dict[str, Any], by_hand: Mapping[str, Sequence[str]] | None = None
) -> str:
    """The card as Markdown.

    Args:
        labels: of the run, which say how it decides.
        metadata: as `metadata.json` has it; of its `report` every data set is shown, with the
            `intervals` that are there beside it.
        by_hand: what a person has written, by heading.
    """
    sections = {
        "Model": _model(labels, metadata),
        "Intended use": _asked("Intended use"),
        "Data": _data(metadata.get("data", {})),
        "Origin of the data": _asked("Origin of the data"),
        "Numbers": _numbers(metadata, labels.chosen),
        "How it decides": _decision(labels),
        "Limits": _asked("Limits"),
        "How to use it": _code('kerasbert.load("DIRECTORY").predict(["..."])', "python"),
        "How to train it again": _code("\n".join(run_commands(labels, metadata)), "sh"),
        "Versions": _versions(metadata),
        "Contact": _asked("Contact"),
    }
    names = ", ".join(labels.names[:_MOST_COUNTS]) + (", ..." * (len(labels.names) > _MOST_COUNTS))
    lines = [
        f"# Model card: {_plain(metadata['labels']['task'])} classifier of {_plain(names)}"
        if labels.task != "regression"
        else f"# Model card: scores for {_plain(names)}",
        "",
        "What is known was filled in by kerasbert. Lines that begin with `TODO (a person)` are "
        "left for one.",
    ]
    for heading, body in (sections | dict(by_hand or {})).items():
        lines += ["", f"## {heading}", "", *body]
    return "\n".join(lines) + "\n"


def _model(labels: Labels, metadata: dict[str, Any]) -> Iterator[str]:
    model, parameters = metadata["fit"]["model"], metadata.get("parameters", {})
    yield f"- base: {_code_span(model['base'])}, head: {model['head']}, pooling: {model['pooling']}"
    if parameters:
        yield f"- weights: {parameters['total']:,}, {parameters['trainable']:,} of them trained"
    yield f"- task: {labels.task}, labels: {_named(labels.names)}"
    yield f"- reads at most {model['max_length']} word pieces of a text; what follows is cut off"
    training = metadata.get("training", {})
    if training.get("epochs") is not None:
        yield f"- trained for {training['epochs']} epochs, {training['steps']:,} steps"
    if training.get("interrupted"):
        yield "- the training was interrupted; this is what was best by then"
    for finding in training.get("findings") or []:
        yield f"- found while training: {_plain(finding)}"
    for name, digest in metadata["sha256"].items():
        if "/" not in name:
            yield f"- sha256 of {name}: `{digest}`"


def _data(data: dict[str, dict[str, Any]]) -> Iterator[str]:
    if not data:
        yield "Unknown: an earlier version saved the run."
        return
    rows = [
        (
            name,
            _code_span(facts["source"]),
            f"{facts['rows']:,}",
            _counts(facts["labels"]),
            f"`{facts['sha256']}`" if facts["sha256"] else "-",
        )
        for name, facts in data.items()
    ]
    yield from _table(("part", "file", "rows", "labels", "sha256 of the file"), rows)


def _is_of(chosen: Chosen, name: str, metadata: dict[str, Any]) -> bool:
    facts = metadata.get("data", {}).get(name, {})
    return name == "decision" or facts.get("rows_sha256") == chosen.rows_sha256


def _numbers(metadata: dict[str, Any], chosen: Chosen | None) -> Iterator[str]:
    if not metadata["report"]:
        yield "No rows were held out."
        return
    intervals = metadata.get("intervals", {})
    for number, (name, report) in enumerate(metadata["report"].items()):
        if number:
            yield ""
        ends = intervals.get(name, {})
        of_rows = f"On {report['count']:,} rows of `{name}`"
        if name in metadata.get("decided_before", ()):
            of_rows += ", as they were decided before the thresholds below,"
        elif chosen is not None and _is_of(chosen, name, metadata):
            of_rows += ", which chose how it decides (on new rows it is somewhat worse),"
        if ends:
            count = f"{ends['resamples']:,} resamples"
            yield f"{of_rows}, in brackets 95 % bootstrap intervals ({count}):"
        else:
            yield f"{of_rows}:"
        yield ""
        rows = [
            (NAMES[key], show_with_interval(report[key], ends.get(key)))
            for key in numbers_of(report)
        ]
        yield from _table(("number", "value"), rows)
        if "labels" in report:
            yield ""
            yield from _label_numbers(report["labels"], ends.get("labels"))


def _label_numbers(
    labels: Sequence[dict[str, Any]], ends: Sequence[dict[str, Any]] | None
) -> Iterator[str]:
    keys = ("precision", "recall", "f1")
    ends = ends or [dict.fromkeys(keys)] * len(labels)
    rows = [
        (
            _plain(own["name"]),
            *(show_with_interval(own[key], around[key]) for key in keys),
            show_number(own["support"]),
        )
        for own, around in list(zip(labels, ends, strict=True))[:_MOST_LABELS]
    ]
    yield from _table(("label", "precision", "recall", "F1", "examples"), rows)
    if len(labels) > _MOST_LABELS:
        yield ""
        yield f"Of {len(labels):,} labels the first {_MOST_LABELS}; `report.json` has all."


def _decision(labels: Labels) -> Iterator[str]:
    if labels.task == "regression":
        yield "It gives a score, and decides nothing."
    for remark in decision_remarks(labels):
        yield f"- {_plain(remark)}"
    if labels.calibration is not None:
        yield f"- The probabilities are corrected by {labels.calibration.method} calibration."
    for remark in chosen_remarks(labels):
        yield f"- {_plain(remark)}"


def _versions(metadata: dict[str, Any]) -> Iterator[str]:
    for name, number in metadata.get("versions", {}).items():
        yield f"- {name} {number}"
    yield (
        f"- trained in {metadata['precision']}, runs in "
        f"{metadata.get('running_precision', 'float32')}, on {metadata['device']}"
    )


def _asked(heading: str) -> Iterator[str]:
    return (f"- TODO (a person): {what}" for what in _FOR_A_PERSON[heading])


def _code(text: str, language: str) -> list[str]:
    # A fence longer than any in the text, which may be anything.
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    return [f"{fence}{language}", text, fence]


def _code_span(text: str) -> str:
    return f"`{' '.join(text.split()).replace('`', chr(39)).replace('|', '/')}`"


def _named(names: Sequence[str]) -> str:
    more = len(names) - _MOST_LABELS
    return ", ".join(map(_plain, names[:_MOST_LABELS])) + (
        f" and {more:,} more" if more > 0 else ""
    )


def _counts(counts: dict[str, float]) -> str:
    shown = [
        f"{_plain(name)}: {count:,}" if isinstance(count, int) else f"{_plain(name)}: {count:.3g}"
        for name, count in list(counts.items())[:_MOST_COUNTS]
    ]
    return ", ".join(shown) + (", ..." if len(counts) > _MOST_COUNTS else "")


def _plain(text: str) -> str:
    """Text in one line in which nothing is taken for Markdown or HTML."""
    text = re.sub(r"([\\`*_\[\]<>|#$~&])", r"\\\1", " ".join(text.split()))
    return text.encode("utf-8", "replace").decode("utf-8")


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield "|" + "---|" * len(header)
    for row in rows:
        yield f"| {' | '.join(row)} |"
