"""Every optimizer of torch.optim by its lower-case name, with parameter groups where asked for.

Invariant: without weight-decay exemptions and learning-rate scales, the optimizer is exactly
`torch.optim.NAME(model.parameters(), ...)`: one group, in the order of the model.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ptrun.errors import ConfigError
from ptrun.registry import optimizers

# Name → class of torch.optim and its settings; those that only choose an implementation (foreach, fused, ...) are left out.
_TABLE: dict[str, tuple[str, dict[str, Any]]] = {
    "adadelta": ("Adadelta", {"lr": 1.0, "rho": 0.9, "eps": 1e-6, "weight_decay": 0.0}),
    "adafactor": (
        "Adafactor",
        {"lr": 0.01, "beta2_decay": -0.8, "eps": (None, 0.001), "d": 1.0, "weight_decay": 0.0},
    ),
    "adagrad": (
        "Adagrad",
        {"lr": 0.01, "lr_decay": 0.0, "weight_decay": 0.0, "initial_accumulator_value": 0.0, "eps": 1e-10},
    ),
    "adam": (
        "Adam",
        {
            "lr": 0.001,
            "betas": (0.9, 0.999),
            "eps": 1e-8,
            "weight_decay": 0.0,
            "amsgrad": False,
            "decoupled_weight_decay": False,
        },
    ),
    "adamax": ("Adamax", {"lr": 0.002, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}),
    "adamw": ("AdamW", {"lr": 0.001, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.01, "amsgrad": False}),
    "asgd": ("ASGD", {"lr": 0.01, "lambd": 0.0001, "alpha": 0.75, "t0": 1e6, "weight_decay": 0.0}),
    "lbfgs": (
        "LBFGS",
        {
            "lr": 1.0,
            "max_iter": 20,
            "max_eval": None,
            "tolerance_grad": 1e-7,
            "tolerance_change": 1e-9,
            "history_size": 100,
            "line_search_fn": None,
        },
    ),
    "muon": (
        "Muon",
        {
            "lr": 0.02,
            "weight_decay": 0.1,
            "momentum": 0.95,
            "nesterov": True,
            "ns_coefficients": (3.4445, -4.775, 2.0315),
            "eps": 1e-7,
            "ns_steps": 5,
            "adjust_lr_fn": None,
        },
    ),
    "nadam": (
        "NAdam",
        {
            "lr": 0.002,
            "betas": (0.9, 0.999),
            "eps": 1e-8,
            "weight_decay": 0.0,
            "momentum_decay": 0.004,
            "decoupled_weight_decay": False,
        },
    ),
    "radam": (
        "RAdam",
        {"lr": 0.001, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0, "decoupled_weight_decay": False},
    ),
    "rmsprop": (
        "RMSprop",
        {"lr": 0.01, "alpha": 0.99, "eps": 1e-8, "weight_decay": 0.0, "momentum": 0.0, "centered": False},
    ),
    "rprop": ("Rprop", {"lr": 0.01, "etas": (0.5, 1.2), "step_sizes": (1e-6, 50.0)}),
    "sgd": ("SGD", {"lr": 0.01, "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False}),
    "sparse_adam": ("SparseAdam", {"lr": 0.001, "betas": (0.9, 0.999), "eps": 1e-8}),
}


def build_optimizer(name: str, settings: Mapping[str, Any], model: nn.Module) -> Optimizer:
    """Return the optimizer called `name` over the parameters of `model`, frozen ones included.

    A registered function takes the model and its keyword-only settings and returns the optimizer.
    Raises ConfigError for a setting that torch refuses, parameters that the optimizer can't take,
    or an optimizer that this torch does not have.
    """
    plain = {key: tuple(value) if isinstance(value, list) else value for key, value in settings.items()}
    optimizer: Optimizer = optimizers.build(name, plain, model)
    return optimizer


def needs_closure(optimizer: Optimizer) -> bool:
    """Whether `step` has to be given a function that computes loss and gradients anew (only LBFGS)."""
    return isinstance(optimizer, torch.optim.LBFGS)


def parameter_groups(
    model: nn.Module, *, lr: float, weight_decay: float = 0.0, no_decay_norm_bias: bool = False
) -> list[Any]:
    """What an optimizer takes: the parameters as they are, or groups by weight decay and learning rate.

    `no_decay_norm_bias` sets the weight decay of norm layers, biases and other 1-D parameters to 0;
    `model.lr_scale(name)`, if there is such a method, multiplies the learning rate of a parameter.
    """
    scale_of = getattr(model, "lr_scale", lambda name: 1.0)
    exempt = _no_decay(model) if no_decay_norm_bias else set()
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


def _no_decay(model: nn.Module) -> set[int]:
    """Identities of the parameters that weight decay only harms (as in timm and minGPT)."""
    norms = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
    of_norms = {id(p) for module in model.modules() if isinstance(module, norms) for p in module.parameters()}
    one_dimensional = {id(p) for name, p in model.named_parameters() if p.dim() <= 1 or name.endswith("bias")}
    return of_norms | one_dimensional


def _construct(name: str, groups: list[Any], settings: Mapping[str, Any]) -> Optimizer:
    """Make the optimizer of torch; its complaints become a ConfigError."""
    wanted = _TABLE[name][0]
    found: Any = getattr(torch.optim, wanted, None)
    if found is None:
        raise ConfigError(
            f"optimizer: torch {torch.__version__} has no torch.optim.{wanted}. Install a newer torch, or choose another optimizer."
        )
    if not groups:
        raise ConfigError(f"optimizer: the model has no parameters, so there is nothing for '{name}' to train.")
    try:
        made: Optimizer = found(groups, **settings)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"optimizer: torch.optim.{wanted} refuses its settings: {error}") from None
    return made


def _build(name: str, model: nn.Module, settings: dict[str, Any]) -> Optimizer:
    decay = {
        "weight_decay": settings.get("weight_decay", 0.0),
        "no_decay_norm_bias": settings.pop("no_decay_norm_bias", False),
    }
    groups = parameter_groups(model, lr=settings["lr"], **decay)
    if name == "muon":
        adamw_lr = settings.pop("adamw_lr")
        return _muon(groups, settings, parameter_groups(model, lr=adamw_lr, **decay), adamw_lr)
    if name == "sparse_adam":
        return _sparse_adam(model, groups, settings)
    if name == "lbfgs" and any(isinstance(group, dict) for group in groups):
        raise ConfigError(
            "optimizer: 'lbfgs' knows one learning rate only, but the model sets several (for example a backbone with "
            "its own). Choose another optimizer, or make the learning rates equal."
        )
    return _construct(name, groups, settings)


def _muon(groups: list[Any], settings: dict[str, Any], adamw_groups: list[Any], adamw_lr: float) -> Optimizer:
    """Muon for matrices and, as torch's docs recommend, AdamW for all other parameters (convolutions, biases, norms)."""
    matrices = {id(p) for p in _members(groups) if p.dim() == 2}
    if not matrices:
        raise ConfigError(
            "optimizer: 'muon' trains 2-D weights, of which this model has none. Use optimizer=adamw instead."
        )
    muon = _construct("muon", _split(groups, matrices)[0], settings)
    others = _split(adamw_groups, matrices)[1]
    adamw_settings = {"lr": adamw_lr, "weight_decay": settings["weight_decay"]}
    return CombinedOptimizer(muon, _construct("adamw", others, adamw_settings)) if others else muon


