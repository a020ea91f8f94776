"""What all pictures share: colours, the look of axes, and how a file of them is written."""

import os
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

# Colours that people who confuse red and green tell apart (Okabe and Ito, 2008).
BLUE, ORANGE, GREEN, PINK, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9"
GREY = "#888888"


def dress(axes: Axes) -> None:
    """Leave the axes two of their spines, and a pale line at each tick of y."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def write(figure: Figure, path: str | Path) -> None:
    """Write the figure as a PNG file in the place of what is there."""
    path = Path(path)
    # Whoever looks at it during the training finds the old picture or the new one.
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        FigureCanvasAgg(figure).print_png(beside)
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
