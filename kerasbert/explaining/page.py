"""Explanations and exchanged terms as one HTML file: no scripts, nothing from elsewhere."""

import html
import itertools
from collections.abc import Iterable, Sequence

from kerasbert._drawing import BLUE, ORANGE
from kerasbert.explaining.explanation import Explanation, Word
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
# Of the colour behind the strongest word: more would leave the word itself hard to read.
_OPACITY = 0.6
_NO_ROWS = itertools.repeat(None)

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --line: #8886; --faint: #666; }}
@media (prefers-color-scheme: dark) {{ :root {{ --faint: #aaa; }} }}
body {{ font: 16px/1.6 system-ui, sans-serif; max-width: 46rem; margin: 0 auto; padding: 1rem; }}
h1 {{ font-size: 1.3rem; }}
h2 {{ font-size: 1.05rem; margin: 0 0 .5rem; }}
section {{ border-top: 1px solid var(--line); padding: 1rem 0; }}
.text {{ white-space: pre-wrap; overflow-wrap: anywhere; font-size: 1.1rem; line-height: 1.9; }}
.up, .down {{ border-radius: .2em; padding: .1em .15em; border-bottom: .15em solid {up}; }}
.down {{ border-bottom: .15em dashed {down}; }}
.unread {{ color: var(--faint); text-decoration: line-through; }}
.note {{ color: var(--faint); font-size: .9rem; }}
.note .up, .note .down {{ color: CanvasText; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: .95rem; }}
caption {{ text-align: left; color: var(--faint); }}
th, td {{ text-align: start; padding: .15rem .8rem .15rem 0; }}
td {{ max-width: 14rem; overflow-wrap: break-word; }}
td.number, th.number {{ text-align: right; white-space: nowrap; }}
td.number {{ font-variant-numeric: tabular-nums; }}
tr {{ border-bottom: 1px solid var(--line); }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def explanations_page(
    explanations: Sequence[Explanation], title: str, rows: Sequence[int | None] | None = None
) -> str:
    """A page of texts, each word on the colour of what it does, with tables of the numbers.

    Args:
        explanations: in the order in which they are shown.
        title: of the page.
        rows: of the texts, in their file.

    Returns:
        HTML in which everything that was not written here is escaped.
    """
    up, down = (
        f'<span class="{kind}" style="background: {_tint(share)}">{name}</span>'
        for kind, share, name in (("up", 0.5, "Underlined"), ("down", -0.5, "dashed"))
    )
    legend = (
        f'<p class="note">{up} words move the answer up, {down} ones down; the stronger the '
        "colour, the more. Hover over a word for its number, or see the tables.</p>"
    )
    return _page(title, [legend, *map(_explanation_section, explanations, rows or _NO_ROWS)])


def swaps_page(
    swapped: Sequence[SwappedText], title: str, rows: Sequence[int | None] | None = None
) -> str:
    """A page of texts with their terms exchanged, and of what each term does; as above."""
    sections = []
    if terms := summarise(swapped):
        heads = ("put in", "times", "mean change", "largest change", "decisions flipped")
        cells = (
            (term.term, term.num_swaps, signed(term.mean_change), signed(term.largest_change),
             term.num_flipped)
            for term in terms
        )  # fmt: skip
        sections.append(f"<section>{_table('What each term does', heads, cells, 1)}</section>")
    return _page(title, [*sections, *map(_swaps_section, swapped, rows or _NO_ROWS)])


def _page(title: str, sections: Iterable[str]) -> str:
    body = "\n".join(sections)
    return _PAGE.format(title=_escape(title), body=body, up=ORANGE, down=BLUE)


def _explanation_section(explanation: Explanation, row: int | None) -> str:
    parts = [
        f'<p class="text" dir="auto">{"".join(_piece(explanation, piece) for piece in pieces)}</p>'
        for pieces in (
            pieces_of(explanation, part) for part in range(1 if explanation.pair is None else 2)
        )
    ]
    head = headline(explanation.label, explanation.probability, row)
    notes = filter(None, (sum_line(explanation), unread_line(explanation)))
    warning = tolerance_line(explanation)
    warning = f"<p><strong>{_escape(warning)}</strong></p>" if warning else ""
    strongest = explanation.strongest(_STRONGEST)
    tables = _words_table("Strongest words", strongest) if strongest else ""
    if len(explanation.words) > len(strongest):
        every = _words_table("In the order of the text", explanation.words)
        tables += (
            f"<details><summary>All {len(explanation.words):,} words</summary>{every}</details>"
        )
    return (
        f"<section><h2>{_escape(head)}</h2>"
        f'<p class="note">by {METHOD_NAMES[explanation.method]}</p>{"".join(parts)}{tables}'
        f'<p class="note">{" ".join(map(_escape, notes))}</p>{warning}</section>'
    )


def _piece(explanation: Explanation, piece: str | Word) -> str:
    if isinstance(piece, str):
        return _escape(piece)
    text = f"<bdi>{_escape(piece.text)}</bdi>"
    if not piece.is_read:
        return f'<span class="unread" title="not read">{text}</span>'
    share, title = strength(piece, explanation.words), signed(piece.contribution)
    if not share:
        return f'<span title="{title}">{text}</span>'
    kind = "up" if share > 0 else "down"
    return f'<span class="{kind}" style="background: {_tint(share)}" title="{title}">{text}</span>'


def _swaps_section(swapped: SwappedText, row: int | None) -> str:
    parts = [swapped.text] if swapped.pair is None else [swapped.text, swapped.pair]
    texts = "".join(f'<p class="text" dir="auto">{_escape(part)}</p>' for part in parts)
    heads = ("exchanged", "for", "probability", "change", "decision")
    cells = (
        (swap.term, swap.other, f"{swap.probability:.4f}", signed(swap.change),
         f"flips to {swap.decision}" if swap.is_flipped else "same")
        for swap in swapped.swaps
    )  # fmt: skip
    table = _table("", heads, cells, 2) if swapped.swaps else "<p>No listed term is in it.</p>"
    head = headline(swapped.label, swapped.probability, row)
    return f"<section><h2>{_escape(head)}</h2>{texts}{table}</section>"


def _words_table(caption: str, words: Sequence[Word]) -> str:
    rows = (
        (word.text, signed(word.contribution) if word.is_read else "not read") for word in words
    )
    return _table(caption, ("word", "contribution"), rows, 1)


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence], numbers_from: int) -> str:
    """A table whose columns are right-aligned numbers from one on, but for what is decided."""
    kinds = [
        ' class="number"' if number >= numbers_from and head != "decision" else ""
        for number, head in enumerate(heads)
    ]
    head = "".join(
        f'<th scope="col"{kind}>{_escape(name)}</th>'
        for name, kind in zip(heads, kinds, strict=True)
    )
    body = "\n".join(
        "<tr>"
        + "".join(
            f"<td{kind}>{_escape(str(cell))}</td>" for cell, kind in zip(row, kinds, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    caption = f"<caption>{_escape(caption)}</caption>" if caption else ""
    return (
        f'<div class="scroll" tabindex="0"><table>{caption}<thead><tr>{head}</tr></thead>'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _tint(share: float) -> str:
    """The colour behind a word, which lets as much through as the word is weak."""
    colour = ORANGE if share > 0 else BLUE
    channels = " ".join(str(int(colour[place : place + 2], 16)) for place in (1, 3, 5))
    return f"rgb({channels} / {_OPACITY * abs(share):.2f})"


def _escape(text: str) -> str:
    return html.escape(printable(text))
