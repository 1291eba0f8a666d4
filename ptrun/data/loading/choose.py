"""Chooses the loader of a split: in memory where the data fit, else streamed by workers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import torch

from ptrun.data.loading.image_cache import CachedImages, ProgressCallback, cache_images
from ptrun.data.loading.in_memory import InMemoryLoader
from ptrun.data.loading.loader import BatchSampler, Loader
from ptrun.data.loading.streaming import StreamingLoader
from ptrun.data.splits import InMemorySplit, PreparedSplit, Split, TensorSplit
from ptrun.device.memory import device_memory_bytes
from ptrun.errors import DataError
from ptrun.process.machine import usable_cores
from ptrun.transforms.pipeline import Pipeline

MAX_AUTO_WORKERS = 8  # started by train.num_workers=auto
IN_MEMORY_SHARE = 0.25  # the largest part of the device's memory that one split may fill


def make_loader(
    split: Split,
    sampler: BatchSampler,
    pipeline: Pipeline | None,
    device: torch.device,
    num_workers: int | str,
    on_progress: ProgressCallback | None = None,
    sample_shape: Sequence[int] = (),
) -> Loader:
    """Keep the split on the device if it is made of tensors that fit there; stream it otherwise.

    Batches are equal either way.

    on_progress: called while images are decoded for `dataset.cache`; None for a split that is read once and not cached.
    sample_shape: shape of an input after the whole pipeline.
    Raises DataError when there is no batch or an image can't be read, ResourceError when the cache is too large.
    """
    _check_not_empty(sampler)
    limit = IN_MEMORY_SHARE * device_memory_bytes(device)
    if isinstance(split, InMemorySplit) and max(split.num_bytes(), _bytes_after_fixed(split, pipeline)) <= limit:
        return InMemoryLoader(_after_fixed(split, pipeline), sampler, pipeline, device)
    workers = worker_count(num_workers)
    streamed: Split = split
    if pipeline is not None:
        prepared = PreparedSplit(split, pipeline.fixed)
        streamed = prepared if on_progress is None else cache_images(prepared, pipeline, workers, on_progress)
        if isinstance(streamed, CachedImages) and (device.type == "cpu" or streamed.num_bytes() <= limit):
            return InMemoryLoader(streamed, sampler, pipeline, device)
    return StreamingLoader(streamed, sampler, pipeline, device, workers, sample_shape)


def _check_not_empty(sampler: BatchSampler) -> None:
    """Raise DataError when the samples give no batch."""
    if len(sampler) == 0:
        reason = " because train.drop_last leaves out the last, smaller one" if sampler.drop_last else ""
        raise DataError(
            f"The training split has {sampler.num_samples} samples, which give no batch of {sampler.batch_size}"
            f"{reason}. Use a smaller train.batch_size."
        )


def worker_count(setting: int | str) -> int:
    """The number of workers for a number or "auto"."""
    if os.name != "posix":
        return 0  # Workers share memory by a file descriptor, which only POSIX systems can hand to another process.
    return min(usable_cores(), MAX_AUTO_WORKERS) if isinstance(setting, str) else setting


def _bytes_after_fixed(split: Split, pipeline: Pipeline | None) -> int:
    """Memory of all samples after the fixed transforms, which may enlarge them."""
    return 0 if pipeline is None else pipeline.fixed(split.read(0)).nbytes * len(split)


def _after_fixed(split: InMemorySplit, pipeline: Pipeline | None) -> InMemorySplit:
    """The split after the fixed transforms, which are the same in every epoch."""
    if pipeline is None or not isinstance(split, TensorSplit):
        return split
    return replace(split, inputs=pipeline.fixed(split.inputs))
