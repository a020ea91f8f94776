"""Several runs to mean and spread: one dict, for JSON, and one table, for people."""

import statistics
from collections.abc import Sequence
from typing import Any

from rich.console import Group
from rich.table import Table

from kerasbert.errors import InputError
from kerasbert.metrics import report_table, show_number


def summarize(reports: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Put the reports of runs that differ in seed, or in the rows held out, together.

    Args:
        reports: one per run, by data set, as `kerasbert.run.Run.report` holds them.

    Returns:
        A dict of the reports' own form, ready for JSON, with a dict in place of each number:

        - `mean`: of the runs in which it is defined; None where there is none.
        - `spread`: the sample standard deviation over the runs (n - 1 below the line). None for one
          run, and where the number is not defined in some of them: how far a part of the runs lie
          apart is no measure of all.
        - `counted`: in how many runs it is defined.
        - `values`: the number in each run, in order.

        Of each label, its name and the same of each of its numbers. What is neither a number nor a
        label is left out.

    Raises:
        InputError: no report, or reports of different data sets, numbers or labels.

    Example:
        >>> summarize([{"test": {"loss": 0.25}}, {"test": {"loss": 0.75}}])["test"]["loss"]["mean"]
        0.5
    """
    if not reports:
        raise InputError("Expected the report of at least one run. Received: none.")
    _check_same([list(report) for report in reports], "data sets")
    return {name: _summarize_part([report[name] for report in reports]) for name in reports[0]}


def summary_table(summary: dict[str, Any], title: str) -> Table | Group:
    """A table like that of one report, with `0.896 ± 0.004` in its cells, for `rich` to print.

    A number that is not defined in each run is shown as the mean of the others, with their number:
    `0.896 (2 of 3)`. Of numbers of rows, the smallest and the largest are shown.

    Args:
        summary: of one data set: `summarize(reports)["validation"]`.
        title: what the table is of, such as the name of the data set.
    """
    num_runs = len(summary["count"]["values"])
    what = "one run" if num_runs == 1 else f"mean ± standard deviation of {num_runs} runs"
    return report_table(summary, f"{title}, {what}", _show_summary)


def _summarize_part(parts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The reports of several runs on one data set, or their rows of one label."""
    _check_same([list(part) for part in parts], "numbers")
    summary = {}
    for key in parts[0]:
        values = [part[key] for part in parts]
        if key == "labels":
            _check_same([[row["name"] for row in rows] for rows in values], "labels")
            summary[key] = [
                {"name": rows[0]["name"], **_summarize_part(rows)}
                for rows in zip(*values, strict=True)
            ]
        elif all(value is None or isinstance(value, int | float) for value in values):
            summary[key] = _summarize_number(values)
    return summary


def _summarize_number(values: list[float | None]) -> dict[str, Any]:
    defined = [value for value in values if value is not None]
    has_spread = len(defined) == len(values) > 1
    return {
        "mean": statistics.fmean(defined) if defined else None,
        "spread": statistics.stdev(map(float, defined)) if has_spread else None,
        "counted": len(defined),
        "values": values,
    }


def _check_same(found: list[list[str]], what: str) -> None:
    for number, names in enumerate(found, start=1):
        if names != found[0]:
            raise InputError(
                f"Expected reports of the same {what}. Received: {', '.join(found[0])} in the "
                f"first run and {', '.join(names)} in run {number}."
            )


def _show_summary(number: dict[str, Any]) -> str:
    defined = [value for value in number["values"] if value is not None]
    if defined and all(isinstance(value, int) for value in defined):
        smallest, largest = map(show_number, (min(defined), max(defined)))
        return smallest if smallest == largest else f"{smallest} to {largest}"
    text = show_number(number["mean"])
    if number["spread"] is not None:
        return f"{text} ± {show_number(number['spread'])}"
    is_in_all = number["counted"] in (0, len(number["values"]))
    return text if is_in_all else f"{text} ({number['counted']} of {len(number['values'])})"
