"""Losses that fail at fixed steps: equal_numbers.py compares how steps are skipped, rolled back and split with them."""

from __future__ import annotations

import itertools

import torch

from ptrun.registry import losses

_training_calls = itertools.count(1)


@losses.register
def nan_at_times(outputs: torch.Tensor, targets: torch.Tensor, *, every: int = 20) -> torch.Tensor:
    """Cross-entropy, but NaN in one of `every` training batches."""
    loss = torch.nn.functional.cross_entropy(outputs, targets)
    fails = outputs.requires_grad and next(_training_calls) % every == 0
    return loss * torch.nan if fails else loss


@losses.register
def limited_batch(outputs: torch.Tensor, targets: torch.Tensor, *, max_samples: int = 16) -> torch.Tensor:
    """Cross-entropy that runs out of memory in training on more than `max_samples` samples at once."""
    if outputs.requires_grad and len(targets) > max_samples:
        raise MemoryError(f"{len(targets)} samples")
    return torch.nn.functional.cross_entropy(outputs, targets)
