"""Explanations and exchanged terms on a terminal."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kerasbert._drawing import BLUE, ORANGE
from kerasbert.explaining.explanation import Explanation
from kerasbert.explaining.showing import (
    METHOD_NAMES,
    headline,
    pieces_of,
    printable,
    signed,
    strength,
    sum_line,
    tolerance_line,
    unread_line,
)
from kerasbert.explaining.swapping import SwappedText, summarise

_STRONGEST = 10
# Signs of the strongest word's bar.
_BAR = 20


def print_explanation(console: Console, explanation: Explanation, row: int | None = None) -> None:
    """Print the text, its words on the colour of what they do, and a table of the strongest.

    Args:
        console: where to.
        explanation: of the text.
        row: the text's, in its file.
    """
    head = headline(explanation.label, explanation.probability, row)
    console.print(Text(f"{head}, by {METHOD_NAMES[explanation.method]}", style="bold"))
    for part in range(1 if explanation.pair is None else 2):
        console.print(_coloured(explanation, part))
    if explanation.words:
        console.print(_strongest_table(explanation))
    for line in filter(None, (sum_line(explanation), unread_line(explanation))):
        console.print(Text(line, style="dim"))
    if line := tolerance_line(explanation):
        console.print(Text(line, style="bold"))
    console.print()


def print_swaps(
    console: Console,
    swapped: Sequence[SwappedText],
    rows: Sequence[int | None] | None = None,
    shown: Sequence[int] | None = None,
) -> None:
    """Print what exchanging terms does to each text, and what each term does to all of them.

    Args:
        console: where to.
        swapped: the texts.
        rows: theirs, in their file.
        shown: which of the texts are shown one by one, counted from 0. Default: all.
    """
    for number in range(len(swapped)) if shown is None else shown:
        text = swapped[number]
        row = None if rows is None else rows[number]
        head = Text(f"{headline(text.label, text.probability, row)}  ", style="bold")
        parts = [text.text] if text.pair is None else [text.text, text.pair]
        head.append(
            " | ".join(" ".join(printable(part).split()) for part in parts), style="not bold"
        )
        console.print(head)
        if not text.swaps:
            console.print(Text("  No listed term is in it.\n", style="dim"))
            continue
        table = _table("exchanged", "for", "probability", "change", "decision")
        for swap in text.swaps:
            cells = [swap.term, swap.other, f"{swap.probability:.4f}", signed(swap.change)]
            cells.append(f"flips to {swap.decision}" if swap.is_flipped else "same")
            table.add_row(*(Text(printable(cell)) for cell in cells))
        console.print(table)
    if rows := summarise(swapped):
        table = _table("put in", "times", "mean change", "largest change", "decisions flipped")
        for row in rows:
            cells = [row.term, row.num_swaps, signed(row.mean_change), signed(row.largest_change)]
            cells.append(row.num_flipped)
            table.add_row(*(Text(printable(str(cell))) for cell in cells))
        console.print(table)


def _coloured(explanation: Explanation, part: int) -> Text:
    line = Text()
    for piece in pieces_of(explanation, part):
        if isinstance(piece, str):
            line.append("\n" if "\n" in piece else " " * bool(piece.strip("\u200b") or piece))
            continue
        share = strength(piece, explanation.words)
        line.append(printable(piece.text), style=_style(share) if piece.is_read else "dim strike")
    return line


def _style(share: float) -> str:
    if not share:
        return ""
    # From a pale tint to three quarters of the colour, on which black is easy to read.
    mix = 0.15 + 0.6 * abs(share)
    colour = ORANGE if share > 0 else BLUE
    channels = (int(colour[place : place + 2], 16) for place in (1, 3, 5))
    tint = "".join(f"{round(255 + mix * (channel - 255)):02x}" for channel in channels)
    return f"black on #{tint}"


def _strongest_table(explanation: Explanation) -> Table:
    table = _table("word", "contribution", "")
    for word in explanation.strongest(_STRONGEST):
        signs = round(_BAR * abs(strength(word, explanation.words)))
        bar = Text(("+" if word.contribution > 0 else "-") * signs)
        table.add_row(Text(printable(word.text)), Text(signed(word.contribution)), bar)
    return table


def _table(*heads: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for head in heads:
        is_number = head in ("contribution", "probability", "times") or "change" in head.split()
        table.add_column(head, justify="right" if is_number or "flipped" in head else "left",
                         overflow="fold")  # fmt: skip
    return table
