"""`report.html`: one file that needs nothing else, for people and for screen readers."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from kerasbert.data.labels import Labels
from kerasbert.judged import Judged
from kerasbert.output_files import written_file
from kerasbert.plots import history_panels
from kerasbert.reporting.command_line import run_commands
from kerasbert.reporting.pictures import Chart, Table, draw, printable, shown
from kerasbert.reporting.sections import Section, make_section, slice_table
from kerasbert.reporting.versus import comparison_tables

_HERE = Path(__file__).parent
_PANELS = {
    "loss": "Loss",
    "score": "Score on the validation rows",
    "learning_rate": "Learning rate",
    "gradient_norm": "Length of the gradient",
}
_TASKS = {
    "binary": "Two classes",
    "multiclass": "Classes",
    "multilabel": "Labels",
    "regression": "Score",
}
_MOST_NAMES = 6
_TITLES = {"validation": "Validation", "test": "Test"}


def write_page(
    path: Path,
    judged: dict[str, Judged],
    metadata: dict[str, Any],
    intervals: dict[str, Any],
    *,
    history: Sequence[dict[str, Any]] = (),
    slices: dict[str, list[dict[str, Any]]] | None = None,
    comparison: dict[str, Any] | None = None,
) -> None:
    """Write the report of a run.

    Args:
        path: HTML file to write.
        judged: by data set, at least one; the last one comes first.
        metadata: of the run, as `metadata.json` has it.
        intervals: by data set, from `kerasbert.reporting.intervals.find_intervals`.
        history: a row per step and per epoch, as `kerasbert.history` has them.
        slices: by column, from `kerasbert.reporting.slices.slice_by`.
        comparison: from `kerasbert.reporting.comparing.compare`, with `run`, the other one's name.
    """
    names = list(judged)[::-1]  # what is judged last is judged on what was looked at least
    sections = [
        make_section(f"rows{number}", _TITLES.get(name, name), judged[name], intervals[name])
        for number, name in enumerate(names)
    ]
    labels = judged[names[0]].labels
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
        undefined=jinja2.StrictUndefined,
    )
    text = environment.get_template("page.html.j2").render(
        style=(_HERE / "page.css").read_text(encoding="utf-8"),
        heading=_heading(labels),
        summary=_summary(sections),
        version=metadata.get("versions", {}).get("kerasbert", ""),
        labels=labels,
        sections=sections,
        slices=[slice_table(*item) for item in (slices or {}).items()],
        comparison=comparison and comparison_tables(comparison),
        learning=_learning_chart(history) if history else None,
        facts=_facts(metadata),
        data=_data_table(metadata.get("data", {})),
        findings=metadata.get("training", {}).get("findings") or [],
        command="\n".join(run_commands(labels, metadata)),
        settings=json.dumps(metadata["fit"], indent=2, ensure_ascii=False),
    )
    with written_file(path) as file:
        file.write(text)


def _heading(labels: Labels) -> str:
    names = ", ".join(shown(name) for name in labels.names[:_MOST_NAMES])
    rest = len(labels.names) - _MOST_NAMES
    return f"{_TASKS[labels.task]}: {names}" + (f" and {rest:,} more" if rest > 0 else "")


def _summary(sections: Sequence[Section]) -> str:
    """The first numbers of each section, in a sentence."""
    parts = []
    for section in sections:
        numbers = section.tables[0].rows[:2]
        found = ", ".join(f"{name} {value} ({ends})" for name, value, ends in numbers)
        parts.append(f"{section.title}, {section.tables[0].caption}: {found}.")
    return " ".join(parts)


def _learning_chart(history: Sequence[dict[str, Any]]) -> Chart:
    panels = history_panels(history)
    pictures = [
        draw(f"learning-{name}", f"{title} over the steps.", _titled(title, panels[name]))
        for name, title in _PANELS.items()
        if name in panels
    ]
    epochs = [row for row in history if row["kind"] == "epoch"]
    keys = [
        key
        for key in (*("loss", "accuracy", "val_loss", "val_accuracy", "val_macro_f1"),
                    *("val_roc_auc", "val_pearson"))
        if any(row.get(key) is not None for row in epochs)
    ]  # fmt: skip
    rows = [
        [str(row["epoch"]), *("-" if row.get(key) is None else f"{row[key]:.4f}" for key in keys)]
        for row in epochs
    ]
    return Chart(
        "learning",
        "Learning curves",
        "What the training was like, step by step; history.csv has every number.",
        pictures,
        [Table("After each epoch", ("epoch", *(key.replace("_", " ") for key in keys)), rows)],
    )


def _titled(title: str, paint: Callable[[Axes], None]) -> Callable[[Axes], None]:
    """One panel of a history as a picture of its own."""

    def painted(axes: Axes) -> None:
        paint(axes)
        axes.set_title(title, loc="left")
        axes.set_xlabel("optimizer steps")
        axes.set_ylabel("")
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        if axes.get_legend() and title == _PANELS["loss"]:  # three names are too wide for one row
            axes.legend(edgecolor="none", framealpha=0.8, loc="upper right", ncols=2)
        # 0.01 rather than 1 below a power of ten, which is no plain text.
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}")

    return painted


def _facts(metadata: dict[str, Any]) -> list[tuple[str, str]]:
    """What is known of a run, as names and values."""
    fit, training = metadata["fit"], metadata.get("training", {})
    parameters = metadata.get("parameters", {})
    facts = [("base", fit["model"]["base"]), ("task", metadata["labels"]["task"])]
    if parameters:
        facts.append(("weights", f"{parameters['total']:,}, {parameters['trainable']:,} trained"))
    if training.get("epochs") is not None:
        facts.append(("trained for", f"{training['epochs']} epochs, {training['steps']:,} steps"))
    if training.get("best_epoch") is not None:
        facts.append(("best epoch", f"{training['best_epoch']} by {training.get('monitor')}"))
    if training.get("interrupted"):
        where = training["interrupted"]
        facts.append(("interrupted", f"in epoch {where['epoch']}, after step {where['step']:,}"))
    facts.append(("precision", f"{metadata['precision']}; runs in "
                               f"{metadata.get('running_precision', 'float32')}"))  # fmt: skip
    facts.append(("device", metadata["device"]))
    versions = metadata.get("versions", {})
    facts.append(("versions", ", ".join(f"{name} {number}" for name, number in versions.items())))
    return facts


def _data_table(data: dict[str, dict[str, Any]]) -> Table:
    rows = []
    for name, facts in data.items():
        labels = ", ".join(
            f"{label}: {count:,}" if isinstance(count, int) else f"{label}: {count:.3g}"
            for label, count in facts["labels"].items()
        )
        rows.append([name, facts["source"], f"{facts['rows']:,}", labels, facts["sha256"] or "-"])
    return Table("The data", ("part", "file", "rows", "labels", "sha256 of the file"), rows)
