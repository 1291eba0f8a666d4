"""Builds the batches of each part of the data from the configuration."""

from __future__ import annotations

from dataclasses import replace
from ptrun.build.data import Prepared
from ptrun.config.auto import Decision
from ptrun.config.run_config import RunConfig
from ptrun.data.loading.choose import make_loader
from ptrun.data.loading.image_cache import ProgressCallback
from ptrun.data.loading.loader import Loader
from ptrun.data.loading.loader import BatchSampler
from ptrun.data.splits import FileSplit
from ptrun.data.splits import Split
from ptrun.device.runtime import Runtime
from torch import nn


def training_batches(
    config: RunConfig, prepared: Prepared, runtime: Runtime, model: nn.Module, tell: ProgressCallback
) -> tuple[Loader, list[Decision]]:
    """Shuffled batches; a last batch of one sample is left out, and said, where batch norm could not train on it."""
    split, t = prepared.data.train, config.train
    sampler = BatchSampler(len(split), t.batch_size, shuffle=True, seed=config.seed, drop_last=t.drop_last)
    decisions: list[Decision] = []
    if not t.drop_last and len(split) % t.batch_size == 1 and _has_batch_norm(model):
        sampler = replace(sampler, skip_single=True)
        decisions.append(
            (
                "train.drop_last",
                "false",
                "the last batch of each epoch is left out: it has one sample, on which batch norm can't train",
            )
        )
    pipeline, shape = prepared.pipelines.train, prepared.spec.input_shape
    batches = make_loader(split, sampler, pipeline, runtime.device, t.num_workers, tell, shape)
    return batches, decisions


def eval_batches(
    config: RunConfig, prepared: Prepared, runtime: Runtime, split: Split, tell: ProgressCallback | None = None
) -> Loader:
    """Batches of a split in its own order. With `tell` they are kept as `dataset.cache` asks: they are wanted more than once."""
    t = config.train
    size = t.eval_batch_size
    if isinstance(size, str):
        size = t.batch_size if isinstance(split, FileSplit) else max(256, t.batch_size)
    sampler = BatchSampler(len(split), size, shuffle=False, seed=config.seed)
    pipeline, shape = prepared.pipelines.eval, prepared.spec.input_shape
    return make_loader(split, sampler, pipeline, runtime.device, t.num_workers, tell, shape)


def _has_batch_norm(model: nn.Module) -> bool:
    from torch.nn.modules.batchnorm import _BatchNorm

    return any(isinstance(module, _BatchNorm) for module in model.modules())
