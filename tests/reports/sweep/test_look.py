"""Colors for light and dark pages, labels that do not overlap, numbers and words as labels."""

from __future__ import annotations

import itertools

import pytest

from ptrun.reports.figure import INK, SOFT
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
    metric_name,
    on_shade,
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
