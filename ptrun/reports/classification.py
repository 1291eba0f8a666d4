"""Pictures of a classification: confusion matrix, per-class scores, sample predictions.

They are legible for 2 to some hundred classes: what would be too small to read is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray
from ptrun.reports.figure import BLUE, GREEN, INK, ORANGE, PALE, RED, SOFT, add_caption, new_figure, save, shorten, tidy
from ptrun.terminal.format import format_number

_MOST_WITH_COUNTS = 20  # classes up to which every cell shows its count
_MOST_LETTERS = 30  # that fit horizontally below all columns together
_MOST_WITH_NAMES = 120  # classes up to which every row shows its name
_MOST_BARS = 40  # classes with bars; more make the picture too tall for a screen
_CAPTION = 0.27  # height of two lines of text above an image, as a share of its cell's width
_SCORES = (("precision", BLUE), ("recall", ORANGE), ("f1", GREEN))

Document = Mapping[str, Any]


def draw_confusion(document: Document, path: Path) -> Path:
    """Draw the counts, true classes in rows.

    The color of a cell is its share of its row; on the diagonal that is the recall of the class.
    """
    from matplotlib.colors import PowerNorm

    counts = np.asarray(document["confusion_matrix"], dtype=float)
    size = len(counts)
    support = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, support, out=np.full_like(counts, np.nan), where=support > 0)
    side = (
        2.2 + min(max(0.48 * size, 2.2), 7.5)
        if size <= _MOST_WITH_COUNTS
        else min(9.7 + 0.06 * (size - _MOST_WITH_COUNTS), 14.0)
    )
    figure = new_figure(side + 1.0, side, f"Confusion matrix, {_split(document)}")
    axes = figure.add_subplot()
    axes.set_facecolor(PALE)
    # With many classes the mistakes are pale against the diagonal; a square root makes them stronger.
    norm = PowerNorm(1.0 if size <= _MOST_WITH_COUNTS else 0.5, vmin=0.0, vmax=1.0)
    image = axes.imshow(shares, cmap="Blues", norm=norm, interpolation="nearest")
    _name_classes(axes, document, size)
    if size <= _MOST_WITH_COUNTS:
        _write_counts(axes, counts, shares)
    ticks = (0.0, 0.25, 0.5, 0.75, 1.0) if size <= _MOST_WITH_COUNTS else (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)
    bar = figure.colorbar(image, ax=axes, shrink=0.75, pad=0.02, ticks=ticks)
    bar.ax.set_yticklabels([f"{tick:.0%}".replace("%", " %") for tick in ticks], fontsize=9, color=INK)
    bar.set_label("share of the true class", fontsize=9.5, color=SOFT)
    bar.ax.tick_params(length=0)
    bar.outline.set_visible(False)
    return save(figure, path)


def _split(document: Document) -> str:
    count = document.get("num_samples")
    split = f"{document.get('split', 'test')} split"
    return split if count is None else f"{split}, {count:,} samples"


def _names(document: Document, size: int, limit: int) -> list[str]:
    names = list(document.get("class_names") or [])
    return [shorten(str(names[i]), limit) if i < len(names) else str(i) for i in range(size)]


def _name_classes(axes: Axes, document: Document, size: int) -> None:
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    tidy(axes)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.xaxis.set_label_position("bottom")
    if size > _MOST_WITH_NAMES:
        return  # matplotlib's own ticks: class numbers at round places
    names = _names(document, size, 22)
    font = 9.5 if size <= _MOST_WITH_COUNTS else max(5.0, 9.5 - 0.07 * (size - _MOST_WITH_COUNTS))
    longest = max(len(name) for name in names)
    upright = (longest > 4 and longest * size > _MOST_LETTERS) or size > _MOST_WITH_COUNTS
    axes.set_xticks(range(size), names, fontsize=font, rotation=90 if upright else 0, parse_math=False)
    axes.set_yticks(range(size), names, fontsize=font, parse_math=False)


def _write_counts(axes: Axes, counts: NDArray[Any], shares: NDArray[Any]) -> None:
    font = 10 if len(counts) <= 10 else 7.5
    for (row, column), count in np.ndenumerate(counts):
        if count == 0:
            continue  # empty cells stay empty, so that mistakes are seen
        color = "white" if shares[row, column] > 0.55 else INK
        axes.text(column, row, _count(count), ha="center", va="center", fontsize=font, color=color)


def _count(value: float) -> str:
    if value >= 1e6:
        return f"{value / 1e6:.3g}M"
    return f"{value / 1e3:.3g}k" if value >= 1e4 else f"{value:.0f}"


def draw_per_class(document: Document, path: Path) -> Path:
    """Draw precision, recall and F1 of each class, the worst F1 on top; of many classes only the worst 40."""
    names = list(document.get("class_names") or [])
    rows = [_scores(key, value, names) for key, value in document["per_class"].items()]
    rows.sort(key=lambda row: (row[1]["f1"], row[1]["recall"]))
    drawn = rows[:_MOST_BARS]
    selection = f"the {_MOST_BARS} worst of {len(rows)} classes" if len(rows) > _MOST_BARS else "worst on top"
    figure = new_figure(8.4, 1.7 + 0.42 * len(drawn), f"Per-class scores, {_split(document)}: {selection}")
    axes = figure.add_subplot()
    positions = np.arange(len(drawn))
    for offset, (score, color) in zip((-0.27, 0.0, 0.27), _SCORES, strict=True):
        values = [row[1][score] for row in drawn]
        axes.barh(positions + offset, values, height=0.25, color=color, label="F1" if score == "f1" else score)
    labels = [f"{shorten(name, 24)}  (n = {scores['support']:,.0f})" for name, scores in drawn]
    axes.set_yticks(positions, labels, parse_math=False)
    axes.set_ylim(len(drawn) - 0.45, -0.55)
    for position, (_, scores) in zip(positions, drawn, strict=True):
        text = "undefined" if scores["undefined"] else f"F1 {100 * scores['f1']:.1f} %"
        axes.text(1.01, float(position), text, va="center", fontsize=8.5, color=RED if scores["undefined"] else INK)
    _percent_axis(axes)
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return save(figure, path)


def _scores(key: str, value: Mapping[str, Any], names: Sequence[str]) -> tuple[str, dict[str, float]]:
    """The name of a class and its scores; an undefined score counts as 0 and is flagged."""
    name = str(names[int(key)]) if key.isdigit() and int(key) < len(names) else key
    scores = {score: float(value.get(score) or 0.0) for score in ("precision", "recall", "f1", "support")}
    return name, {**scores, "undefined": float(value.get("f1") is None)}


def _percent_axis(axes: Axes) -> None:
    from matplotlib.ticker import PercentFormatter

    axes.set_xlim(0, 1.0)
    axes.xaxis.set_major_formatter(PercentFormatter(xmax=1, symbol=" %"))
    tidy(axes, grid="x")


def draw_samples(source: Path, document: Document, path: Path) -> list[Path]:
    """Draw a grid of images with their true and predicted class; mistakes come first, in a red frame."""
    with np.load(source, allow_pickle=False) as arrays:
        images, targets, predicted = arrays["images"], arrays["targets"], arrays["predicted"]
        confidence = arrays["confidence"] if "confidence" in arrays else np.full(len(targets), np.nan)
    if not len(images):
        return []
    classes = document.get("task") != "regression"
    wrong = (targets != predicted) if classes else np.zeros(len(targets), dtype=bool)
    order = np.argsort(~wrong, kind="stable")[:25]
    columns = min(5, len(order))
    rows = -(-len(order) // columns)
    title = f"Sample predictions, {_split(document)}"
    height, width = images.shape[2:]
    box = (min(1.0, width / height), min(1.0, height / width))  # width and height of an image; a cell is 1 wide
    cell = box[1] + _CAPTION
    figure = new_figure(max(1.9 * columns, 4.6) + 0.4, 1.9 * cell * rows + 0.7, title)
    # One set of axes for all images: laying out 25 sets of axes takes most of the time of the picture.
    axes = figure.add_subplot()
    axes.set_axis_off()
    for position, index in enumerate(order):
        corner = (position % columns, position // columns * cell + _CAPTION)
        texts = [_label(document, value, classes) for value in (targets[index], predicted[index])]
        _draw_sample(axes, corner, box, images[index], texts, bool(wrong[index]), float(confidence[index]))
    axes.set(xlim=(0, columns), ylim=(rows * cell, 0))
    if wrong.any():
        _explain_mistakes(figure, document)
    return [save(figure, path)]


def _explain_mistakes(figure: Figure, document: Document) -> None:
    matrix = np.asarray(document.get("confusion_matrix") or [[0]])
    mistakes, total = int(matrix.sum() - np.trace(matrix)), int(matrix.sum())
    text = "mistakes first, in a red frame" + (
        f" ({mistakes:,} of all {total:,} samples are mistakes)" if total else ""
    )
    add_caption(figure, text)


def _label(document: Document, value: Any, classes: bool) -> str:
    if not classes:
        return format_number(float(value))
    names = document.get("class_names") or []
    return shorten(str(names[int(value)]) if int(value) < len(names) else str(int(value)), 17)


def _draw_sample(
    axes: Axes,
    corner: tuple[float, float],
    box: tuple[float, float],
    image: NDArray[Any],
    texts: Sequence[str],
    wrong: bool,
    confidence: float,
) -> None:
    """Draw an image below its caption, in a cell one unit wide; `corner` is the upper left one of the image."""
    from matplotlib.patches import Rectangle

    pixels = image.transpose(1, 2, 0) if image.shape[0] == 3 else image[0]
    smooth = "nearest" if max(pixels.shape[:2]) <= 64 else "antialiased"
    width, height = (0.96 * side for side in box)
    left, top = corner[0] + (1 - width) / 2, corner[1]
    extent = (left, left + width, top + height, top)
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation=smooth, extent=extent, aspect="equal")
    color, line = (RED, 3.0) if wrong else (PALE, 1.0)
    axes.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=color, linewidth=line, clip_on=False))
    percent = "" if np.isnan(confidence) else f"  {100 * confidence:.0f} %"
    text = f"true {texts[0]}\n✗ {texts[1]}{percent}" if wrong else f"true {texts[0]}\n✓ {texts[1]}{percent}"
    center, above = corner[0] + 0.5, top - 0.03
    axes.text(
        center, above, text, fontsize=8.5, ha="center", va="bottom", color=RED if wrong else INK, parse_math=False
    )
