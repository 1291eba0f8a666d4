"""Makes an optimizer of torch.optim from settings that a user chose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer

from ptrun.errors import ConfigError


def construct(make: Callable[..., Optimizer], groups: list[Any], **settings: Any) -> Optimizer:
    """Call a class of torch.optim. Raises ConfigError with the message of torch when it refuses a setting."""
    try:
        return make(groups, **settings)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"optimizer: torch.optim.{make.__name__} refuses its settings: {error}") from None
