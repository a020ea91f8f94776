"""Model outputs and targets to a report: one dict, for JSON, and one table, for people."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import scipy.stats
import sklearn.metrics
from rich.console import Group
from rich.table import Table
from rich.text import Text

from kerasbert.data.labels import Labels
from kerasbert.tasks import UNKNOWN

# Probabilities are kept this far from 0 and 1 in the loss, as Keras does.
_EPSILON = 1e-7


def build_report(
    labels: Labels,
    targets: np.ndarray,
    outputs: np.ndarray,
    decisions: np.ndarray | None = None,
) -> dict[str, Any]:
    """Score n examples.

    Args:
        labels: what the columns mean, with the thresholds that decide.
        targets: from `labels.encode`.
        outputs: probabilities, calibrated where the labels say so, or scores, of shape (n, labels).
        decisions: as `labels.decide` has them, which is the default.

    Returns:
        For regression: `loss`, `mse`, `pearson`, `spearman`, `count`. Else `loss` (mean
        cross-entropy), `accuracy` (for multilabel: share of examples all of whose known labels are
        right), `macro_f1`, `roc_auc` (binary: of the second label; multiclass and multilabel: mean
        over the labels, each against the rest, that have both kinds of example), `count`, and
        `labels`: a list of `name`, `precision`, `recall`, `f1`, `support`. A precision or recall
        that divides by zero is 0, as in scikit-learn; what has no example at all is None. Where the
        answer may be "don't know", which counts as a mistake in all of these, also `unsure`, the
        share of such answers, and `decided_accuracy`, that of the others.
    """
    if labels.task == "regression":
        return _regression_report(targets, outputs[:, 0])
    decisions = labels.decide(outputs) if decisions is None else decisions
    if labels.task == "multilabel":
        truth, known = targets == 1, targets != UNKNOWN  # (n, labels)
        decided = decisions == 1
        losses = -np.log(np.clip(np.where(truth, outputs, 1 - outputs), _EPSILON, 1))
        loss = losses[known].mean() if known.any() else math.nan
    else:
        classes = np.arange(len(labels.names))
        truth = targets[:, None] == classes
        known = np.ones_like(truth)
        decided = decisions[:, None] == classes
        loss = -np.log(np.clip(outputs[truth], _EPSILON, 1)).mean()
    per_label = [
        _label_report(name, truth[known[:, column], column], decided[known[:, column], column])
        for column, name in enumerate(labels.names)
    ]
    ranked = [len(labels.names) - 1] if labels.task == "binary" else range(len(labels.names))
    areas = [
        sklearn.metrics.roc_auc_score(truth[known[:, column], column],
                                      outputs[known[:, column], column])
        for column in ranked
        if len(np.unique(truth[known[:, column], column])) == 2
    ]  # fmt: skip
    right = ((truth == decided) | ~known).all(axis=1)  # (n,)
    report = {
        "loss": _finite(loss),
        "accuracy": _mean(right[known.any(axis=1)]),
        "macro_f1": _mean([label["f1"] for label in per_label if label["f1"] is not None]),
        "roc_auc": _mean(areas),
        "count": len(targets),
        "labels": per_label,
    }
    if labels.unsure_below is not None:
        is_unsure = ~decided.any(axis=1)  # (n,)
        report |= {"unsure": _mean(is_unsure), "decided_accuracy": _mean(right[~is_unsure])}
    return report


def show_number(value: float | int | None) -> str:
    """A number of a report, for people: three places, or a dash for what is not defined."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3f}"


def report_table(
    report: dict[str, Any], title: str, show: Callable[[Any], str] = show_number
) -> Table | Group:
    """The report as a table of one row per label, with the totals below it, for `rich` to print.

    Args:
        report: from `build_report`, or of its form, with anything that `show` can write in place
            of the numbers.
        title: above the table.
        show: what stands in the cells.
    """
    if "mse" in report:
        table = Table("Pearson", "Spearman", "mean squared error", "rows", title=Text(title))
        table.add_row(*(show(report[key]) for key in ("pearson", "spearman", "mse", "count")))
        return table
    totals = (
        f"accuracy {show(report['accuracy'])}   macro F1 {show(report['macro_f1'])}   "
        f"ROC AUC {show(report['roc_auc'])}   loss {show(report['loss'])}   "
        f"{show(report['count'])} rows"
    )
    table = Table(title=Text(title))
    table.add_column("label", overflow="fold")
    for column in ("precision", "recall", "F1", "support"):
        table.add_column(column, justify="right")
    for label in report["labels"]:
        numbers = (label[key] for key in ("precision", "recall", "f1", "support"))
        table.add_row(Text(label["name"]), *map(show, numbers))  # a name is no markup
    return Group(table, Text(totals))


def _label_report(name: str, truth: np.ndarray, decided: np.ndarray) -> dict[str, Any]:
    if len(truth) == 0:  # no cell of this label is known
        return {"name": name, "precision": None, "recall": None, "f1": None, "support": 0}
    precision, recall, f1, _ = sklearn.metrics.precision_recall_fscore_support(
        truth, decided, average="binary", zero_division=0
    )
    return {
        "name": name,
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "support": int(truth.sum()),
    }


def _regression_report(targets: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    error = _finite(np.mean((targets.astype(np.float64) - scores) ** 2))
    varies = len(targets) > 1 and np.ptp(targets) > 0 and np.ptp(scores) > 0
    return {
        "loss": error,
        "mse": error,
        "pearson": _finite(scipy.stats.pearsonr(targets, scores)[0]) if varies else None,
        "spearman": _finite(scipy.stats.spearmanr(targets, scores)[0]) if varies else None,
        "count": len(targets),
    }


def _mean(values: Sequence[float] | np.ndarray) -> float | None:
    return float(np.mean(values)) if len(values) else None


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
