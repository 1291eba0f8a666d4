"""The common look of the figures of a sweep: colors for two backgrounds, axes of settings and metrics, labels at lines.

A figure is drawn for a white page. `THEME` says which color takes the place of each on a dark page, which sweep.html
follows: there the strong end of a scale is the bright one.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ptrun.reports.figure import BLUE, GREEN, INK, ORANGE, PALE, RED, SOFT, SPINE, shorten
from ptrun.reports.sweep.data import Axis, Point, Setting
from ptrun.terminal.format import format_metric, is_fraction, metric_title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAPER = "#FFFFFF"
MARKERS = ("o", "s", "^", "D", "v", "P")
WORDS = (BLUE, "#B7610A", "#007F5C", "#A8518A", "#5E6472", "#1F7FA8")  # of words; as text they have contrast 4:1
SCALE = (
    *("#C2D4E8", "#A9C3DF", "#8FB0D4", "#749CC7", "#5A87B9", "#4272A8", "#2D5C95"),
    *("#1B467E", "#0C3064"),
)  # from weak to strong
# Of a few numbers, from low to high: cold to warm, and darker.
LEVELS = ("#0B8577", "#1F78B4", "#4C55B8", "#7B3FA0", "#A0257A", "#5C0A3C")
ON_WEAK, ON_STRONG = "#20242B", "#FDFDFE"  # text on these
THEME = {
    INK: "#E6E8EC", SOFT: "#9BA3AF", PALE: "#2B3038", SPINE: "#59606B", PAPER: "#15181D",
    BLUE: "#5AAEEA", ORANGE: "#F0B23C", GREEN: "#35C49A", RED: "#F08078",
    "#B7610A": "#EE9A4D", "#A8518A": "#E09BC8", "#5E6472": "#A9B0BC", "#1F7FA8": "#7FD0F2", "#007F5C": "#35C49A",
    **dict(zip(LEVELS, ("#3ACBB8", "#63B0F0", "#9AA0FA", "#C58DF0", "#F08AC4", "#FFD0E6"), strict=True)),
    **dict(zip(SCALE, (
        "#26374A", "#2D465F", "#345574", "#3B648A", "#4373A0", "#6AA0D3", "#88B8E5", "#ACD0F3", "#D5EAFE",
    ), strict=True)),
    ON_WEAK: "#EEF1F5", ON_STRONG: "#0E1319",
}  # fmt: skip
_COSTS = {"parameters": "parameters", "training_seconds": "training time", "peak_memory_bytes": "peak memory"}
_UNITS = {"training_seconds": "s", "peak_memory_bytes": "B"}
_MOST_LETTERS = 16  # of a word at an axis
_PAD = 0.07  # of the range of the metric: room beside its ends for a ring, in the smallest panel as well
_JITTER = 0.18  # of points at a word; two words are 1 apart
_WIDE_RANGE = 30.0  # largest / smallest value above which a linear axis hides the differences of small ones


def shade(share: float) -> str:
    """The color of the scale for a share from 0, weak, to 1, strong."""
    return SCALE[min(max(round(share * (len(SCALE) - 1)), 0), len(SCALE) - 1)]


def on_shade(share: float) -> str:
    """The color of text on `shade`."""
    return ON_STRONG if share * (len(SCALE) - 1) >= 4.5 else ON_WEAK


def goodness(value: float, low: float, high: float, higher_is_better: bool) -> float:
    """From 0 for the worst to 1 for the best of values between `low` and `high`."""
    share = height(value, low, high)
    return share if higher_is_better else 1 - share


def is_wide(low: float, high: float) -> bool:
    """Whether values between these are shown on a logarithmic scale."""
    return low > 0 and high / low > _WIDE_RANGE


def height(value: float, low: float, high: float) -> float:
    """Where a value stands between two others, from 0 to 1; values outside count as the nearer end."""
    if high <= low:
        return 1.0
    value = min(max(value, low), high)
    if is_wide(low, high):
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def color_of(axis: Axis, value: Setting) -> str:
    """The color of one of the few values of an axis: numbers from cold to warm, words each their own."""
    number = list(axis.values).index(value)
    if not axis.is_numeric:
        return WORDS[number % len(WORDS)]
    return LEVELS[round(number * (len(LEVELS) - 1) / max(len(axis.values) - 1, 1))]


def setting_text(value: Setting, limit: int = _MOST_LETTERS) -> str:
    """A value of an axis as a label."""
    if isinstance(value, str):
        return shorten(value, limit)
    if value == int(value) and abs(value) < 1e5:
        return f"{int(value)}"
    return f"{value:.3g}"


def metric_name(monitor: str) -> str:
    """`val/accuracy` in a sentence: validation accuracy; `training_seconds`: training time."""
    if monitor in _COSTS:
        return _COSTS[monitor]
    part, _, name = monitor.rpartition("/")
    words = metric_title(name)
    words = words if words[:2].isupper() else words[:1].lower() + words[1:]
    return f"{'validation' if part == 'val' else part} {words}".strip()


def title_of(monitor: str) -> str:
    """`val/accuracy` at the start of a title: Validation accuracy."""
    name = metric_name(monitor)
    return name[:1].upper() + name[1:]


def metric_text(monitor: str, value: float) -> str:
    """A value of the metric, with its unit."""
    return format_metric(monitor.rpartition("/")[2], value)


def metric_axis(axes: Axes, monitor: str, values: Sequence[float], which: str = "y") -> None:
    """Scale, limits and numbers of the axis of the metric: percent, or logarithmic where values differ much.

    Beside the lowest and the highest value there is room for the ring around the best point, above 100 % as well,
    but no tick where no value can be.
    """
    from matplotlib.ticker import EngFormatter, FuncFormatter, MaxNLocator, NullLocator, PercentFormatter

    own = getattr(axes, f"{which}axis")
    low, high = min(values), max(values)
    pad = _PAD * (high - low) or abs(high) * 0.05 or 0.05
    limits = (low - pad, high + pad)
    if is_fraction(monitor.rpartition("/")[2]):
        narrow = high - low < 0.05  # as two ticks may then be half a percent apart
        ticks = MaxNLocator(6, steps=[1, 2, 2.5, 5, 10]).tick_values(*limits)
        most = math.inf if "mape" in monitor else 1.0
        own.set_ticks([tick for tick in ticks if max(limits[0], 0) <= tick <= min(limits[1], most)])
        own.set_major_formatter(PercentFormatter(xmax=1, symbol=" %", decimals=1 if narrow else 0))
    elif is_wide(low, high):
        getattr(axes, f"set_{which}scale")("log")
        own.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        own.set_minor_locator(NullLocator())
        factor = (high / low) ** _PAD
        limits = (low / factor, high * factor)
    if monitor in _COSTS:
        own.set_major_formatter(EngFormatter(_UNITS.get(monitor, "")))
    getattr(axes, f"set_{which}lim")(*limits)


def setting_axis(axes: Axes, axis: Axis, which: str = "x") -> None:
    """Scale, ticks and title of the axis of a setting: words at whole numbers, logarithmic where it is so."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

    own = getattr(axes, f"{which}axis")
    few = len(axis.values) <= (8 if which == "x" else 12)
    own.label.set_text(f"{axis.key} (log scale)" if axis.is_log else axis.key)
    if not axis.is_numeric:
        labels = [setting_text(value) for value in axis.values]
        own.set_ticks(range(len(labels)), labels, parse_math=False)
        getattr(axes, f"set_{which}lim")(-0.6, len(labels) - 0.4)
        if which == "x" and sum(map(len, labels)) > 34:
            axes.tick_params(axis="x", labelrotation=25)
        return
    if axis.is_log:
        getattr(axes, f"set_{which}scale")("log")
        own.set_minor_locator(NullLocator())
    elif not few:
        own.set_major_locator(MaxNLocator(nbins=5))
    own.set_major_formatter(FuncFormatter(lambda value, _: setting_text(float(value))))
    if few:
        own.set_ticks(_labelled_values(axis, which))
    low, high = padded(axis)
    getattr(axes, f"set_{which}lim")(low, high)


