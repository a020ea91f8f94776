"""What exported models answer, and how fast, on labelled rows, beside Keras in float32."""

import statistics
import time
from typing import Any

import numpy as np
from rich.table import Table

from kerasbert.data.batches import pad, sorted_buckets
from kerasbert.data.examples import Examples
from kerasbert.exporting.checking import Call, last_outputs
from kerasbert.metrics import build_report, show_number
from kerasbert.run import Run

# The numbers of a report that are compared.
_SCORES = ("accuracy", "macro_f1", "roc_auc", "pearson", "mse")
_ROWS = (
    ("mean_difference", "mean difference", ".1e"),
    ("largest_difference", "largest difference", ".1e"),
    ("changed_decisions", "decisions changed", ",d"),
    ("alone_difference", "difference, alone to in batches", ".1e"),
    ("megabytes", "MB", ".1f"),
    ("ms_per_text", "ms per text, in batches", ".2f"),
    ("ms_alone", "ms per text, one by one", ".2f"),
    ("times_the_first", "time, relative, in batches", ".2f"),
)
# Texts that are given one by one, too.
_ALONE = 50


def measure(calls: dict[str, Call], run: Run, examples: Examples) -> dict[str, dict[str, Any]]:
    """Compare models on the same batches, which take turns, so that what else runs meets all.

    Args:
        calls: models by name; the first is what the others are compared with.
        run: whose tokenizer and labels are theirs.
        examples: n labelled rows.

    Returns:
        For each model `accuracy`, `macro_f1` and `roc_auc`, or `pearson` and `mse`; to the first
        one `mean_difference` and `largest_difference` of the outputs, `changed_decisions` (of n,
        or of n labels), `times_the_first` (median over the batches of its time by the first's);
        `ms_per_text` in batches, and `ms_alone`, the median of texts one by one;
        `alone_difference`, how far these answers are at most from the same texts' in batches.
    """
    tokens = run.tokenizer(examples.texts, examples.pairs)
    outputs = {name: np.empty((len(examples), len(run.labels.names)), np.float32) for name in calls}
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    alone: dict[str, list[float]] = {name: [] for name in calls}
    moved = dict.fromkeys(calls, 0.0)

    def answer(name: str, batch: dict[str, np.ndarray]) -> tuple[np.ndarray, float]:
        start = time.perf_counter()
        found = last_outputs(calls[name](batch))
        return found, time.perf_counter() - start

    buckets = sorted_buckets(tokens.lengths)
    for name in calls:  # what is made at the first call is nobody's time
        answer(name, pad(tokens, buckets[0], run.input_names))
    for indices in buckets:
        batch = pad(tokens, indices, run.input_names)
        for name in calls:
            outputs[name][indices], spent = answer(name, batch)
            seconds[name].append(spent)
    for index in range(min(_ALONE, len(examples))):
        batch = pad(tokens, np.array([index]), run.input_names)
        for name in calls:
            found, spent = answer(name, batch)
            alone[name].append(spent)
            moved[name] = max(moved[name], float(np.abs(found - outputs[name][index]).max()))

    first = next(iter(calls))
    targets = run.labels.encode(examples)
    decided = {name: run.labels.decide(rows) for name, rows in outputs.items()}
    measured = {}
    for name in calls:
        report = build_report(run.labels, targets, outputs[name])
        difference = np.abs(outputs[name] - outputs[first])
        ratios = [one / other for one, other in zip(seconds[name], seconds[first], strict=True)]
        measured[name] = {
            **{key: report[key] for key in _SCORES if key in report},
            "mean_difference": float(difference.mean()),
            "largest_difference": float(difference.max()),
            "changed_decisions": _changed(decided[name], decided[first], run.labels.task),
            "alone_difference": moved[name],
            "ms_per_text": 1000 * sum(seconds[name]) / len(examples),
            "ms_alone": 1000 * statistics.median(alone[name]),
            "times_the_first": statistics.median(ratios),
        }
    return measured


def measured_table(measured: dict[str, dict[str, Any]], title: str) -> Table:
    """What `measure` found, a column per model, for `rich` to print."""
    first = next(iter(measured.values()))
    table = Table("", *measured, title=title)
    for key in _SCORES:
        if key in first:
            numbers = (show_number(values[key]) for values in measured.values())
            table.add_row(key.replace("_", " "), *numbers)
    for key, what, shown in _ROWS:
        if first[key] is not None:
            table.add_row(what, *(format(values[key], shown) for values in measured.values()))
    return table


def _changed(decisions: np.ndarray, others: np.ndarray, task: str) -> int | None:
    """How many decisions differ; None for scores, of which nearly all do."""
    return None if task == "regression" else int((decisions != others).sum())
