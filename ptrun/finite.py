"""Are all numbers of many tensors finite? One pass over them, one reading of the device.

Invariant: the answer is exact: a norm that overflows is only a reason to look closer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def all_finite(tensors: Sequence[Tensor]) -> bool:
    """Whether no number is NaN or infinite; waits for the device."""
    if not tensors:
        return True
    with torch.no_grad():
        norms = torch._foreach_norm(list(tensors))
        if bool(torch.isfinite(torch.stack([norm.float() for norm in norms])).all()):
            return True
        return all(bool(torch.isfinite(each).all()) for each in tensors)


def first_nonfinite(values: Mapping[str, Any]) -> str:
    """The name of the first tensor that holds NaN or infinity, "" when there is none; what is no such tensor is passed over."""
    named = {name: each for name, each in values.items() if isinstance(each, Tensor) and each.is_floating_point()}
    if all_finite(list(named.values())):
        return ""
    return next(name for name, each in named.items() if not all_finite([each]))
