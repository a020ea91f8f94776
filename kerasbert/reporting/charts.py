"""Histograms of the probabilities, length against mistakes, and scores against the truth."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes

from kerasbert._drawing import BLUE, ORANGE
from kerasbert.judged import Judged
from kerasbert.reporting.comparing import right_rows
from kerasbert.reporting.pictures import BLACK, WIDTH, Chart, Table, draw, shown
from kerasbert.reporting.questions import Question, hardest
from kerasbert.reporting.slices import range_groups, slice_groups

_MOST_PANELS = 6
_NUM_BARS = 20
_NUM_LENGTHS = 8
_MOST_DOTS = 1500


def histogram_chart(judged: Judged, questions: Sequence[Question], prefix: str) -> Chart:
    """How the probabilities are spread over those that should be high and those that should not.

    Args:
        judged: at least one row, of a classifier.
        questions: of the same.
        prefix: of ids.
    """
    if judged.labels.task == "multiclass":
        right = right_rows(judged)
        confidence = judged.outputs.max(axis=1)
        panels = [("the most probable class", confidence, right, None)]
        kinds = ("right", "wrong")
        what = (
            "The probability of the most probable class, where the answer was right and where it "
            "was wrong"
        )
    else:
        drawn = hardest(questions, _MOST_PANELS) or list(questions[:_MOST_PANELS])
        panels = [(q.name, q.scores, q.truth, q.threshold) for q in drawn]
        kinds = ("has it", "has it not")
        what = (
            "The probability of a label, for the examples that have it and for the others; the "
            "line is the threshold"
        )
        if len(drawn) < len(questions):
            what += f" ({len(drawn)} of {len(questions)} labels)"
    pictures, rows = [], []
    edges = np.linspace(0, 1, _NUM_BARS + 1)
    for number, (name, scores, is_first, threshold) in enumerate(panels):
        counts = [np.histogram(scores[is_first == kind], edges)[0] for kind in (True, False)]
        words = f"Histogram of the probabilities of {shown(name)}; the numbers are in the table."
        paint = _paint_histogram(name, counts, kinds, edges, threshold)
        pictures.append(draw(f"{prefix}-histogram-{number}", words, paint))
        rows += [
            [name, f"{edges[bar]:.2f} to {edges[bar + 1]:.2f}", *(_count(c[bar]) for c in counts)]
            for bar in range(_NUM_BARS)
            if counts[0][bar] or counts[1][bar]
        ]
    return Chart(
        "histogram",
        "Histograms of the probabilities",
        f"{what}. Each kind by itself adds up to 100 %.",
        pictures,
        [Table("Examples by probability", ("of", "probability", *kinds), rows)],
    )


def length_chart(judged: Judged, prefix: str) -> Chart:
    """Whether long texts are answered worse than short ones.

    Args:
        judged: at least one row.
        prefix: of ids.
    """
    examples = judged.examples
    lengths = np.fromiter(map(len, examples.texts), float, len(examples))
    if examples.pairs is not None:
        lengths += np.fromiter(map(len, examples.pairs), float, len(examples))
    slices = slice_groups(judged, range_groups(lengths, _NUM_LENGTHS))
    is_scores = judged.labels.task == "regression"
    key, what = ("mse", "mean squared error") if is_scores else ("accuracy", "share of mistakes")
    points, rows = [], []
    for part in slices:
        value, ends = part["numbers"][key]["value"], part["numbers"][key]["interval"]
        if not is_scores:
            value = None if value is None else 1 - value
            ends = ends and [1 - ends[1], 1 - ends[0]]
        points.append((value, *(ends or (value, value))))
        interval = f"{ends[0]:.3f} to {ends[1]:.3f}" if ends else "-"
        shown_value = "-" if value is None else f"{value:.3f}"
        rows.append([part["value"], _count(part["rows"]), shown_value, interval])
    words = f"The {what} by the length of the text; the numbers are in the table."
    paint = _paint_lengths(points, [part["value"] for part in slices], what)
    return Chart(
        "length",
        "Length and mistakes",
        f"The {what} of texts by their length in characters, in groups of about as many texts, "
        "with 95 % bootstrap intervals. What is longer than the model reads is cut off.",
        [draw(f"{prefix}-length", words, paint, (WIDTH, 270))],
        [Table("By length", ("characters", "rows", what, "interval"), rows)],
    )


def score_chart(judged: Judged, prefix: str) -> Chart:
    """For regression: what was said against what is true, and how far off it was.

    Args:
        judged: at least one row, of a regression model.
        prefix: of ids.
    """
    truth, scores = judged.targets.astype(float), judged.outputs[:, 0].astype(float)
    drawn = np.random.default_rng(0).permutation(len(truth))[:_MOST_DOTS]
    errors = scores - truth
    ends = [min(truth.min(), scores.min()), max(truth.max(), scores.max())]

    def paint_scores(axes: Axes) -> None:
        axes.plot(ends, ends, color=BLACK, linewidth=0.8, linestyle=":")
        axes.plot(truth[drawn], scores[drawn], "o", color=BLUE, markersize=2.5, alpha=0.4)
        axes.set_xlabel("true score")
        axes.set_ylabel("predicted score")

    counts, edges = np.histogram(errors, _NUM_BARS)

    def paint_errors(axes: Axes) -> None:
        axes.bar(edges[:-1], counts, np.diff(edges), align="edge", color=BLUE, alpha=0.7)
        axes.axvline(0, color=BLACK, linewidth=0.8, linestyle=":")
        axes.set_xlabel("predicted less true")
        axes.set_ylabel("rows")

    some = (
        f" {len(drawn):,} of {len(truth):,} rows, drawn by chance."
        if len(drawn) < len(truth)
        else ""
    )
    rows = [
        [f"{edges[bar]:.3f} to {edges[bar + 1]:.3f}", _count(counts[bar])]
        for bar in range(_NUM_BARS)
    ]
    return Chart(
        "scores",
        "Scores and residuals",
        f"On the dotted line the prediction is the truth.{some} Beside it, how far off all are.",
        [
            draw(f"{prefix}-scatter", "Predicted against true scores.", paint_scores),
            draw(f"{prefix}-residuals", "Histogram of predicted less true scores.", paint_errors),
        ],
        [Table("Residuals", ("predicted less true", "rows"), rows)],
    )


def _paint_histogram(
    name: str,
    counts: Sequence[np.ndarray],
    kinds: Sequence[str],
    edges: np.ndarray,
    threshold: float | None,
) -> Callable[[Axes], None]:
    def paint(axes: Axes) -> None:
        for count, kind, colour, hatch in zip(
            counts, kinds, (BLUE, ORANGE), (None, "///"), strict=True
        ):
            share = 100 * count / max(count.sum(), 1)
            axes.stairs(
                share, edges, fill=True, color=colour, alpha=0.35, hatch=hatch, linewidth=0,
                label=f"{kind} ({count.sum():,})",
            )  # fmt: skip
            axes.stairs(share, edges, color=colour, linewidth=1.4)
        if threshold is not None:
            axes.axvline(threshold, color=BLACK, linewidth=1.2, linestyle="--")
        axes.set_title(shown(name, 40), loc="left")
        axes.set_xlim(-0.01, 1.01)
        axes.set_xlabel("probability")
        axes.set_ylabel("% of the kind")
        axes.legend(edgecolor="none", framealpha=0.8, loc="upper center")

    return paint


def _paint_lengths(
    points: Sequence[tuple[float, float, float]], names: Sequence[str], what: str
) -> Callable[[Axes], None]:
    def paint(axes: Axes) -> None:
        values = np.array(points, float)  # (groups, 3)
        around = np.abs(values[:, 1:] - values[:, :1]).T
        axes.errorbar(
            range(len(values)), values[:, 0], around, fmt="o-", color=BLUE, linewidth=1.4,
            markersize=5, capsize=3,
        )  # fmt: skip
        axes.set_xticks(range(len(names)), names, rotation=35, ha="right", rotation_mode="anchor")
        axes.set_ylim(bottom=0)
        axes.set_ylabel(what)
        box = axes.get_position()
        axes.set_position((box.x0, 78 / 270, box.width, 1 - 92 / 270))

    return paint


def _count(number: int) -> str:
    return f"{int(number):,}"
