"""What is known of one trial of a sweep."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Trial:
    """One trial of a sweep.

    Attributes:
        number: from 0, in the order in which they began.
        status: "running", "completed", "failed", or "unfinished", when the sweep ended before it.
        values: the hyperparameters by name: float, int, str, bool.
        score: of the objective; None unless completed.
        metrics: numbers on the validation data by name, without "val_".
        seconds: that it took; None while it runs.
        error: why it failed; else None.
        worker: which process ran it, such as "worker1"; "" where there is only one.
    """

    number: int
    status: str
    values: dict[str, Any]
    score: float | None = None
    metrics: dict[str, float | None] = dataclasses.field(default_factory=dict)
    seconds: float | None = None
    error: str | None = None
    worker: str = ""
