"""Are all numbers of many tensors finite? One pass over them, one reading of the device.

Invariant: the answer is exact: a norm that overflows is only a reason to look closer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

_RUNNING = ("running_mean", "running_var")


def learned(model: nn.Module) -> dict[str, Tensor]:
    """What training changes in a model, by name: parameters and running statistics. Other buffers may hold infinities, as masks do."""
    running = {name: each for name, each in model.named_buffers() if name.endswith(_RUNNING)}
    return {**dict(model.named_parameters()), **running}


def all_finite(tensors: Sequence[Tensor]) -> bool:
    """Whether no number is NaN or infinite; waits for the device."""
    if not tensors:
        return True
    with torch.no_grad():
        norms = torch._foreach_norm(list(tensors))
        if bool(torch.isfinite(torch.stack([norm.float() for norm in norms])).all()):
            return True
        return all(bool(torch.isfinite(each).all()) for each in tensors)


def first_nonfinite(values: Mapping[str, Tensor]) -> str:
    """The name of the first tensor that holds NaN or infinity, "" when there is none."""
    named = {name: each for name, each in values.items() if each.is_floating_point()}
    if all_finite(list(named.values())):
        return ""
    return next(name for name, each in named.items() if not all_finite([each]))
