"""Image transforms that mix pairs of finished samples: mixup and cutmix.

Invariant: neighbours in the epoch's order are partners (the first and second, the third and fourth, ...), and both
use the numbers drawn for the first; so a mixture is the same for every even batch size. A sample without a partner
in its batch, which is the last one of an odd batch, stays as it is.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ptrun.registry import image_transforms
from ptrun.rng import Floats, SampleRng
from ptrun.transforms.transform import MixTransform


@image_transforms.register
def mixup(*, alpha: float = 0.2, p: float = 1.0) -> MixTransform:
    """Weighted mean of two samples and of their targets, the weight from Beta(alpha, alpha), with probability `p` (Zhang et al., mixup, 2018)."""
    _check(alpha)
    return MixTransform(partial(_mixup, alpha, p))


def _mixup(alpha: float, p: float, draws: SampleRng, height: int, width: int) -> Floats:
    weight = np.where(draws.chance(p), _beta(alpha, draws.uniform()), 1.0)
    nowhere = np.zeros(len(draws))
    return np.stack([weight, weight, nowhere, nowhere, nowhere, nowhere])


@image_transforms.register
def cutmix(*, alpha: float = 1.0, p: float = 1.0) -> MixTransform:
    """A box of the partner is pasted in, of an area from Beta(alpha, alpha); targets are mixed by area, with probability `p` (Yun et al., CutMix, 2019)."""
    _check(alpha)
    return MixTransform(partial(_cutmix, alpha, p))


def _cutmix(alpha: float, p: float, draws: SampleRng, height: int, width: int) -> Floats:
    chosen, share = draws.chance(p), 1 - _beta(alpha, draws.uniform())
    edge = np.sqrt(share) * chosen
    box = []
    for length in (height, width):
        middle, half = draws.integers(0, length - 1), np.floor(edge * length).astype(np.int64) // 2
        box += [np.clip(middle - half, 0, length), np.clip(middle + half, 0, length)]
    top, bottom, left, right = box
    weight = 1 - (bottom - top) * (right - left) / (height * width)
    return np.stack([weight, np.ones(len(draws)), *box])


def _check(alpha: float) -> None:
    if alpha <= 0:
        raise ValueError("alpha is above 0")


def _beta(alpha: float, share: Floats) -> Floats:
    """The quantile function of Beta(alpha, alpha): turns a uniform number into one of that distribution."""
    from scipy.special import betaincinv  # of scikit-learn's own requirements; slow to import

    values: Floats = betaincinv(alpha, alpha, share)
    return values
