"""What a page says of one set of rows: numbers, charts, and rows to look at."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from kerasbert.data.facts import rows_sha256
from kerasbert.data.labels import Labels
from kerasbert.deciding.calibration_error import expected_calibration_error
from kerasbert.judged import Judged
from kerasbert.metrics import show_number
from kerasbert.reporting.charts import histogram_chart, length_chart, score_chart
from kerasbert.reporting.confusion import confusion_chart
from kerasbert.reporting.curves import calibration_chart, precision_recall_chart, roc_chart
from kerasbert.reporting.intervals import show_interval, show_with_interval
from kerasbert.reporting.mistakes import Case, confident_mistakes, least_sure
from kerasbert.reporting.pictures import Chart, Table
from kerasbert.reporting.questions import questions_of
from kerasbert.reporting.slices import FEW_ROWS

NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro F1",
    "roc_auc": "ROC AUC",
    "pearson": "Pearson",
    "spearman": "Spearman",
    "mse": "mean squared error",
    "unsure": "share of “don't know”",
    "decided_accuracy": "accuracy of the other answers",
    "loss": "loss (cross-entropy)",
    "false_positive_rate": "false positive rate",
    "false_negative_rate": "false negative rate",
}


@dataclasses.dataclass(frozen=True)
class Section:
    """One set of rows.

    Attributes:
        name: id in the page.
        title: heading.
        remarks: sentences that belong to the numbers.
        tables: the numbers.
        charts: pictures.
        mistakes: the most confident ones.
        unsure: the least sure answers.
    """

    name: str
    title: str
    remarks: Sequence[str]
    tables: Sequence[Table]
    charts: Sequence[Chart]
    mistakes: Sequence[Case]
    unsure: Sequence[Case]


def make_section(name: str, title: str, judged: Judged, intervals: dict[str, Any]) -> Section:
    """All that is said of judged rows.

    Args:
        name: id in the page, of letters.
        title: heading.
        judged: at least one row.
        intervals: from `kerasbert.reporting.intervals.find_intervals`.
    """
    labels, questions = judged.labels, questions_of(judged)
    tables = [totals_table(judged, intervals)]
    if labels.task == "regression":
        charts = [score_chart(judged, name)]
    else:
        tables.append(_labels_table(judged, intervals))
        charts = [
            confusion_chart(judged, questions, name),
            precision_recall_chart(questions, name),
            roc_chart(questions, name),
            calibration_chart(judged, name),
            histogram_chart(judged, questions, name),
        ]
    charts.append(length_chart(judged, name))
    return Section(
        name,
        title,
        [
            *decision_remarks(labels),
            *chosen_remarks(labels, judged),
            _interval_remark(judged, intervals),
        ],
        tables,
        charts,
        confident_mistakes(judged),
        least_sure(judged),
    )


def totals_table(judged: Judged, intervals: dict[str, Any]) -> Table:
    """The numbers of all rows together, with their intervals."""
    report = judged.report
    rows = [
        (NAMES[key], show_number(report[key]), show_interval(intervals.get(key)))
        for key in numbers_of(report)
    ]
    error = expected_calibration_error(judged.labels, judged.targets, judged.outputs)
    if error is not None:
        rows.append(("expected calibration error", show_number(error), "-"))
    return Table(f"{len(judged):,} rows", ("number", "value", "95 % interval"), rows)


def numbers_of(report: dict[str, Any]) -> list[str]:
    """Keys of `NAMES` that a report has, each number once: the loss of scores is their error."""
    return [key for key in NAMES if key in report and not (key == "loss" and "mse" in report)]


def decision_remarks(labels: Labels) -> list[str]:
    """How the labels decide, in sentences."""
    if labels.task == "regression":
        return []
    if labels.thresholds is None:
        remarks = ["The most probable class is decided for."]
    elif labels.task == "binary":
        remarks = [
            f"“{labels.names[1]}” is decided for from a probability of {labels.thresholds[1]:.3g}."
        ]
    else:
        pairs = zip(labels.names, labels.thresholds, strict=True)
        values = ", ".join(f"{value:.3g} for “{name}”" for name, value in pairs)
        rule = (
            "The class is decided for whose probability is the largest multiple of its threshold:"
            if labels.task == "multiclass"
            else "A label is decided for from a probability of"
        )
        remarks = [f"{rule} {values}."]
    if labels.unsure_below is not None:
        remarks.append(
            f"Where no class has a probability of {labels.unsure_below:.3g}, the answer is “don't "
            "know”, which counts as a mistake."
        )
    return remarks


def slice_table(column: str, slices: Sequence[dict[str, Any]]) -> Table:
    """Numbers of the parts of the rows, as `kerasbert.reporting.slices` gives them."""
    keys = list(slices[0]["numbers"])
    rows = [
        [
            part["value"],
            f"{part['rows']:,}" + (" (few)" if part["is_small"] else ""),
            *(
                show_with_interval(own["value"], own["interval"])
                for own in part["numbers"].values()
            ),
        ]
        for part in slices
    ]
    caption = f"By {column}; “few” are less than {FEW_ROWS}"
    return Table(caption, (column, "rows", *(NAMES[key] for key in keys)), rows)


def _labels_table(judged: Judged, intervals: dict[str, Any]) -> Table:
    keys = ("precision", "recall", "f1")
    rows = [
        [
            own["name"],
            f"{own['support']:,}",
            *(show_with_interval(own[key], ends[key]) for key in keys),
        ]
        for own, ends in zip(judged.report["labels"], intervals["labels"], strict=True)
    ]
    return Table("By label", ("label", "examples", "precision", "recall", "F1"), rows)


def chosen_remarks(labels: Labels, judged: Judged | None = None) -> list[str]:
    """How the decision was chosen, in sentences; `judged` are the rows that are spoken of."""
    chosen = labels.chosen
    if chosen is None:
        return []
    what = [f"thresholds (for {chosen.decide})"] if chosen.decide else []
    what += [f"calibration ({chosen.calibrate})"] if chosen.calibrate != "none" else []
    words = " and ".join(what) or "answers “don't know”"
    remarks = [f"The {words} were chosen on {chosen.rows:,} rows of {chosen.source}."]
    if judged is not None and chosen.rows_sha256 == rows_sha256(judged.examples):
        remarks = [
            f"The {words} were chosen on these very rows, so the numbers here are somewhat better "
            "than on new ones."
        ]
    pairs = {
        "macro F1": chosen.macro_f1,
        "macro recall": chosen.macro_recall,
        "expected calibration error": chosen.calibration_error,
    }
    found = [
        f"{name} {show_number(before)} before and {show_number(after)} after"
        for name, (before, after) in pairs.items()
    ]
    remarks.append(f"Where each fifth is judged by what the others choose: {', '.join(found)}.")
    unreached = [label.name for label in chosen.labels if not label.is_reached]
    if unreached:
        remarks.append(
            f"That {chosen.decide} is reached on new rows is not sure for {', '.join(unreached)}."
        )
    return remarks


def _interval_remark(judged: Judged, intervals: dict[str, Any]) -> str:
    count = intervals["resamples"]
    remark = f"Intervals: of {count:,} resamples of the rows, 95 % lie within (bootstrap)."
    if len(judged) < FEW_ROWS:
        remark += f" With {len(judged):,} rows they are too narrow."
    labels = intervals.get("labels", ())
    found = [label[key] for label in labels for key in ("precision", "recall") if label[key]]
    if any(lower == upper for lower, upper in found):
        remark += " One without width is no certainty: among these rows there is no other case."
    return remark
