"""A sweep as plain values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ptrun.reports.sweep.data import Axis, Point, SweepData


def test_words_stand_in_a_row_and_numbers_at_themselves():
    assert Axis("lr", [0.1, 0.2]).position(0.2) == 0.2
    words = Axis("model", ["b", "a"])
    assert (words.is_numeric, words.position("a")) == (False, 1.0)


def test_a_point_sums_up_its_runs():
    point = Point({}, [1.0, 3.0], ["0", "1"])
    assert (point.mean, point.std) == (2.0, pytest.approx(2**0.5))
    assert Point({}, [1.0], ["0"]).std == 0.0


def test_axes_by_importance(search: SweepData):
    assert [axis.key for axis in search.axes_by_importance] == ["optimizer.lr", "model", "model.dropout"]
    unknown = replace(search, importance=None)
    assert list(unknown.axes_by_importance) == list(search.axes)
    assert len(search.finished) == 14
    assert search.most_runs == 1