def _labelled_values(axis: Axis, which: str) -> list[float]:
    """The values of a numeric axis that get a label: none whose label would overlap the one before."""
    gap = 0.14 if which == "x" else 0.06  # share of the axis that a label takes
    labelled = [float(axis.values[0])]
    for value in map(float, axis.values[1:]):
        if unit_position(axis, value) - unit_position(axis, labelled[-1]) >= gap:
            labelled.append(value)
    return labelled


def place(axis: Axis, point: Point) -> float:
    """Where a point stands; points at a word are spread, each always to the same place, so that all are seen."""
    shift = 0.0 if axis.is_numeric else random.Random(point.jobs[0]).uniform(-_JITTER, _JITTER)
    return axis.position(point.settings[axis.key]) + shift


def padded(axis: Axis, share: float = 0.06) -> tuple[float, float]:
    """The ends of the axis of a number, with some space beside its values."""
    numbers = [float(value) for value in axis.values]
    low, high = min(numbers), max(numbers)
    if axis.is_log:
        factor = (high / low) ** share if high > low else 2.0
        return low / factor, high * factor
    pad = share * (high - low) or 0.5
    return low - pad, high + pad


def unit_position(axis: Axis, value: Setting) -> float:
    """Where a value stands between the ends of its axis, from 0 to 1."""
    low, high, at = (axis.position(end) for end in (axis.values[0], axis.values[-1], value))
    if axis.is_log:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return (at - low) / (high - low) if high > low else 0.5


