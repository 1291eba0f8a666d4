"""Divides the parameters of a model into groups with their own learning rate and weight decay."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from torch import Tensor, nn
from torch.optim import Optimizer


def parameter_groups(
    model: nn.Module, *, lr: float, weight_decay: float = 0.0, no_decay_norm_bias: bool = False
) -> list[Any]:
    """Return the first argument of an optimizer: a list of parameters, or of groups where settings differ.

    `no_decay_norm_bias` sets the weight decay of norm layers, biases and other 1-D parameters to 0. A model may have a
    method `lr_scale(parameter_name)`, whose result multiplies the learning rate of that parameter.
    Where all parameters have the same settings they are returned as they are, in the order of the model, so that the
    optimizer equals `torch.optim.NAME(model.parameters(), ...)`. Frozen parameters are included, because they may be
    unfrozen later.
    """
    scale_of = getattr(model, "lr_scale", lambda name: 1.0)
    exempt = _without_decay(model) if no_decay_norm_bias else set()
    grouped: dict[tuple[bool, float], list[Tensor]] = {}
    for name, parameter in model.named_parameters():
        grouped.setdefault((id(parameter) in exempt, float(scale_of(name))), []).append(parameter)
    if not exempt and set(grouped) <= {(False, 1.0)}:
        return list(model.parameters())
    groups = []
    for (is_exempt, scale), parameters in grouped.items():
        group: dict[str, Any] = {"params": parameters, "lr": lr * scale}
        groups.append({**group, "weight_decay": 0.0 if is_exempt else weight_decay} if exempt else group)
    return groups


def _without_decay(model: nn.Module) -> set[int]:
    """The identities of the parameters that weight decay harms: norm layers, biases, 1-D (as in timm and minGPT)."""
    norms = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
    of_norms = {id(p) for module in model.modules() if isinstance(module, norms) for p in module.parameters()}
    one_dimensional = {id(p) for name, p in model.named_parameters() if p.dim() <= 1 or name.endswith("bias")}
    return of_norms | one_dimensional


def split_groups(groups: list[Any], chosen: Collection[int]) -> tuple[list[Any], list[Any]]:
    """Divide what `parameter_groups` returned into the parameters whose identity is in `chosen`, and the others."""
    if groups and not isinstance(groups[0], dict):
        return [p for p in groups if id(p) in chosen], [p for p in groups if id(p) not in chosen]
    return _filtered(groups, chosen, keep=True), _filtered(groups, chosen, keep=False)


def _filtered(groups: list[Any], chosen: Collection[int], *, keep: bool) -> list[Any]:
    parts = [{**group, "params": [p for p in group["params"] if (id(p) in chosen) is keep]} for group in groups]
    return [group for group in parts if group["params"]]


def main_param_group(optimizer: Optimizer) -> int:
    """The index of the group whose learning rate is that of the setting, which is the one to show.

    A model may scale the learning rate of some parameters, so this need not be the first group.
    """
    rates = [float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups]
    configured = float(optimizer.defaults.get("lr", rates[0]))
    return min(range(len(rates)), key=lambda index: abs(rates[index] - configured))
