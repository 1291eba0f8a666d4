"""How much each axis matters: exact for grids, by Optuna for searches, else in ranges of its values."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest

from ptrun.reports.sweep.data import Axis, Point
from ptrun.sweeps.importance import correlation_ratio, importance

A, B = Axis("a", [0.0, 1.0, 2.0]), Axis("b", ["x", "y"])


def grid(value: Callable[[float, str], float]) -> list[Point]:
    pairs = itertools.product((0.0, 1.0, 2.0), "xy")
    return [Point({"a": a, "b": b}, [value(a, b)], [f"{a}{b}"]) for a, b in pairs]


def test_the_shares_of_a_grid_are_those_of_its_variance():
    found = importance([A, B], grid(lambda a, b: 3 * a + (b == "x")), is_search=False)
    assert found is not None
    assert list(found.shares) == ["a", "b"]
    assert found.shares == pytest.approx({"a": 6 / 6.25, "b": 0.25 / 6.25})
    assert "η²" in found.method
    assert found.note == ""
    both = importance([A, B], grid(lambda a, b: (a - 1) * (1 if b == "x" else -1)), is_search=False)
    assert both is not None
    assert both.note == "The rest, 100 %, is due to combinations and chance."


def drawn(number: int, *, conditional: bool = False) -> tuple[list[Axis], list[Point]]:
    place = random.Random(0)
    points = []
    for job in range(number):
        settings: dict[str, float | str] = {"lr": place.random(), "noise": place.random(), "model": place.choice("mn")}
        if conditional and settings["model"] == "n":
            del settings["noise"]
        points.append(Point(settings, [float(settings["lr"]) ** 2], [str(job)]))
    axes = [Axis(key, sorted(p.settings[key] for p in points if key in p.settings)) for key in ("lr", "noise")]
    return [*axes, Axis("model", ["m", "n"])], points


def test_a_search_is_explained_by_optuna():
    pytest.importorskip("optuna")
    axes, points = drawn(40)
    found = importance(axes, points, is_search=True)
    assert found is not None
    assert "fANOVA" in found.method
    assert next(iter(found.shares)) == "lr"
    assert found.shares["lr"] > 0.8
    assert found == importance(axes, points, is_search=True)


def test_an_axis_that_does_not_always_apply():
    axes, points = drawn(60, conditional=True)
    found = importance(axes, points, is_search=True)
    assert found is not None
    assert "ε²" in found.method
    assert found.shares["lr"] > 0.8
    assert found.shares["noise"] < 0.1
    assert correlation_ratio(axes[1], points, is_adjusted=True) < correlation_ratio(axes[1], points)


def test_nothing_to_explain():
    assert importance([A], grid(lambda a, b: a), is_search=False) is None
    assert importance([A, B], grid(lambda a, b: 1.0), is_search=False) is None
    assert importance(*drawn(7), is_search=True) is None
