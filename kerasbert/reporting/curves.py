"""Precision-recall curves, ROC curves, and reliability before and after calibration."""

from collections.abc import Callable, Sequence

import numpy as np
import sklearn.calibration
import sklearn.metrics
from matplotlib.axes import Axes

from kerasbert._drawing import BLUE, GREY, ORANGE
from kerasbert.deciding.calibration_error import expected_calibration_error, predicted_events
from kerasbert.judged import Judged
from kerasbert.metrics import show_number
from kerasbert.reporting.pictures import BLACK, LINES, Chart, Picture, Table, draw, shown
from kerasbert.reporting.questions import Question, hardest

_MOST_LINES = 2 * len(LINES)
_MOST_POINTS = 250
_NUM_BINS = 15
_MOST_RELIABILITIES = 6
_RECALLS = (0.5, 0.8, 0.9, 0.95)
_FALSE_POSITIVE_RATES = (0.01, 0.05, 0.1, 0.2)

Curve = tuple[np.ndarray, np.ndarray]


def precision_recall_chart(questions: Sequence[Question], prefix: str) -> Chart:
    """Precision against recall for each label, with the point that the thresholds choose.

    Args:
        questions: at least one.
        prefix: of ids.
    """
    drawn = hardest(questions, _MOST_LINES)
    curves, rows = {}, []
    for question in questions:
        row = [question.name, *["-"] * (4 + len(_RECALLS))]
        if question.is_open:
            precision, recall, _ = sklearn.metrics.precision_recall_curve(
                question.truth, question.scores
            )
            curves[question] = recall[::-1], precision[::-1]
            area = sklearn.metrics.average_precision_score(question.truth, question.scores)
            at = [precision[recall >= least].max() for least in _RECALLS]
            row[1:] = map(_show, (area, question.threshold, *_operating_point(question), *at))
        rows.append(row)
    header = [
        *("label", "area", "threshold", "precision", "recall"),
        *(f"precision at recall {least:g}" for least in _RECALLS),
    ]

    def point(question: Question) -> tuple[float, float]:
        return _operating_point(question)[::-1]

    return Chart(
        "precision-recall",
        "Precision and recall",
        f"What other thresholds would give: {_each(drawn, questions)} as its threshold falls from "
        f"1 to 0. {_mark(questions)} The table has the area below the curves (average precision).",
        _pictures(prefix, "precision-recall", drawn, curves, point, _paint_precision),
        [Table("Precision and recall", header, rows)],
    )


def roc_chart(questions: Sequence[Question], prefix: str) -> Chart:
    """True positives found against false alarms for each label, with the point that is chosen.

    Args:
        questions: at least one.
        prefix: of ids.
    """
    drawn = hardest(questions, _MOST_LINES)
    curves, rows = {}, []
    for question in questions:
        row = [question.name, *["-"] * (4 + len(_FALSE_POSITIVE_RATES))]
        if question.is_open:
            alarms, found, _ = sklearn.metrics.roc_curve(question.truth, question.scores)
            curves[question] = alarms, found
            at = [found[alarms <= most].max() for most in _FALSE_POSITIVE_RATES]
            area = sklearn.metrics.auc(alarms, found)
            row[1:] = map(_show, (area, question.threshold, *_rates(question), *at))
        rows.append(row)
    header = [
        *("label", "area", "threshold", "false positive rate", "true positive rate"),
        *(f"true positive rate at {most:.0%} false" for most in _FALSE_POSITIVE_RATES),
    ]
    return Chart(
        "roc",
        "ROC curves",
        f"How many of the examples that have a label are found, against how many of the others are "
        f"taken for one: {_each(drawn, questions)}. {_mark(questions)} Guessing is the diagonal.",
        _pictures(prefix, "roc", drawn, curves, _rates, _paint_roc),
        [Table("ROC curves", header, rows)],
    )


