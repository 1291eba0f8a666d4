"""Image transforms that mix pairs of finished samples: mixup and cutmix.

Pairs are neighbors in the order of the epoch (first and second, third and fourth, ...), and both samples use the
random numbers of the first. So the mixtures are the same for every even batch size. A sample without a partner in its
batch, which is the last one of an odd batch, stays as it is.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from ptrun.registry import image_transforms
from ptrun.rng import Floats, SampleRng
from ptrun.transforms.transform import MixTransform


@image_transforms.register
def mixup(*, alpha: float = 0.2, p: float = 1.0) -> MixTransform:
    """With probability `p`, the weighted mean of two samples and of their targets (Zhang et al., mixup, 2018).

    alpha: the weight comes from Beta(alpha, alpha). Raises ValueError unless it is above 0.
    """
    _require_positive(alpha)
    return MixTransform(partial(_mixup, alpha, p))


def _mixup(alpha: float, p: float, rng: SampleRng, height: int, width: int) -> Floats:
    weights = np.where(rng.chance(p), _beta_quantiles(alpha, rng.uniform()), 1.0)
    no_box = np.zeros(len(rng))
    return np.stack([weights, weights, no_box, no_box, no_box, no_box])


@image_transforms.register
def cutmix(*, alpha: float = 1.0, p: float = 1.0) -> MixTransform:
    """With probability `p`, paste a box of the partner and mix the targets by area (Yun et al., CutMix, 2019).

    alpha: the share of the area comes from Beta(alpha, alpha). Raises ValueError unless it is above 0.
    """
    _require_positive(alpha)
    return MixTransform(partial(_cutmix, alpha, p))


def _cutmix(alpha: float, p: float, rng: SampleRng, height: int, width: int) -> Floats:
    is_mixed, share = rng.chance(p), 1 - _beta_quantiles(alpha, rng.uniform())
    side = np.sqrt(share) * is_mixed  # of the box, as a share of the image's
    edges = []
    for length in (height, width):
        center, half = rng.integers(0, length - 1), np.floor(side * length).astype(np.int64) // 2
        edges += [np.clip(center - half, 0, length), np.clip(center + half, 0, length)]
    top, bottom, left, right = edges
    weights = 1 - (bottom - top) * (right - left) / (height * width)
    return np.stack([weights, np.ones(len(rng)), *edges])


def _require_positive(alpha: float) -> None:
    if alpha <= 0:
        raise ValueError("alpha is above 0")


def _beta_quantiles(alpha: float, uniform: Floats) -> Floats:
    """Numbers from Beta(alpha, alpha) by its quantile function, one for each uniform number in [0, 1)."""
    from scipy.special import betaincinv  # installed with scikit-learn; slow to import

    values: Floats = betaincinv(alpha, alpha, uniform)
    return values
