"""matplotlib's figures as SVG that stands in a page and takes its colours from it."""

import dataclasses
import io
import re
import warnings
from collections.abc import Callable, Sequence
from html import escape

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from kerasbert._drawing import BLUE, GREEN, GREY, ORANGE, PINK, SKY

BLACK = "#000000"
# Lines that share one picture; they differ in their dashes, too.
LINES = (
    (BLUE, "solid"),
    (ORANGE, (0, (6, 1.5))),
    (GREEN, (0, (4, 1.5, 1, 1.5))),
    (PINK, (0, (2, 1.2))),
    (SKY, (0, (7, 1.5, 1, 1.5, 1, 1.5))),
    (BLACK, (0, (1, 1))),
)
# What the page says in place of a fixed colour; it has others for the dark.
_VARIABLES = {
    BLACK: "currentColor",
    "#ffffff": "var(--page)",
    "#dddddd": "var(--line)",
    GREY: "var(--muted)",
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
    GREEN: "var(--green)",
    PINK: "var(--pink)",
    SKY: "var(--sky)",
}
# In points, which a telephone shows as about as many pixels.
WIDTH, HEIGHT = 340, 250
_STYLE = {
    "svg.fonttype": "none",  # text stays text, for those who search, or listen
    "svg.hashsalt": "kerasbert",
    "text.parse_math": False,  # a label may be called $x$
    "font.size": 10,
    "axes.titlesize": 10,
    "legend.fontsize": 9,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
}


@dataclasses.dataclass(frozen=True)
class Picture:
    """One SVG.

    Attributes:
        svg: the element, labelled for a screen reader.
        width: in points; what is wider than `WIDTH` is not made smaller than that.
    """

    svg: str
    width: float

    @property
    def is_wide(self) -> bool:
        """Whether it takes more room than one picture in general does."""
        return self.width > WIDTH + 1


@dataclasses.dataclass(frozen=True)
class Table:
    """A table of strings; the first cell of a row is its header."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclasses.dataclass(frozen=True)
class Chart:
    """Pictures that say one thing, and the same in numbers.

    Attributes:
        name: short, unique in a section; part of the ids.
        title: a heading.
        caption: what is to be seen.
        pictures: next to each other where there is room; perhaps none.
        tables: the numbers.
    """

    name: str
    title: str
    caption: str
    pictures: Sequence[Picture]
    tables: Sequence[Table]

    @property
    def is_large(self) -> bool:
        """Whether it takes more room than one picture in general does."""
        return len(self.pictures) > 1 or any(picture.is_wide for picture in self.pictures)


def draw(
    name: str,
    label: str,
    paint: Callable[[Axes], None],
    size: tuple[float, float] = (WIDTH, HEIGHT),
) -> Picture:
    """Draw one picture.

    Args:
        name: unique in the page; what its ids begin with.
        label: what is to be seen, in words.
        paint: draws on the axes.
        size: width and height in points.
    """
    width, height = size
    with matplotlib.rc_context(_STYLE), warnings.catch_warnings():
        # A page's fonts have what matplotlib's own lacks.
        warnings.filterwarnings("ignore", message=".*[Gg]lyph")
        figure = Figure(figsize=(width / 72, height / 72), dpi=72)
        left, bottom = 46, 40
        axes = figure.add_axes(
            (left / width, bottom / height, 1 - (left + 10) / width, 1 - (bottom + 24) / height)
        )
        paint(axes)
        return Picture(_svg(figure, name, label), width)


def shown(name: str, most: int = 26) -> str:
    """A label's name without what cannot be printed, shortened for a picture."""
    name = printable(name)
    return name if len(name) <= most else f"{name[: most - 1]}…"


def printable(text: str) -> str:
    """The text with `�` for control characters, but tabs and line ends, and for half characters."""
    return _UNPRINTABLE.sub("�", text)


_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def _svg(figure: Figure, name: str, label: str) -> str:
    figure.patch.set_visible(False)
    for axes in figure.axes:
        axes.patch.set_visible(False)
    file = io.StringIO()
    # Nothing of the day or the machine, so that a page is the same when it is written again.
    FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|url\(#|xlink:href="#)', rf"\g<1>{name}-", svg)
    svg = re.sub(
        r"#[0-9a-f]{6}\b", lambda m: _VARIABLES.get(m[0], _VARIABLES.get(m[0].upper(), m[0])), svg
    )
    head = re.match(r"<svg[^>]*>", svg)[0]
    box = re.search(r'viewBox="[^"]*"', head)[0]
    svg = svg.removeprefix(head)
    svg = re.sub(r"\n\s*", "\n", svg)
    words = escape(printable(label))
    return (
        f'<svg {box} xmlns:xlink="http://www.w3.org/1999/xlink" role="img" aria-label="{words}">'
        f"<title>{words}</title>{svg.strip()}"
    )
