"""How probabilities become decisions, as a frozen dataclass."""

import dataclasses
from typing import Annotated

from kerasbert.config_checks import check, check_choice, one_of
from kerasbert.deciding.rules import parse_rule

CALIBRATIONS = ("none", "auto", "temperature", "isotonic")


@dataclasses.dataclass(frozen=True)
class DecisionConfig:
    """How probabilities become decisions; chosen on the validation rows."""

    # Choose a threshold per label instead of 0.5: f1, f2 (recall counts twice), recall>=0.9,
    # precision>=0.95, or cost=FP:1,FN:5. Of several classes f1 and f2 alone, averaged over them.
    decide: str | None = None

    # Correct the probabilities. temperature: one number per model, or per label. isotonic: a rising
    # curve per label, for 1,000 rows or more. auto: isotonic where there are so many.
    calibrate: Annotated[str, one_of(*CALIBRATIONS)] = "none"

    # Of several classes: answer "don't know" where none has this probability, 0 to 1. Without
    # --decide.
    unsure_below: float | None = None

    def __post_init__(self):
        if self.decide is not None:
            parse_rule(self.decide)
        check_choice(self, "calibrate", CALIBRATIONS)
        is_share = self.unsure_below is None or 0 <= self.unsure_below <= 1
        check(self, "unsure_below", is_share, "be from 0 to 1")

    @property
    def is_default(self) -> bool:
        """Whether nothing is to be chosen."""
        return self == DecisionConfig()
