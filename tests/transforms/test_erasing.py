"""Erasing and cutout paint one box over and keep the other pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptrun import catalog
from ptrun.registry import image_transforms
from ptrun.rng import SampleRng
from ptrun.transforms.erasing import box_mask

assert catalog.MODULES


def picture(channels: int = 3, height: int = 20, width: int = 16, count: int | None = None) -> Tensor:
    shape = (channels, height, width) if count is None else (count, channels, height, width)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def make(name: str, settings: dict[str, Any]) -> Any:
    return image_transforms.build(name, settings)


def sample_rng(count: int, seed: int = 0) -> SampleRng:
    return SampleRng.of(seed, 0, list(range(count)))


def test_erasing_paints_one_box_over() -> None:
    images = picture(count=500, height=30, width=30) | 1
    erased = make("random_erasing", {"p": 0.3, "scale": [0.1, 0.2], "fill": 0}).apply(images, sample_rng(500))
    share = (erased == 0).all(1).float().mean((1, 2))
    hit = share > 0
    assert 0.22 < hit.float().mean() < 0.38
    assert ((share[hit] > 0.08) & (share[hit] < 0.22)).all()
    for before, after in zip(images[hit], erased[hit], strict=True):
        rows, columns = (after[0] == 0).nonzero(as_tuple=True)
        box = after[:, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert (box == 0).all()
        assert torch.equal(after[after != 0], before[after != 0])


def test_cutout_paints_a_square_that_may_reach_over_the_edge() -> None:
    images = picture(count=500, height=20, width=20) | 1
    share = (make("cutout", {"size": 6, "p": 0.5}).apply(images, sample_rng(500)) == 0).all(1).sum((1, 2))
    assert 0.4 < (share > 0).float().mean() < 0.6
    assert share.max() == 36
    assert ((share > 0) & (share < 36)).any()


def test_a_box_mask_marks_rows_and_columns_up_to_the_exclusive_ends() -> None:
    edges = (np.array([edge, 0]) for edge in (1, 3, 0, 2))  # top, bottom, left, right; the second box is empty
    mask = box_mask(torch.zeros(2, 3, 4, 5), *edges)
    assert mask.shape == (2, 1, 4, 5)
    assert mask[0, 0].nonzero().tolist() == [[1, 0], [1, 1], [2, 0], [2, 1]]
    assert not mask[1].any()
