"""How thresholds and calibration were chosen: kept beside them, for people."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ChosenLabel:
    """How the threshold of one label was chosen.

    Attributes:
        positives: rows that have the label, of those it was chosen on.
        basis: what chose it: `"rows"`; `"curve and rows"`, where a curve through the rows has the
            more to say the fewer of them have the label; or `"default"`, where too few had it.
        is_reached: whether what was asked for, such as a precision, is reached on these rows.
    """

    name: str
    positives: int
    basis: str
    is_reached: bool = True


@dataclasses.dataclass(frozen=True)
class Chosen:
    """How the decision of a classifier was chosen.

    Numbers "before" are of the model's own probabilities with the thresholds it had when it was
    trained. Numbers "after" are cross-fitted: each fifth of the rows by what the other four choose.

    Attributes:
        decide: what was asked for, such as `"f1"`; None where thresholds were left as they were.
        calibrate: what the probabilities were corrected by, or `"none"`.
        source: the file of the rows.
        rows: how many there were.
        labels: one entry per label; empty where thresholds were left as they were.
        macro_f1: before and after.
        macro_recall: before and after.
        calibration_error: the expected one, before and after.
    """

    decide: str | None
    calibrate: str
    source: str
    rows: int
    labels: tuple[ChosenLabel, ...] = ()
    macro_f1: tuple[float, ...] | None = None
    macro_recall: tuple[float, ...] | None = None
    calibration_error: tuple[float, ...] | None = None
