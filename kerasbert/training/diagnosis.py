"""What is wrong with a training, in plain sentences, and what to try."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kerasbert.tasks import TASKS, UNKNOWN
from kerasbert.training.ranking import (
    FEWEST_SCORES,
    LARGEST_ERROR,
    areas,
    ranks_nothing,
    ranks_well,
)

# With fewer rows that should be decided otherwise, a useful classifier may miss them all: one that
# finds half of them misses five with a probability of 3 %.
_FEWEST_OTHERS = 5
# Outputs that spread less than this share of what the targets do are one and the same number.
_CONSTANT = 0.01
# Nothing is learned at this share of the loss of guessing, or above. A batch's loss varies, so both
# the end of the last epoch and the validation rows must say so.
_NOTHING_LEARNED = 0.97
# Norms before clipping were 0.03 to 70 in trainings that went well. Adam divides by the size of the
# gradient, with 1e-7 added: far below that it stands still.
_VANISHED, _EXPLODED, _GROWN = 1e-6, 100.0, 100.0
# Scaled float16 gradients overflow now and then by design, and such a step is left out.
_MOST_NOT_FINITE = 0.1
# Weights are about 0.03 in size, and something is learned where they move by a thirtieth of it.
_SHORTEST_PATH = 1e-3


def diagnose(
    task: str,
    targets: np.ndarray,
    outputs: np.ndarray,
    history_rows: Sequence[dict[str, Any]],
    validation_targets: np.ndarray,
    label_names: Sequence[str],
) -> list[str]:
    """Say what is wrong, if something is; after the first epoch and at the end.

    Args:
        task: a key of `kerasbert.tasks.TASKS`.
        targets: of the training rows, from `Labels.encode`.
        outputs: for the validation rows, probabilities or scores, shape (n, labels).
        history_rows: of the run so far.
        validation_targets: of the validation rows, from `Labels.encode`.
        label_names: of the output columns.

    Returns:
        One sentence or two for each thing that is wrong, in the order in which to look into them.
    """
    steps = [row for row in history_rows if row["kind"] == "step"]
    steps = [row for row in steps if row["epoch"] == steps[-1]["epoch"]]  # the last epoch's
    outputs = np.asarray(outputs, np.float64)
    if not np.isfinite(outputs).all():
        return ["Some outputs are not numbers. Try a smaller --learning-rate."]
    guess = _loss_of_guessing(task, targets, validation_targets)
    # The norms of a mean squared error grow with the square of the scores' unit.
    unit = max(float(np.var(targets)), 1e-12) if task == "regression" else 1.0
    fell = _loss_fell(history_rows)
    gradients = _about_gradients([row.get("gradient_norm") for row in steps], unit, fell)
    # What was not trained, or has fallen apart, says nothing of the file.
    was_trained = fell or (not gradients and _path(history_rows) > _SHORTEST_PATH)
    chance = was_trained and _about_chance(task, outputs, validation_targets)
    answer = _about_one_answer(task, outputs, validation_targets, label_names)
    # A loss that falls is on its way, however far it has to go, unless nothing comes of it; and
    # what ranks well has learned something, however large the loss of its few steps still is.
    is_lost = not fell and not ranks_well(task, outputs, validation_targets)
    is_lost = is_lost or ranks_nothing(task, outputs, validation_targets)
    late = _late_loss(history_rows)
    loss = is_lost and _about_loss(task, late, guess, outputs, validation_targets)
    return [sentence for sentence in (gradients, chance, answer, loss) if sentence]


def _about_gradients(norms: list[float | None], unit: float, loss_fell: bool) -> str | None:
    norms = np.array([norm for norm in norms if norm is not None], float) / unit
    finite = norms[np.isfinite(norms)]
    not_finite = len(norms) - len(finite)
    if not_finite > max(2, _MOST_NOT_FINITE * len(norms)):
        return (
            f"The gradients were not finite in {not_finite} of {len(norms)} steps. Try a smaller "
            "--learning-rate, or --precision float32."
        )
    if not len(finite):
        return None
    median, tenth = np.median(finite), max(1, len(finite) // 10)
    first, last = np.median(finite[:tenth]), np.median(finite[-tenth:])
    if median < _VANISHED:
        return (
            f"The gradients vanish: their norm was {median:.1g} in half of the steps, so the "
            "weights hardly move. Try a smaller --learning-rate, which does not saturate the head, "
            "or --precision float32."
        )
    if median > _EXPLODED and not loss_fell:  # clipped, they do no harm where the loss falls
        return (
            f"The gradients explode: before clipping, their norm was above {median:,.0f} in half "
            "of the steps. Try a smaller --learning-rate, or a longer --warmup."
        )
    if last > 1 and last > _GROWN * first:
        return (
            f"The gradients explode: before clipping, their norm grew from {first:.2g} to "
            f"{last:,.0f} in this epoch. Try a smaller --learning-rate, or a longer --warmup."
        )
    return None


def _about_one_answer(
    task: str, outputs: np.ndarray, targets: np.ndarray, names: Sequence[str]
) -> str | None:
    if not len(targets):
        return None
    if task == "regression":
        spread = float(np.std(targets))
        if spread > 0 and np.std(outputs) < _CONSTANT * spread:
            return (
                f"The model gives nearly the same score, {outputs.mean():.4g}, to all "
                f"{len(targets):,} validation rows. Try another --learning-rate or more --epochs."
            )
        return None
    decided = TASKS[task].decide(outputs, None)
    if task == "multilabel":
        known = targets != UNKNOWN
        if not (decided == 1).any() and (positives := int((targets == 1).sum())) >= _FEWEST_OTHERS:
            return (
                f"No label is predicted for any of the {len(targets):,} validation rows, though "
                f"{positives:,} cells are 1. Try more --epochs, a higher --learning-rate, or "
                "--class-weight balanced."
            )
        always = [
            name
            for column, name in enumerate(names)
            if (decided[:, column] == 1).all()
            and (targets[known[:, column], column] == 0).sum() >= _FEWEST_OTHERS
        ]
        if not always:
            return None
        shown = ", ".join(map(repr, always[:3])) + (" and others" if len(always) > 3 else "")
        return (
            f"All {len(targets):,} validation rows are said to be {shown}. Try more "
            "--epochs, or another --learning-rate."
        )
    others = int((targets != decided[0]).sum())
    if (decided == decided[0]).all() and others >= _FEWEST_OTHERS:
        return (
            f"{names[decided[0]]!r} is predicted for all {len(targets):,} validation rows, though "
            f"{others:,} of them are something else. Try more --epochs, another --learning-rate, "
            "or --class-weight balanced."
        )
    return None


def _about_loss(
    task: str,
    late: float | None,
    guess: tuple[float, float],
    outputs: np.ndarray,
    targets: np.ndarray,
) -> str | None:
    losses = late, _loss(task, outputs, targets)
    pairs = zip(losses, guess, strict=True)
    if late is None or not all(0 < _NOTHING_LEARNED * best <= loss for loss, best in pairs):
        return None
    what = "the mean score" if task == "regression" else "by how frequent each label is"
    uniform = ""
    if task in ("binary", "multiclass"):
        uniform = f", and guessing evenly {math.log(outputs.shape[1]):.3g}"
    return (
        f"Nothing useful is learned so far: the training loss is {late:.3g}, and guessing {what} "
        f"gives {guess[0]:.3g}{uniform}. Try more --epochs, or a --learning-rate ten times as high "
        "or, where the loss jumps, as low."
    )


def _about_chance(task: str, outputs: np.ndarray, targets: np.ndarray) -> str | None:
    spread = np.std(targets) if task == "regression" else 1.0
    if not len(targets) or outputs.std(axis=0).max() < _CONSTANT * spread:
        return None  # one output for all texts is another illness
    if task == "regression":
        scores = outputs[:, 0]
        if len(scores) < FEWEST_SCORES or not np.ptp(targets) > 0:
            return None
        pearson, limit = float(np.corrcoef(scores, targets)[0, 1]), 2 / math.sqrt(len(scores))
        if abs(pearson) > limit:
            return None
        measured = f"correlation with them is {pearson:.2f}, within {limit:.2f} of chance (0)"
    else:
        found = [pair for pair in areas(task, outputs, targets) if pair[1] <= LARGEST_ERROR]
        if not found:
            return None
        # The labels of a mean are not independent: it errs by at most the mean of their errors.
        area, error = np.mean(found, axis=0)
        if abs(area - 0.5) > 2 * error:
            return None
        measured = f"ROC AUC is {area:.2f}, within {2 * error:.2f} of chance (0.5)"
    return (
        "The weights are trained, yet the outputs tell nothing about the validation labels: their "
        f"{measured}. Look whether texts and labels still belong together; one column of the file "
        "may have been sorted, or joined, without the other."
    )


def _loss_of_guessing(
    task: str, targets: np.ndarray, validation_targets: np.ndarray
) -> tuple[float, float]:
    """The loss, in training and validation, of always giving the mean of the training rows."""
    if task == "regression":
        mean = np.full((1, 1), np.mean(targets, dtype=np.float64))
    elif task == "multilabel":
        known = targets != UNKNOWN
        count = np.maximum(known.sum(axis=0), 1)
        mean = (np.where(known, targets, 0).sum(axis=0) / count)[None]
    else:
        size = int(max(targets.max(initial=0), validation_targets.max(initial=0))) + 1
        mean = (np.bincount(targets, minlength=size) / max(len(targets), 1))[None]
    both = (targets, validation_targets)
    first, second = (_loss(task, np.repeat(mean, len(some), axis=0), some) for some in both)
    return first, second


def _loss(task: str, outputs: np.ndarray, targets: np.ndarray) -> float:
    """Mean squared error or cross-entropy; NaN where there is no row."""
    if not len(targets):
        return math.nan
    if task == "regression":
        return float(np.mean((outputs[:, 0] - targets) ** 2))
    if task == "multilabel":
        chosen = np.where(targets == 1, outputs, 1 - outputs)[targets != UNKNOWN]
    else:
        chosen = outputs[np.arange(len(targets)), targets]
    return float(-np.log(np.clip(chosen, 1e-7, 1)).mean()) if len(chosen) else math.nan


def _late_loss(rows: Sequence[dict[str, Any]]) -> float | None:
    """The mean over the last quarter of the last epoch: an epoch's mean holds its beginning."""
    losses = _losses_of_an_epoch(rows, last=True)
    return float(np.mean(losses[-max(1, len(losses) // 4) :])) if len(losses) else None


def _loss_fell(rows: Sequence[dict[str, Any]]) -> bool:
    """Whether the last quarter of the last epoch is below the first tenth of the first one.

    By more than twice what the difference of two such means varies by.
    """
    first, last = (_losses_of_an_epoch(rows, last=last) for last in (False, True))
    first, last = first[: max(2, len(first) // 10)], last[-max(2, len(last) // 4) :]
    if len(first) < 2 or len(last) < 2:
        return False
    error = math.sqrt(first.var(ddof=1) / len(first) + last.var(ddof=1) / len(last))
    return bool(first.mean() - last.mean() > 2 * error)


def _path(rows: Sequence[dict[str, Any]]) -> float:
    """The farthest that Adam can have moved a weight: about the learning rate in each step."""
    pairs = [(row["step"], row.get("learning_rate")) for row in rows if row["kind"] == "step"]
    rates = [rate for _, rate in pairs if rate is not None]
    return float(np.mean(rates)) * pairs[-1][0] if rates else 0.0


def _losses_of_an_epoch(rows: Sequence[dict[str, Any]], *, last: bool) -> np.ndarray:
    steps = [row for row in rows if row["kind"] == "step" and row.get("loss") is not None]
    epoch = steps[-1 if last else 0]["epoch"] if steps else None
    return np.array([row["loss"] for row in steps if row["epoch"] == epoch], float)
