"""How thresholds and calibration were chosen: kept beside them, for people."""

import dataclasses

Pair = tuple[float | None, ...]


@dataclasses.dataclass(frozen=True)
class ChosenLabel:
    """How the threshold of one label was chosen, and what it is good for.

    Attributes:
        positives: rows that have the label, of those it was chosen on.
        basis: what chose it: `"rows"`; `"curve and rows"`, where a curve through the rows has the
            more to say the fewer of them have the label; `"default"`, where too few had it; None
            where nothing was to be chosen for it.
        is_reached: whether what was asked for, such as a precision, is reached on new rows with a
            certainty of about 90 %.
        precision: before and after; see `Chosen`.
        recall: before and after.
        f1: before and after.
    """

    name: str
    positives: int
    basis: str | None = None
    is_reached: bool = True
    precision: Pair = (None, None)
    recall: Pair = (None, None)
    f1: Pair = (None, None)


@dataclasses.dataclass(frozen=True)
class Chosen:
    """How the decision of a classifier was chosen.

    Numbers "before" are of the model's own probabilities with a cut-off of 0.5, or the most
    probable class. Numbers "after" are cross-fitted: each fifth of the rows by what the other four
    choose.

    Attributes:
        decide: what was asked for, such as `"f1"`; None where thresholds were left as they were.
        calibrate: what the probabilities were corrected by, or `"none"`.
        source: the file of the rows.
        rows: how many there were.
        rows_sha256: of their numbers in the file, as `kerasbert.data.facts` has it.
        labels: one entry per label.
        macro_f1: before and after.
        macro_recall: before and after.
        calibration_error: the expected one, before and after.
    """

    decide: str | None
    calibrate: str
    source: str
    rows: int
    rows_sha256: str
    labels: tuple[ChosenLabel, ...]
    macro_f1: Pair
    macro_recall: Pair
    calibration_error: Pair
