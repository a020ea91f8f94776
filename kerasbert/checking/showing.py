"""A finding on the screen: the files, their labels and lengths, and what is odd."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kerasbert.checking.finding import Finding, Lengths, Problem

# Labels that are shown, and characters of a text.
_MOST_LABELS, _LONGEST = 12, 200
# Characters of a file's name beside each other, where a column holds counts alone.
_WIDTH = 14
# Rows that are shown of a problem whose rows must be seen to be believed.
_EXAMPLES = 2
_SHOWN = ("near_duplicate", "near_duplicate_of_another_file")


def show(finding: Finding, console: Console) -> None:
    """Print what was found, the serious things first."""
    console.print(_files_table(finding))
    for name, lengths in zip(finding.rows.names, finding.lengths, strict=True):
        if lengths is not None:
            console.print(Text(f"{name}: {cut_line(lengths, finding.max_length)}"))
    if any(problem.rows is not None for problem in finding.problems):
        console.print(_problems_table(finding))
    # A text is cut at a terminal's edge, so that texts stand below each other.
    width = console.width if console.is_terminal else _LONGEST
    for problem in finding.problems:
        for line in _examples(finding, problem, width):
            console.print(line, soft_wrap=True)
    console.print(Text(_verdict(finding)))


def cut_line(lengths: Lengths, max_length: int) -> str:
    """`"at --max-length 256, 7.3 % of the texts lose 31 % of their tokens"`."""
    if not lengths.share_cut:
        return f"at --max-length {max_length}, no text is cut"
    return (
        f"at --max-length {max_length}, {_percent(lengths.share_cut, 1)} of the texts lose "
        f"{_percent(lengths.share_lost, 0)} of their tokens"
    )


def one_line(text: str, most: int = _LONGEST) -> str:
    """A text without line breaks and what a terminal would obey, shortened."""
    text = " ".join(text[: 4 * most].split())
    text = "".join(letter if letter.isprintable() else "\ufffd" for letter in text)
    return text if len(text) <= most else f"{text[: most - 3].rstrip()}..."


def _files_table(finding: Finding) -> Table:
    """Rows, rows by label, and lengths: a column per file."""
    rows = finding.rows
    table = _table("", rows.names)
    sizes = [end - start for start, end in zip((0, *rows.ends), rows.ends, strict=False)]
    table.add_row("rows", *(f"{size:,}" for size in sizes), end_section=True)
    shown = list(finding.balance.items())
    for label, counts in shown[:_MOST_LABELS]:
        name = label if label.isprintable() else repr(label)
        table.add_row(Text(one_line(name, 40)), *map(_share, counts, sizes))
    if rest := [counts for _, counts in shown[_MOST_LABELS:]]:
        counts = map(sum, zip(*rest, strict=True))
        table.add_row(f"{len(rest):,} other labels", *map(_share, counts, sizes))
    for number, name in enumerate(("lowest score", "mean score", "highest score")):
        if finding.scores:
            cells = ["" if scores is None else f"{scores[number]:.3g}" for scores in finding.scores]
            table.add_row(name, *cells)
    table.add_section()
    base = one_line(finding.base, 30)
    known = next((lengths for lengths in finding.lengths if lengths is not None), None)
    if known is not None:
        means = ["" if of is None else f"{of.mean:.1f}" for of in finding.lengths]
        table.add_row(f"tokens of {base}, mean", *means)
        for percent in known.percentiles:
            name = "longest" if percent == 100 else f"{percent} % have at most"
            cells = ["" if of is None else f"{of.percentiles[percent]:,}" for of in finding.lengths]
            table.add_row(name, *cells)
    return table


def _problems_table(finding: Finding) -> Table:
    """Rows concerned, by problem and file."""
    table = _table("rows with", short_names(finding.rows.names))
    for problem in finding.problems:
        if problem.rows is not None:
            counts = [f"{count:,}" for count in finding.rows.per_file(problem.rows)]
            style = "bold red" if problem.is_serious else ""
            mark = "! " if problem.is_serious else "  "
            table.add_row(Text(mark + problem.summary), *counts, style=style)
    return table


def short_names(names: Sequence[str], most: int = _WIDTH) -> list[str]:
    """Names of files in `most` characters: without endings, then without what they begin with."""
    short = list(names)
    if any(len(name) > most for name in names):
        short = [Path(name).stem for name in names]
    short = [name if len(name) <= most else f"...{name[3 - most :]}" for name in short]
    if len(set(short)) < len(short):
        return [f"file {number}" for number in range(1, len(names) + 1)]
    return short


def _table(head: str, names: Sequence[str]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.add_column(head)
    for name in names:
        table.add_column(Text(name), justify="right", overflow="fold")
    return table


def _examples(finding: Finding, problem: Problem, width: int) -> Iterator[Text]:
    """A problem and a few of its rows, in a line each; nothing where its number says enough."""
    style = "bold red" if problem.is_serious else "bold"
    if problem.rows is None:
        yield Text(problem.summary, style=style)
    elif problem.name == "suspect_label" or problem.is_serious or problem.name in _SHOWN:
        yield Text(problem.summary, style=style)
        rows = finding.rows
        count = len(problem.rows) if problem.name == "suspect_label" else _EXAMPLES
        for position, index in enumerate(problem.rows[:count].tolist()):
            detail = "" if problem.details is None else f": {one_line(problem.details[position])}"
            yield Text(f"  {rows.where(index)}{detail}")
            if rows.is_filled[index]:
                text = Text(f"    {one_line(rows.examples.texts[index])}", style="dim")
                text.truncate(width, overflow="ellipsis")
                yield text


def _verdict(finding: Finding) -> str:
    serious = dict.fromkeys(problem.name for problem in finding.problems if problem.is_serious)
    if serious:
        return f"Serious: {', '.join(serious)}."
    return "Nothing serious." if finding.problems else "Nothing odd."


def _share(count: int, size: int) -> str:
    return f"{count:,}  {_percent(count / size, 1):>7}"


def _percent(share: float, places: int) -> str:
    return f"{100 * share:.{places}f} %"
