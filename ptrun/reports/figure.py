"""The common look of every picture, and how one is saved.

pyplot and matplotlib's global settings are not used: they would change what a program of the user's draws.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from ptrun.files.atomic import replacing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette: distinct for every kind of color vision, and in gray by lightness.
# https://jfly.uni-koeln.de/color/
BLUE = "#0072B2"
ORANGE = "#E69F00"
RED = "#C4312F"  # for mistakes, which always have a sign as well
GREEN = "#009E73"
INK = "#2B2F36"
SOFT = "#6B7280"
PALE = "#E5E7EB"


def preload() -> None:
    """Import what drawing and saving a picture need."""
    import matplotlib.backends.backend_agg
    import matplotlib.dates
    import matplotlib.figure
    import matplotlib.font_manager  # noqa: F401


def new_figure(width: float, height: float, title: str) -> Figure:
    """An empty white figure of `width` x `height` inches with a title above all its panels."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained", facecolor="white")
    figure.suptitle(title, fontsize=12.5, color=INK, fontweight="bold", parse_math=False)
    return figure


def tidy(axes: Axes, *, grid: str = "both") -> None:
    """Remove what carries no information: two spines, tick marks, strong lines. `grid`: x, y or both."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#B6BBC4")
    axes.tick_params(colors=SOFT, labelcolor=INK, labelsize=9, length=0)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=SOFT, fontsize=9.5, parse_math=False)
    axes.title.set(color=INK, fontsize=10.5, parse_math=False)
    axes.grid(True, axis=grid, color=PALE, linewidth=0.8)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def legend(axes: Axes) -> None:
    """Add a legend without a box, where it hides least."""
    if axes.get_legend_handles_labels()[1]:
        box = axes.legend(fontsize=9, frameon=True, framealpha=0.85, edgecolor="none", labelcolor=INK)
        for text in box.get_texts():
            text.set_parse_math(False)


def save(figure: Figure, path: Path) -> Path:
    """Write `figure` as PNG to `path`; its folder is made if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as file, warnings.catch_warnings():
        # The font lacks the letters of some scripts and draws boxes instead. That is no reason for a warning.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(file, format="png")
    return path


def shorten(text: str, limit: int) -> str:
    """`text` in at most `limit` characters: a long one loses its middle, because names differ most at their ends."""
    if len(text) <= limit:
        return text
    head = limit // 2
    return f"{text[:head]}…{text[len(text) - (limit - head - 1) :]}"
