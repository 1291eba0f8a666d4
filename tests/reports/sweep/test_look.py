"""Colors for light and dark pages, labels that do not overlap, numbers and words as labels."""

from __future__ import annotations

import itertools

import pytest

from ptrun.reports.figure import INK, SOFT, new_figure
from ptrun.reports.sweep.data import Axis
from ptrun.reports.sweep.look import (
    LEVELS,
    ON_STRONG,
    ON_WEAK,
    PAPER,
    SCALE,
    THEME,
    WORDS,
    apart,
    color_of,
    goodness,
    height,
    metric_axis,
    metric_name,
    metric_text,
    on_shade,
    ring,
    setting_axis,
    setting_text,
    shade,
    title_of,
    unit_position,
)


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colors, as WCAG 2 defines it."""

    def luminance(color: str) -> float:
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("is_dark", [False, True])
def test_texts_and_lines_have_contrast_on_both_pages(is_dark: bool):
    def seen(color: str) -> str:
        return THEME[color] if is_dark else color

    for color in (INK, SOFT, *WORDS, *LEVELS):
        assert contrast(seen(color), seen(PAPER)) >= 4.0, color
    for number in range(len(SCALE)):
        share = number / (len(SCALE) - 1)
        assert contrast(seen(on_shade(share)), seen(shade(share))) >= 4.0, number
    steps = [contrast(seen(color), seen(PAPER)) for color in SCALE]
    assert steps == sorted(steps), "stronger is better on both pages"


def test_labels_are_moved_apart_as_little_as_needed():
    assert apart([0.0, 5.0], 1.0) == [0.0, 5.0]
    assert apart([5.0, 0.0, 5.2], 1.0) == pytest.approx([4.6, 0.0, 5.6])
    moved = sorted(apart([1.0, 1.0, 1.0, 1.5], 1.0))
    assert [b - a for a, b in itertools.pairwise(moved)] == pytest.approx([1.0, 1.0, 1.0])
    assert sum(moved) == pytest.approx(4.5)


def test_numbers_and_words_as_labels():
    texts = [setting_text(value) for value in (0.0003, 64.0, 1e-5, 0.01234, "simplenet", "a_very_long_name_of_a_model")]
    assert texts == ["0.0003", "64", "1e-05", "0.0123", "simplenet", "a_very_l…a_model"]
    assert (metric_name("val/accuracy"), title_of("val/roc_auc")) == ("validation accuracy", "Validation ROC AUC")


def test_where_values_stand():
    assert goodness(0.75, 0.5, 1.0, True) == goodness(0.75, 0.5, 1.0, False) == 0.5
    assert height(1.0, 0.01, 100.0) == pytest.approx(0.5)  # logarithmic
    assert height(5.0, 1.0, 2.0) == 1.0
    assert unit_position(Axis("lr", [0.01, 0.1, 1.0], True), 0.1) == pytest.approx(0.5)
    assert unit_position(Axis("model", ["a", "b", "c"]), "b") == 0.5
    assert (on_shade(0.0), on_shade(1.0)) == (ON_WEAK, ON_STRONG)
    assert [color_of(Axis("lr", [0.1, 0.2]), value) for value in (0.1, 0.2)] == [LEVELS[0], LEVELS[-1]]
    six = Axis("lr", [1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert len({color_of(six, value) for value in six.values}) == 6


@pytest.mark.parametrize(
    ("monitor", "values"),
    [
        ("val/accuracy", [0.1, 0.97, 1.0]),
        ("val/accuracy", [0.92, 1.02]),  # the end of a bar of one standard deviation
        ("val/accuracy", [0.0, 0.9]),
        ("val/loss", [1e-6, 2.0]),
        ("val/loss", [0.1, 0.2]),
        ("parameters", [100.0, 90000.0]),
    ],
)
@pytest.mark.parametrize("which", ["lowest", "highest"])
def test_the_ring_around_the_best_is_not_cut(monitor: str, values: list[float], which: str):
    figure = new_figure(13.5, 4.4, "Three panels")
    for number in (1, 2, 3):
        panel = figure.add_subplot(1, 3, number)
        metric_axis(panel, monitor, values)
        panel.set_xlim(0, 1)
    ring(panel, 0.5, min(values) if which == "lowest" else max(values))
    figure.draw_without_rendering()
    line, box = panel.lines[0], panel.get_window_extent()
    center = float(panel.transData.transform((0.5, line.get_ydata()[0]))[1])
    radius = (line.get_markersize() + line.get_markeredgewidth()) / 2 / 72 * figure.dpi
    assert box.y0 <= center - radius
    assert center + radius <= box.y1


def test_an_axis_of_fractions_has_no_tick_where_no_value_can_be():
    for values in ([0.0, 1.0], [0.9, 1.05], [0.02, 0.4]):
        panel = new_figure(4.0, 3.6, "One").add_subplot()
        metric_axis(panel, "val/accuracy", values)
        ticks = list(panel.get_yticks())
        assert len(ticks) >= 3
        assert all(0 <= tick <= 1 for tick in ticks), values
        low, high = panel.get_ylim()
        assert low < min(values)
        assert max(values) < high
    panel = new_figure(4.0, 3.6, "One").add_subplot()
    metric_axis(panel, "val/mape", [0.2, 2.9])
    assert max(panel.get_yticks()) > 2


def test_costs_have_names_and_units():
    names = ("parameters", "training_seconds", "peak_memory_bytes")
    texts = [metric_text(name, value) for name, value in zip(names, (7208.0, 0.44, 1.5e9), strict=True)]
    assert [title_of(name) for name in names] == ["Parameters", "Training time", "Peak memory"]
    assert texts == ["7,208", "0.44 s", "1.5 GB"]
    panel = new_figure(4.0, 3.6, "One").add_subplot()
    metric_axis(panel, "training_seconds", [0.2, 0.4])
    assert panel.yaxis.get_major_formatter()(0.3, 0) == "300 ms"


@pytest.mark.parametrize("is_log", [False, True])
@pytest.mark.parametrize("values", [[0.00156, 0.00513, 0.00726, 0.0675], [16.0, 32.0, 64.0, 128.0, 1024.0]])
def test_the_labels_of_close_numbers_do_not_overlap(values: list[float], is_log: bool):
    figure = new_figure(13.5, 4.4, "Three panels")
    panels = [figure.add_subplot(1, 3, number) for number in (1, 2, 3)]
    setting_axis(panels[1], Axis("optimizer.lr", values, is_log))
    figure.draw_without_rendering()
    boxes = [label.get_window_extent() for label in panels[1].get_xticklabels() if label.get_text()]
    assert len(boxes) >= 2
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))
