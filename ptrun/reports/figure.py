"""The common look of every picture, and how one is saved.

pyplot and matplotlib's global settings are not used: they would change what the user's own program draws.
"""

from __future__ import annotations

import io
import re
import textwrap
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
SPINE = "#B6BBC4"

_LETTER_WIDTH = 0.105  # inches, of a title
_SMALL_LETTER_WIDTH = 0.07  # of a caption
# In an SVG: the text between two tags, which is not changed, or a number with more than two decimals, which is rounded.
_TEXT_OR_LONG_NUMBER = re.compile(r">[^<]+<|(?<![\w#.])-?\d+\.\d{3,}(?![\w.])")


def preload() -> None:
    """Import what drawing and saving a picture need."""
    import matplotlib.backends.backend_agg
    import matplotlib.dates
    import matplotlib.figure
    import matplotlib.font_manager  # noqa: F401


def new_figure(width: float, height: float, title: str) -> Figure:
    """An empty white figure of `width` x `height` inches with a title above all its panels, in lines that fit."""
    from matplotlib.figure import Figure

    title = textwrap.fill(title, max(round(width / _LETTER_WIDTH), 10))

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained", facecolor="white")
    figure.suptitle(title, fontsize=12.5, color=INK, fontweight="bold", parse_math=False)
    return figure


def add_caption(figure: Figure, text: str) -> None:
    """Add what explains the picture below all its panels, in lines that fit."""
    text = textwrap.fill(text, max(round(figure.get_figwidth() / _SMALL_LETTER_WIDTH), 10))
    figure.supxlabel(text, fontsize=9, color=SOFT, parse_math=False)


def tidy(axes: Axes, *, grid: str = "both") -> None:
    """Remove what carries no information: two spines, tick marks, strong lines. `grid`: x, y or both."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(SPINE)
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
    """Write `figure` as PNG to `path`, or as SVG if that is its ending; its folder is made if there is none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    content = _as_svg(figure) if path.suffix == ".svg" else _as_png(figure)
    with replacing(path) as file:
        file.write(content)
    return path


def _as_png(figure: Figure) -> bytes:
    file = io.BytesIO()
    with warnings.catch_warnings():
        # The font lacks the letters of some scripts and draws boxes instead. That is no reason for a warning.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(file, format="png")
    return file.getvalue()


def _as_svg(figure: Figure) -> bytes:
    """An SVG with text as text, equal for equal figures, with coordinates to a hundredth of a point."""
    import matplotlib

    file = io.StringIO()
    with warnings.catch_warnings(), matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "ptrun"}):
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return _TEXT_OR_LONG_NUMBER.sub(_shortened, file.getvalue()).encode()


def _shortened(match: re.Match[str]) -> str:
    return match[0] if match[0].startswith(">") else f"{float(match[0]):.2f}"


def shorten(text: str, limit: int) -> str:
    """`text` in at most `limit` characters: a long one loses its middle, because names differ most at their ends."""
    if len(text) <= limit:
        return text
    head = limit // 2
    return f"{text[:head]}…{text[len(text) - (limit - head - 1) :]}"
