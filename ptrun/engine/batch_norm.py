"""Turns torch's error on batch normalization of a single value into a sentence that names the setting."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ptrun.errors import ConfigError

_ERROR_OF_TORCH = "Expected more than 1 value per channel when training"  # torch.nn.functional.batch_norm


@contextmanager
def explain_batch_norm(batch_size: int) -> Iterator[None]:
    """Inside, a batch too small for batch normalization becomes a ConfigError."""
    try:
        yield
    except ValueError as error:
        if not str(error).startswith(_ERROR_OF_TORCH):
            raise
        advice = (
            "Give train.batch_size=2 or more."
            if batch_size == 1
            else "A part of a batch has one sample: give another train.batch_size."
        )
        raise ConfigError(
            f"train.batch_size: {batch_size} leaves batch normalization with one value per channel, of which there is "
            f"no variance to train with ({error}). {advice} Larger images, or a model without batch normalization, "
            "train with single samples."
        ) from error
