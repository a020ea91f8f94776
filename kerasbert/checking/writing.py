"""A finding as JSON, and the rows concerned as CSV."""

import csv
from typing import Any, TextIO

from kerasbert.checking.finding import Finding
from kerasbert.checking.showing import one_line

COLUMNS = ("file", "row", "problem", "detail", "label", "text")


def finding_json(finding: Finding) -> dict[str, Any]:
    """A finding as JSON holds it; names of keys and of problems stay as they are.

    Returns:
        `task`; `serious`, whether any problem is; `files`, one object each: `path`, `rows`,
        `labels` (rows per label; null for scores), `scores` (`lowest`, `mean`, `highest`; null but
        for scores) and `tokens` (`mean`; `percentiles`, by percent; `share_cut`, of the texts;
        `share_lost`, of the tokens of these; null for a file without a text); `base` and
        `max_length`, of which tokens speak; `problems`, a list of objects: `name`, `summary`,
        `serious`, and `rows`, by file; null where the problem is of a whole file.
    """
    rows = finding.rows
    files = []
    for number, (path, start, end) in enumerate(
        zip(rows.paths, (0, *rows.ends), rows.ends, strict=False)
    ):
        scores, lengths = (finding.scores or [None] * len(rows.paths))[number], finding.lengths
        files.append({
            "path": path,
            "rows": end - start,
            "labels": {name: counts[number] for name, counts in finding.balance.items()} or None,
            "scores": scores and dict(zip(("lowest", "mean", "highest"), scores, strict=True)),
            "tokens": lengths[number] and _lengths_json(lengths[number]),
        })  # fmt: skip
    return {
        "task": finding.task,
        "serious": finding.is_serious,
        "base": finding.base,
        "max_length": finding.max_length,
        "files": files,
        "problems": [
            {
                "name": problem.name,
                "summary": problem.summary,
                "serious": problem.is_serious,
                "rows": None if problem.rows is None else rows.per_file(problem.rows),
            }
            for problem in finding.problems
        ],
    }


def write_rows(finding: Finding, file: TextIO) -> None:
    """Write a line for each problem of each row: `COLUMNS`, the text in one line, shortened.

    `row` counts as a spreadsheet does. A row with several problems has several lines.
    """
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    rows = finding.rows
    file_of = rows.file_of
    for problem in finding.problems:
        if problem.rows is None:
            continue
        for position, index in enumerate(problem.rows.tolist()):
            writer.writerow([
                rows.paths[file_of[index]],
                rows.examples.rows[index],
                problem.name,
                "" if problem.details is None else problem.details[position],
                rows.label(index),
                one_line(rows.examples.texts[index]),
            ])  # fmt: skip


def _lengths_json(lengths) -> dict[str, Any]:
    return {
        "mean": lengths.mean,
        "percentiles": {str(percent): length for percent, length in lengths.percentiles.items()},
        "share_cut": lengths.share_cut,
        "share_lost": lengths.share_lost,
    }
