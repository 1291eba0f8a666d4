"""Two optimizers that act as one, for algorithms that can train only some of a model's parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim import Optimizer


class CombinedOptimizer(Optimizer):
    """Optimizers behind the interface of one.

    Parameter groups and state are the same objects here and in the members, so checkpoints, gradient scaling and
    schedules need not know that there are several.
    """

    def __init__(self, *members: Optimizer) -> None:
        self.members = members
        super().__init__([group for member in members for group in member.param_groups], {})
        self._share_state()

    def _share_state(self) -> None:
        groups = iter(self.param_groups)
        for member in self.members:
            member.param_groups = [next(groups) for _ in member.param_groups]
            member.state = self.state

    def step(self, closure: Any = None) -> Any:
        """Take one step with each member. A closure is called once, before the first, and its loss is returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for member in self.members:
            member.step()
        return loss

    def load_state_dict(self, state_dict: Any) -> None:
        """Restore groups and state, and share the new objects with the members."""
        super().load_state_dict(state_dict)
        self._share_state()
