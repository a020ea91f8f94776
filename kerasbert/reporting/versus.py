"""What the comparison of two models says: a table, and a sentence."""

from typing import Any

from kerasbert.metrics import show_number
from kerasbert.reporting.intervals import show_interval
from kerasbert.reporting.pictures import Table
from kerasbert.reporting.sections import NAMES


def comparison_tables(comparison: dict[str, Any]) -> dict[str, Any]:
    """The page's words for a comparison: `run`, `table`, `verdict`."""
    rows = [
        [
            NAMES.get(name, name),
            show_number(pair["first"]),
            show_number(pair["second"]),
            _signed(pair["difference"]),
            show_interval(pair["interval"]),
        ]
        for name, pair in comparison["numbers"].items()
    ]
    header = ("number", "this run", "the other", "difference", "95 % interval")
    table = Table(f"{comparison['rows']:,} rows", header, rows)
    return {"run": comparison["run"], "table": table, "verdict": verdict(comparison)}


def verdict(comparison: dict[str, Any]) -> str:
    """What McNemar's test says, in a sentence; for scores, what the intervals mean."""
    test = comparison["mcnemar"]
    if test is None:
        return "Where an interval does not hold 0, the difference is more than chance."
    p_value = "below 0.001" if test["p_value"] < 0.001 else f"{test['p_value']:.3f}"
    return (
        f"This run alone is right in {test['only_first']:,} rows, the other alone in "
        f"{test['only_second']:,}; as uneven by chance with a probability of {p_value} "
        "(McNemar's test)."
    )


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f}"
