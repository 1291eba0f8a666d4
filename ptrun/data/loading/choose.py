"""Chooses how the batches of a split are made.

Invariant: data that fit on the device are kept there; the choice changes speed, never a batch.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

import torch

from ptrun.data.loading.image_cache import CachedImages, ProgressCallback, keep
from ptrun.data.loading.in_memory import InMemoryLoader
from ptrun.data.loading.loader import BatchSampler, Loader, Pipeline
from ptrun.data.loading.streaming import StreamingLoader
from ptrun.data.splits import PreparedSplit, ResidentSplit, Split, TensorSplit
from ptrun.device.memory import device_memory_bytes
from ptrun.errors import DataError
from ptrun.process.machine import usable_cores

MOST_WORKERS = 8  # that num_workers=auto starts
RESIDENT_SHARE = 0.25  # of the device's memory, at most, that one split may take to be kept there


def make_loader(
    split: Split,
    sampler: BatchSampler,
    pipeline: Pipeline | None,
    device: torch.device,
    num_workers: int | str,
    tell: ProgressCallback | None = None,
    sample_shape: Sequence[int] = (),
) -> Loader:
    """Keep the split on the device when it is made of tensors that fit; stream it otherwise.

    tell: is told how far keeping decoded images is (`dataset.cache`); None: they are read only once, and not kept.
    sample_shape: of an input after all transforms.
    Raises DataError when there is no batch or an image can't be read, ResourceError when there is no room to keep images.
    """
    if len(sampler) == 0:
        raise DataError(
            f"The training split has {sampler.num_samples} samples, which give no batch of {sampler.batch_size}"
            f"{' because train.drop_last leaves out the last, smaller one' if sampler.drop_last else ''}. Use a smaller train.batch_size."
        )
    limit = RESIDENT_SHARE * device_memory_bytes(device)
    if isinstance(split, ResidentSplit) and max(split.num_bytes(), _prepared_bytes(split, pipeline)) <= limit:
        return InMemoryLoader(_prepared(split, pipeline), sampler, pipeline, device)
    workers = min(usable_cores(), MOST_WORKERS) if isinstance(num_workers, str) else num_workers
    if os.name != "posix":
        workers = 0  # the memory that they share with this process is handed over as POSIX can
    prepared: Split = split
    if pipeline is not None:
        prepared = PreparedSplit(split, pipeline.fixed)
        kept = prepared if tell is None else keep(prepared, pipeline, workers, tell)
        if isinstance(kept, CachedImages) and (device.type == "cpu" or kept.num_bytes() <= limit):
            return InMemoryLoader(kept, sampler, pipeline, device)
        prepared = kept
    return StreamingLoader(prepared, sampler, pipeline, device, workers, sample_shape)


def _prepared_bytes(split: Split, pipeline: Pipeline | None) -> int:
    """Memory of all samples after the fixed transforms, which may enlarge them."""
    return 0 if pipeline is None else pipeline.fixed(split.read(0)).nbytes * len(split)


def _prepared(split: ResidentSplit, pipeline: Pipeline | None) -> ResidentSplit:
    """The split after the fixed transforms, which need to be done only once."""
    if pipeline is None or not isinstance(split, TensorSplit):
        return split
    return replace(split, inputs=pipeline.fixed(split.inputs))