def calibration_chart(judged: Judged, prefix: str) -> Chart:
    """How often what is said with a probability comes true, before and after calibration.

    Args:
        judged: at least one row, of a classifier.
        prefix: of ids.
    """
    labels, targets = judged.labels, judged.targets
    is_calibrated = labels.calibration is not None
    stages = {"the model's own": judged.raw}
    if is_calibrated:
        stages["calibrated"] = judged.outputs
    events = {name: predicted_events(labels, targets, values) for name, values in stages.items()}
    errors = {
        name: expected_calibration_error(labels, targets, values, _NUM_BINS)
        for name, values in stages.items()
    }
    pictures, rows = [], []
    for number, (event, *_) in enumerate(next(iter(events.values()))):
        lines = {}
        for name, found in events.items():
            _, said, is_true = found[number]
            if len(said):
                said = said.clip(0, 1)
                share, mean = sklearn.calibration.calibration_curve(
                    is_true, said, n_bins=_NUM_BINS, pos_label=True
                )
                lines[name] = mean, share
                rows += [
                    (event, name, _show(x), _show(y)) for x, y in zip(mean, share, strict=True)
                ]
        if lines and number < _MOST_RELIABILITIES:
            words = f"Reliability of {shown(event)}: share that came true by probability."
            pictures.append(
                draw(f"{prefix}-calibration-{number}", words, _paint_reliability(event, lines))
            )
    found = ", ".join(f"{name} {show_number(error)}" for name, error in errors.items())
    how = f"corrected by {labels.calibration.method}" if is_calibrated else "as the model has them"
    return Chart(
        "calibration",
        "Calibration before and after" if is_calibrated else "Calibration",
        f"Of what is said with a probability, {how}, how much comes true; on the diagonal as much "
        "as was said. Expected calibration error, the mean distance from the diagonal in "
        f"{_NUM_BINS} equally wide bins: {found}.",
        pictures,
        [Table("Reliability", ("of", "probabilities", "mean said", "share true"), rows)],
    )


def thinned(x: np.ndarray, y: np.ndarray, most: int = _MOST_POINTS) -> Curve:
    """At most so many points of a curve in the unit square, about equally far apart."""
    if len(x) <= most:
        return x, y
    length = np.concatenate([[0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    kept = np.searchsorted(length, np.linspace(0, length[-1], most))
    kept = np.unique(np.concatenate([[0], np.minimum(kept, len(x) - 1), [len(x) - 1]]))
    return x[kept], y[kept]


def _pictures(
    prefix: str,
    name: str,
    drawn: Sequence[Question],
    curves: dict[Question, Curve],
    point: Callable[[Question], tuple[float, float]],
    dress: Callable[[Axes], None],
) -> list[Picture]:
    pictures = []
    for start in range(0, len(drawn), len(LINES)):
        part = drawn[start : start + len(LINES)]

        def paint(axes: Axes, part=part) -> None:
            dress(axes)
            for question, (colour, dashes) in zip(part, LINES, strict=False):
                axes.plot(
                    *thinned(*curves[question]), color=colour, linestyle=dashes, linewidth=1.6,
                    label=shown(question.name),
                )  # fmt: skip
                axes.plot(*point(question), "o", color=colour, markersize=7, markeredgecolor=BLACK)
            axes.set_xlim(-0.02, 1.02)
            axes.set_ylim(-0.02, 1.02)
            axes.legend(edgecolor="none", framealpha=0.8, loc=axes.get_label())

        names = ", ".join(shown(question.name) for question in part)
        words = f"{name} curves of {names}; the numbers are in the table."
        pictures.append(draw(f"{prefix}-{name}-{start}", words, paint))
    return pictures


def _paint_precision(axes: Axes) -> None:
    axes.set_xlabel("recall")
    axes.set_ylabel("precision")
    axes.set_label("lower left")


def _paint_roc(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
    axes.set_xlabel("false positive rate")
    axes.set_ylabel("true positive rate")
    axes.set_label("lower right")


def _paint_reliability(event: str, lines: dict[str, Curve]) -> Callable[[Axes], None]:
    def paint(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
        for (name, curve), (colour, marker, dashes) in zip(
            lines.items(), ((BLUE, "o", "--"), (ORANGE, "s", "-")), strict=False
        ):
            axes.plot(
                *curve, color=colour, marker=marker, markersize=4, linestyle=dashes, label=name
            )
        axes.set_title(shown(event, 40), loc="left")
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
        axes.set_xlabel("mean probability")
        axes.set_ylabel("share that came true")
        axes.legend(edgecolor="none", framealpha=0.8, loc="upper left")

    return paint


def _operating_point(question: Question) -> tuple[float, float]:
    """Precision, 1 where nothing is decided for, as at the curve's end, and recall."""
    hits, false_alarms, missed, _ = question.counts
    return hits / (hits + false_alarms) if hits + false_alarms else 1.0, hits / (hits + missed)


def _rates(question: Question) -> tuple[float, float]:
    hits, false_alarms, missed, rest = question.counts
    return false_alarms / (false_alarms + rest), hits / (hits + missed)


def _each(drawn: Sequence[Question], questions: Sequence[Question]) -> str:
    if len(questions) == 1:
        return f"“{shown(questions[0].name)}”"
    if len(drawn) == len(questions):
        return "each label"
    return (
        f"{len(drawn)} of {len(questions)} labels, those with the lowest F1; all are in the table,"
    )


def _mark(questions: Sequence[Question]) -> str:
    if all(question.threshold is None for question in questions):
        return "Dots mark what is decided for now."
    return "Dots mark the thresholds that decide now."


def _show(value: float | None) -> str:
    return show_number(None if value is None else float(value))
