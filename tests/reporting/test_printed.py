import io

import pytest
from rich.console import Console

from kerasbert.reporting.comparing import compare
from kerasbert.reporting.intervals import find_intervals, interval_table
from kerasbert.reporting.printed import comparison_table, slices_table
from kerasbert.reporting.slices import slice_by
from tests.reporting.making import random_rows


def printed(table):
    text = io.StringIO()
    Console(width=80, file=text).print(table, highlight=False)
    return text.getvalue()


@pytest.mark.parametrize("task", ["binary", "multiclass", "multilabel", "regression"])
def test_tables_fit_80_columns_with_whole_intervals(task):
    judged = random_rows(task, 60, 2 if task == "binary" else 3)
    found = find_intervals(judged)
    key = "pearson" if task == "regression" else "accuracy"
    lower, upper = found[key]
    table = printed(interval_table(judged.report, found, "x.csv"))
    assert f"({lower:.3f} to {upper:.3f})" in table
    (part,) = slice_by(judged, ["[red]"] * 60)
    lower, upper = part["numbers"][key]["interval"]
    table = printed(slices_table("source", [part]))
    assert f"{lower:.2f}..{upper:.2f}" in table
    assert "[red]" in table
    table = printed(comparison_table({"run": "[b]"} | compare(judged, judged)))
    assert "against [b]" in table
    assert "+0.000" in table
