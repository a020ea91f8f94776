"""Confusion matrices: what was taken for what."""

from collections.abc import Sequence

import numpy as np
import sklearn.metrics
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from kerasbert._drawing import BLUE
from kerasbert.judged import Judged
from kerasbert.reporting.pictures import WIDTH, Chart, Picture, Table, draw, shown
from kerasbert.reporting.questions import Question, hardest

# Of more classes the most confused ones are drawn.
_MOST_CLASSES = 20
_MOST_PAIRS = 30
_MOST_LABELS = 6
_CELL = 34  # points
# A share of 1 is still so pale that words can be read on it.
_FULLEST = 0.6


def confusion_chart(judged: Judged, questions: Sequence[Question], prefix: str) -> Chart:
    """What was taken for what: a matrix of the classes, or one of each label for multilabel.

    Args:
        judged: at least one row, of a classifier.
        questions: of the same.
        prefix: of ids.
    """
    if judged.labels.task == "multilabel":
        return _confusion_of_labels(questions, prefix)
    names = list(judged.labels.names)
    columns = [*names, "don't know"] if judged.labels.unsure_below is not None else names
    decisions = np.where(judged.decisions < 0, len(names), judged.decisions)
    matrix = sklearn.metrics.confusion_matrix(
        judged.targets, decisions, labels=np.arange(len(columns))
    )[: len(names)]
    caption = (
        "A row per class that is true, a column per class that was decided for; the fuller the "
        "colour of a cell, the larger its share of the row."
    )
    if len(names) <= _MOST_CLASSES:
        kept = np.arange(len(names))
        tables = [
            Table(
                "Rows: what is true. Columns: what was decided",
                ("true class", *columns),
                [[name, *map(_count, row)] for name, row in zip(names, matrix, strict=True)],
            )
        ]
    else:
        wrong = matrix[:, : len(names)] * (1 - np.eye(len(names), dtype=int))
        most = np.argsort(-(wrong.sum(axis=0) + wrong.sum(axis=1)), kind="stable")[:_MOST_CLASSES]
        kept = np.sort(most)
        caption += f" Of {len(names)} classes the {_MOST_CLASSES} with the most mistakes."
        tables = [_most_confused(wrong, names)]
    kept_columns = [*kept, *range(len(names), len(columns))]
    picture = _matrix(
        f"{prefix}-confusion",
        matrix[np.ix_(kept, kept_columns)],
        [names[k] for k in kept],
        [columns[k] for k in kept_columns],
        matrix.sum(axis=1)[kept],
    )
    return Chart("confusion", "Confusion matrix", caption, [picture], tables)


def _confusion_of_labels(questions: Sequence[Question], prefix: str) -> Chart:
    drawn = hardest(questions, _MOST_LABELS)
    pictures = []
    for number, question in enumerate(drawn):
        hits, false_alarms, missed, rest = question.counts
        matrix = np.array([[hits, missed], [false_alarms, rest]])
        sides = ["there", "not there"], ["decided for", "decided against"]
        pictures.append(
            _matrix(
                f"{prefix}-confusion-{number}", matrix, *sides, matrix.sum(axis=1), question.name
            )
        )
    some = f", {len(drawn)} of {len(questions)} labels," if len(drawn) < len(questions) else ""
    return Chart(
        "confusion",
        "Confusion matrices",
        f"For each label{some} what was decided for and against, of the examples that have it and "
        "of those that do not; the fuller the colour of a cell, the larger its share of "
        "the row.",
        pictures,
        [
            Table(
                "Right and wrong by label",
                ("label", "found", "false alarms", "missed", "rightly left out"),
                [[question.name, *map(_count, question.counts)] for question in questions],
            )
        ],
    )


def _matrix(
    name: str,
    matrix: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    totals: np.ndarray,
    title: str = "",
) -> Picture:
    """A picture of counts of shape (rows, columns), coloured by their shares of `totals`."""
    shares = matrix / np.maximum(totals, 1)[:, None]
    rows, columns = ([shown(side, 18) for side in sides] for sides in (rows, columns))
    is_long = len(columns) > 3  # names that would run into each other stand aslant
    left = 24 + 5.4 * max(map(len, rows))
    below = 30 + (4.2 * max(map(len, columns)) if is_long else 0)
    cell_width = max(_CELL, (WIDTH - left - 8) / len(columns))
    width, height = (
        left + 8 + cell_width * len(columns),
        below + (26 if title else 6) + _CELL * len(rows),
    )

    def paint(axes: Axes) -> None:
        axes.set_position(
            (left / width, below / height, 1 - (left + 8) / width, _CELL * len(rows) / height)
        )
        for (row, column), share in np.ndenumerate(shares):
            axes.add_patch(
                Rectangle((column, row), 1, 1, facecolor=BLUE, alpha=_FULLEST * share, linewidth=0)
            )
            count = f"{matrix[row, column]:,}"
            axes.text(column + 0.5, row + 0.5, count, ha="center", va="center", fontsize=9)
        axes.set_xlim(0, len(columns))
        axes.set_ylim(len(rows), 0)
        slant = {"rotation": 40, "ha": "right", "rotation_mode": "anchor"} if is_long else {}
        axes.set_xticks(np.arange(len(columns)) + 0.5, columns, **slant)
        axes.set_yticks(np.arange(len(rows)) + 0.5, rows)
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_title(shown(title, 40), loc="left")

    words = f"Confusion matrix{f' of {title}' if title else ''}; the numbers are in the table."
    return draw(name, words, paint, (width, height))


def _most_confused(wrong: np.ndarray, names: Sequence[str]) -> Table:
    order = np.argsort(-wrong, axis=None, kind="stable")[:_MOST_PAIRS]
    pairs = [np.unravel_index(index, wrong.shape) for index in order]
    return Table(
        f"The {_MOST_PAIRS} commonest confusions",
        ("true class", "decided for", "rows"),
        [[names[i], names[j], _count(wrong[i, j])] for i, j in pairs if wrong[i, j]],
    )


def _count(number: int) -> str:
    return f"{int(number):,}"
