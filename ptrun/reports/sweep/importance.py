"""How much each axis of a sweep matters, as bars."""

from __future__ import annotations

from pathlib import Path

from ptrun.reports.figure import BLUE, INK, add_caption, new_figure, save, shorten, tidy
from ptrun.reports.sweep.data import SweepData
from ptrun.reports.sweep.look import metric_name

_MOST_BARS = 12


def draw(data: SweepData, path: Path) -> Path | None:
    """Draw the share of each axis, the largest on top; none with fewer than two axes."""
    if data.importance is None or len(data.importance.shares) < 2:
        return None
    shares = list(data.importance.shares.items())[:_MOST_BARS]
    first = shorten(shares[0][0], 30)
    figure = new_figure(8.0, 0.46 * len(shares) + 1.5, f"{first} matters most for {metric_name(data.monitor)}")
    panel = figure.add_subplot()
    places = range(len(shares))
    panel.barh(places, [share for _, share in shares], height=0.62, color=BLUE)
    for place, (_, share) in zip(places, shares, strict=True):
        panel.text(share + 0.01, place, f"{100 * share:.0f} %", va="center", fontsize=9.5, color=INK)
    panel.set_yticks(places, [shorten(key, 36) for key, _ in shares], parse_math=False)
    panel.set(xlim=(0, max(max(share for _, share in shares) * 1.15, 0.1)), ylim=(len(shares) - 0.4, -0.6))
    panel.set_xticks([])
    tidy(panel, grid="x")
    panel.spines["bottom"].set_visible(False)
    note = f" {data.importance.note}" if data.importance.note else ""
    add_caption(figure, f"{data.importance.method}.{note}")
    return save(figure, path)