def _sparse_adam(model: nn.Module, groups: list[Any], settings: dict[str, Any]) -> Optimizer:
    """SparseAdam for embeddings made with sparse=True, Adam with the same settings for the rest."""
    tables = [m for m in model.modules() if isinstance(m, nn.Embedding | nn.EmbeddingBag) and m.sparse]
    sparse, dense = _split(groups, {id(table.weight) for table in tables})
    if not sparse:
        raise ConfigError(
            "optimizer: 'sparse_adam' is for models with nn.Embedding(..., sparse=True), and this model has none. "
            "Use optimizer=adam instead."
        )
    rare = _construct("sparse_adam", sparse, settings)
    return CombinedOptimizer(rare, _construct("adam", dense, settings)) if dense else rare


def _members(groups: list[Any]) -> list[Tensor]:
    return [p for group in groups for p in (group["params"] if isinstance(group, dict) else [group])]


def _split(groups: list[Any], chosen: set[int]) -> tuple[list[Any], list[Any]]:
    """Divide parameters or groups into those whose identity is among `chosen`, and the others."""
    if groups and not isinstance(groups[0], dict):
        return [p for p in groups if id(p) in chosen], [p for p in groups if id(p) not in chosen]
    halves = []
    for inside in (True, False):
        parts = [{**group, "params": [p for p in group["params"] if (id(p) in chosen) is inside]} for group in groups]
        halves.append([group for group in parts if group["params"]])
    return halves[0], halves[1]


class CombinedOptimizer(Optimizer):
    """Two optimizers as one: groups and state are shared with them, so saving, scaling and scheduling work as ever."""

    def __init__(self, *members: Optimizer) -> None:
        self.members = members
        super().__init__([group for member in members for group in member.param_groups], {})
        self._share()

    def _share(self) -> None:
        """Let the members work on this object's groups and state."""
        groups = iter(self.param_groups)
        for member in self.members:
            member.param_groups = [next(groups) for _ in member.param_groups]
            member.state = self.state

    def step(self, closure: Any = None) -> Any:
        """One step of each. A closure is called once, before them."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for member in self.members:
            member.step()
        return loss

    def load_state_dict(self, state_dict: Any) -> None:
        """Restore what `state_dict` gave."""
        super().load_state_dict(state_dict)
        self._share()


def _register(names: Iterable[str]) -> None:
    """Make one function for each name, whose signature is the line of the table."""
    extra = {"muon": {"adamw_lr": 0.001}}
    for name in names:
        torch_name, defaults = _TABLE[name]
        settings = {**defaults, **extra.get(name, {})}
        if "weight_decay" in settings:
            settings["no_decay_norm_bias"] = False
        optimizers.add(name, _function(name, torch_name, settings))


def _function(name: str, torch_name: str, defaults: Mapping[str, Any]) -> Any:
    def function(model: nn.Module, **settings: Any) -> Optimizer:
        return _build(name, model, {**defaults, **settings})

    parameters = [inspect.Parameter("model", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=nn.Module)]
    parameters += [inspect.Parameter(key, inspect.Parameter.KEYWORD_ONLY, default=defaults[key]) for key in defaults]
    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"torch.optim.{torch_name} over the parameters of a model; settings as in its documentation."
    function.__signature__ = inspect.Signature(parameters, return_annotation=Optimizer)  # type: ignore[attr-defined]
    return function


_register(_TABLE)


def main_param_group(optimizer: torch.optim.Optimizer) -> int:
    """Which group has the learning rate of the setting; a model may want a multiple of it for some parameters."""
    rates = [float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups]
    wanted = float(optimizer.defaults.get("lr", rates[0]))
    return min(range(len(rates)), key=lambda at: abs(rates[at] - wanted))
