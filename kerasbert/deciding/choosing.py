"""Held-out examples to the decision that is kept with a model: calibration and thresholds."""

import dataclasses

import numpy as np

from kerasbert.config_decide import DecisionConfig
from kerasbert.data.chosen import Chosen, ChosenLabel
from kerasbert.data.facts import rows_sha256
from kerasbert.data.labels import Labels, default_thresholds
from kerasbert.data.splitting import rarest_label
from kerasbert.deciding.calibrating import find_calibration, isotonic_shortfall
from kerasbert.deciding.calibration_error import expected_calibration_error
from kerasbert.deciding.rules import parse_rule
from kerasbert.deciding.thresholds import choose_thresholds
from kerasbert.errors import InputError
from kerasbert.judged import Judged
from kerasbert.metrics import build_report
from kerasbert.tasks import UNKNOWN

_NUM_PARTS, _MIN_ROWS = 5, 10
# Points of macro F1: less may be chance on a few thousand rows.
_WORTH_A_WORD = 0.02
_MOST_CELLS, _MOST_LABELS = 200_000, 20


def check_decision(labels: Labels, targets: np.ndarray, config: DecisionConfig) -> None:
    """Refuse, before hours of training, what cannot be chosen on such rows.

    Raises:
        InputError: scores, which are no probabilities; a rule for one label where there are
            classes; "don't know" where there are no classes; too few rows.
    """
    if config.is_default:
        return
    if labels.task == "regression":
        raise InputError(
            "`decide`, `calibrate` and `unsure_below` must be left out for scores (regression), "
            "which are no probabilities."
        )
    if config.unsure_below is not None and config.decide is not None:
        raise InputError(
            "`unsure_below` goes with the most probable class, and `decide` lets a less probable "
            "one win. Leave one of them out."
        )
    if labels.task != "multiclass" and config.unsure_below is not None:
        raise InputError(
            f"`unsure_below` is for more than two classes, of which one wins. Received: "
            f"unsure_below={config.unsure_below!r} for {labels.task}. Use thresholds: --decide."
        )
    rule = None if config.decide is None else parse_rule(config.decide)
    if labels.task == "multiclass" and rule is not None and rule.measure != "f":
        raise InputError(
            "`decide` must be f1, f2 or another F-beta for more than two classes, of which one "
            f"wins. Received: decide={config.decide!r}."
        )
    num_known = int((targets != UNKNOWN).any(axis=1).sum()) if targets.ndim == 2 else len(targets)
    if num_known < _MIN_ROWS:
        raise InputError(
            f"A decision is chosen on {_MIN_ROWS} held-out rows or more, whose labels are known. "
            f"Received: {num_known}."
        )
    if config.calibrate == "isotonic" and (problem := isotonic_shortfall(labels, targets)):
        raise InputError(f"{problem} Use --calibrate temperature.")


def choose_decision(judged: Judged, config: DecisionConfig) -> Labels:
    """Choose calibration and thresholds on examples that the model has not learned from.

    Args:
        judged: n held-out examples.
        config: what is asked for. What it leaves out is as it was when the model was trained.

    Returns:
        The labels with the decision, and with `chosen`, which says how it came about.

    Raises:
        InputError: see `check_decision`; or too few rows for what was asked.
    """
    check_decision(judged.labels, judged.targets, config)
    plain = undecided(judged.labels)
    if config.is_default:
        return plain
    targets, raw = judged.targets, judged.raw
    labels, how = _choose(plain, targets, raw, config)
    method = "none" if labels.calibration is None else labels.calibration.method
    outputs, decisions = _cross_fitted(
        plain, targets, raw, dataclasses.replace(config, calibrate=method)
    )
    before = build_report(plain, targets, raw)
    after = build_report(plain, targets, outputs, decisions)
    chosen = Chosen(
        decide=config.decide,
        calibrate=method,
        source=judged.examples.source,
        rows=len(judged),
        rows_sha256=rows_sha256(judged.examples),
        labels=tuple(
            dataclasses.replace(
                how.get(was["name"], ChosenLabel(was["name"], was["support"])),
                **{key: (was[key], now[key]) for key in ("precision", "recall", "f1")},
            )
            for was, now in zip(before["labels"], after["labels"], strict=True)
        ),
        macro_f1=(before["macro_f1"], after["macro_f1"]),
        macro_recall=(_macro_recall(before), _macro_recall(after)),
        calibration_error=(
            expected_calibration_error(plain, targets, raw),
            expected_calibration_error(plain, targets, outputs),
        ),
    )
    return dataclasses.replace(labels, chosen=chosen)


def better_by(judged: Judged) -> Chosen | None:
    """What thresholds for F1 would give where nothing was chosen, if that is much better.

    Args:
        judged: the held-out examples of a run whose decision is as it was when it was trained.

    Returns:
        How they would be chosen, with macro F1 before and after; None where after is not better by
        `_WORTH_A_WORD`, or cannot be had.
    """
    config = DecisionConfig(decide="f1")
    num_labels = len(judged.labels.names)
    if len(judged) * num_labels > _MOST_CELLS or num_labels > _MOST_LABELS:
        return None  # a hint that nobody asked for should not be waited for
    try:
        check_decision(judged.labels, judged.targets, config)
    except InputError:
        return None
    chosen = choose_decision(judged, config).chosen
    return chosen if chosen.macro_f1[1] > chosen.macro_f1[0] + _WORTH_A_WORD else None


def undecided(labels: Labels) -> Labels:
    """The labels as they are when a model has been trained: nothing calibrated, nothing chosen."""
    return dataclasses.replace(
        labels,
        thresholds=default_thresholds(labels.task, len(labels.names)),
        unsure_below=None,
        calibration=None,
        chosen=None,
    )


def _choose(
    plain: Labels, targets: np.ndarray, raw: np.ndarray, config: DecisionConfig
) -> tuple[Labels, dict[str, ChosenLabel]]:
    """The labels with a decision chosen on all of these rows, and how each threshold was."""
    calibration = find_calibration(plain, targets, raw, config.calibrate)
    labels = dataclasses.replace(plain, calibration=calibration, unsure_below=config.unsure_below)
    if config.decide is None:
        return labels, {}
    rule = parse_rule(config.decide)
    thresholds, how = choose_thresholds(plain, targets, labels.calibrated(raw), rule)
    return dataclasses.replace(labels, thresholds=thresholds), {each.name: each for each in how}


def _cross_fitted(
    plain: Labels, targets: np.ndarray, raw: np.ndarray, config: DecisionConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Outputs and decisions, each part of the rows by what the other parts choose.

    On the very rows that chose it, a decision looks better than it is.
    """
    strata = rarest_label(targets) if targets.ndim == 2 else targets
    # In turn over the rows of each label, in random order, so that rare ones are shared out evenly.
    shuffled = np.random.default_rng(0).permutation(len(targets))
    order = shuffled[np.argsort(strata[shuffled], kind="stable")]
    part_of = np.empty(len(targets), np.int64)
    part_of[order] = np.arange(len(targets)) % _NUM_PARTS
    outputs, decisions = np.empty_like(raw), None
    for part in range(_NUM_PARTS):
        is_in = part_of == part
        labels, _ = _choose(plain, targets[~is_in], raw[~is_in], config)
        outputs[is_in] = labels.calibrated(raw[is_in])
        found = labels.decide(outputs[is_in])
        if decisions is None:
            decisions = np.empty((len(targets), *found.shape[1:]), found.dtype)
        decisions[is_in] = found
    return outputs, decisions


def _macro_recall(report: dict) -> float:
    return float(np.mean([row["recall"] for row in report["labels"] if row["recall"] is not None]))