def apart(places: Sequence[float], gap: float) -> list[float]:
    """The places of labels beside one another, moved as little as needed to be `gap` apart."""
    order = sorted(range(len(places)), key=lambda i: places[i])
    groups: list[list[float]] = []  # sum of the places less their own offsets, number of labels
    for i in order:
        groups.append([places[i], 1])
        while len(groups) > 1 and groups[-2][0] / groups[-2][1] + _half(groups, gap) > groups[-1][0] / groups[-1][1]:
            total, count = groups.pop()
            groups[-1] = [groups[-1][0] + total, groups[-1][1] + count]
    moved = [total / count + gap * (k - (count - 1) / 2) for total, count in groups for k in range(int(count))]
    result = [0.0] * len(places)
    for i, moved_place in zip(order, moved, strict=True):
        result[i] = moved_place
    return result


def _half(groups: Sequence[Sequence[float]], gap: float) -> float:
    """The distance that the middles of the last two groups need."""
    return gap * (groups[-2][1] + groups[-1][1]) / 2


def label_lines(axes: Axes, ends: Sequence[tuple[float, str, str]], x: float) -> None:
    """Write the name of each line at its right end: (height, text, color), moved apart where they would overlap."""
    low, high = axes.get_ylim()
    is_log = axes.get_yscale() == "log"
    to, back = (math.log, math.exp) if is_log else (float, float)
    bottom, top = to(low), to(high)
    points = axes.get_window_extent().height / axes.figure.dpi * 72
    gap = 11.5 / points * (top - bottom)
    places = apart([to(min(max(y, low), high)) for y, _, _ in ends], gap)
    for (_, text, color), y in zip(ends, places, strict=True):
        axes.annotate(
            text, (x, back(y)), xytext=(7, 0), textcoords="offset points", va="center", fontsize=9,
            color=color, fontweight="bold", annotation_clip=False, parse_math=False,
        )  # fmt: skip


def ring(axes: Axes, x: float, y: float) -> None:
    """Mark the best point."""
    axes.plot(
        [x], [y], "o", markersize=12, markerfacecolor="none", markeredgecolor=GREEN, markeredgewidth=2.2, zorder=6
    )
