"""Arrays look like images by their range and by alike neighbors, and become 8 bits by the range of the training."""

from __future__ import annotations

import numpy as np
import pytest

from ptrun.data.formats.array_images import as_layout, fit_range, looks_like_images, to_pixels
from ptrun.errors import DataError
from ptrun.spec import Layout

RNG = np.random.default_rng(0)
DISKS = np.stack(
    [(np.hypot(*(np.mgrid[:16, :16] - RNG.integers(4, 12, 2)[:, None, None])) < 4) * 0.9 + 0.05 for _ in range(60)]
)


def test_what_looks_like_images():
    assert looks_like_images(DISKS)
    assert looks_like_images(np.rint(DISKS * 255))
    assert looks_like_images((DISKS * 9000).astype(np.uint16))
    assert not looks_like_images(DISKS - 0.5)
    assert not looks_like_images(DISKS * 41)  # fractions up to 40
    assert not looks_like_images(np.full((5, 16, 16), 0.5))
    walks = np.cumsum(RNG.normal(0, 1, (60, 16, 16)), axis=1)  # smooth in time; columns at several heights
    walks = (walks - walks.min()) / (walks.max() - walks.min()) / 2 + np.linspace(0, 0.5, 16)
    assert not looks_like_images(walks)


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (np.array([0.1, 0.9]), [0, 1]),
        (np.array([0, 200]), [0, 255]),
        (np.array([0.0, 16.0]), [0, 255]),
        (np.array([True, False]), [0, 1]),
        (np.array([-1.0, 1.0]), [-1, 1]),
        (np.array([300, 4000], np.uint16), [300, 4000]),
        (np.array([7.5, 7.5]), [7.5, 8.5]),
    ],
)
def test_the_range(values: np.ndarray, scale: list[float]):
    assert fit_range(values) == scale


def test_values_are_rounded_and_clipped():
    assert to_pixels(np.array([[300, 4000, 4100, 0]]), [300, 4000], "a").tolist() == [[0, 255, 255, 0]]
    levels = np.arange(256, dtype=np.uint8)[None]
    assert np.array_equal(to_pixels((levels / 255).astype(np.float32), [0, 1], "a"), levels)
    for scale in (None, [0, 1], [0, 255]):
        assert np.array_equal(to_pixels(levels, scale, "a"), levels)
    assert to_pixels(np.array([[0, 1]], np.uint8), [0, 1], "a").tolist() == [[0, 255]]
    many = RNG.random((2100, 2))
    assert np.array_equal(to_pixels(many, [0, 1], "a"), np.rint(many * 255))


@pytest.mark.parametrize(("values", "scale"), [(DISKS, None), (DISKS * 255, [0, 1]), (np.array([["a"]]), [0, 1])])
def test_other_values_are_refused(values: np.ndarray, scale: list[float] | None):
    with pytest.raises(DataError, match="new"):
        to_pixels(values, scale, "new")


@pytest.mark.parametrize(
    ("shape", "layout", "expected"),
    [
        ((4, 5, 6, 3), Layout.IMAGE, (4, 3, 5, 6)),
        ((4, 5), Layout.IMAGE, None),
        ((4, 5, 6), Layout.VECTOR, (4, 30)),
        ((4,), Layout.VECTOR, None),
        ((4, 5), Layout.SEQUENCE, (4, 5, 1)),
        ((4, 5, 6, 3), Layout.SEQUENCE, None),
    ],
)
def test_shapes(shape: tuple[int, ...], layout: Layout, expected: tuple[int, ...] | None):
    shaped = as_layout(np.zeros(shape), layout, "auto")
    assert (None if shaped is None else shaped.shape) == expected


def test_many_channels_stand_first_where_the_other_axes_are_equal():
    assert as_layout(np.zeros((5, 13, 16, 16)), Layout.IMAGE, "auto").shape == (5, 13, 16, 16)
    assert as_layout(np.zeros((5, 13, 16, 16)), Layout.IMAGE, "last").shape == (5, 16, 13, 16)
    assert as_layout(np.zeros((5, 16, 16, 13)), Layout.IMAGE, "auto").shape == (5, 13, 16, 16)
    assert as_layout(np.zeros((5, 3, 3, 3)), Layout.IMAGE, "auto").shape == (5, 3, 3, 3)
