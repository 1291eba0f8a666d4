"""Builds the loaders: the batches of each part of the data."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import nn

from ptrun.build.data import Prepared
from ptrun.config.auto import Decision
from ptrun.config.run_config import RunConfig, TrainSettings
from ptrun.data.loading.choose import make_loader
from ptrun.data.loading.image_cache import ProgressCallback
from ptrun.data.loading.loader import BatchSampler, Loader
from ptrun.data.splits import FileSplit, Split
from ptrun.device.runtime import Runtime


@dataclass(frozen=True)
class Loaders:
    """The batches of each part of the data, and what was decided on the way."""

    train: Loader
    val: Loader
    test: Loader
    decisions: list[Decision]


def build_loaders(
    config: RunConfig, prepared: Prepared, runtime: Runtime, model: nn.Module, on_progress: ProgressCallback
) -> Loaders:
    """The loaders of a training run. The test part is read once, so its images are not cached."""
    train, decisions = training_batches(config, prepared, runtime, model, on_progress)
    val = eval_batches(config, prepared, runtime, prepared.data.val, on_progress)
    return Loaders(train, val, eval_batches(config, prepared, runtime, prepared.data.test), decisions)


def training_batches(
    config: RunConfig, prepared: Prepared, runtime: Runtime, model: nn.Module, on_progress: ProgressCallback
) -> tuple[Loader, list[Decision]]:
    """Shuffled batches, without a last batch of one sample if the model has batch norm, and what was decided."""
    split, train = prepared.data.train, config.train
    sampler = BatchSampler(len(split), train.batch_size, shuffle=True, seed=config.seed, drop_last=train.drop_last)
    decisions: list[Decision] = []
    if not train.drop_last and len(split) % train.batch_size == 1 and _has_batch_norm(model):
        sampler = replace(sampler, skip_single=True)
        reason = "the last batch of each epoch is left out: it has one sample, on which batch norm can't train"
        decisions.append(("train.drop_last", "false", reason))
    pipeline, shape = prepared.pipelines.train, prepared.spec.input_shape
    loader = make_loader(split, sampler, pipeline, runtime.device, train.num_workers, on_progress, shape)
    return loader, decisions


def eval_batches(
    config: RunConfig, prepared: Prepared, runtime: Runtime, split: Split, on_progress: ProgressCallback | None = None
) -> Loader:
    """Batches of a split in its own order.

    on_progress: for a split that is read several times, whose images are cached as `dataset.cache` asks.
    """
    size = evaluation_batch_size(config.train, files=isinstance(split, FileSplit))
    sampler = BatchSampler(len(split), size, shuffle=False, seed=config.seed)
    pipeline, shape = prepared.pipelines.eval, prepared.spec.input_shape
    return make_loader(split, sampler, pipeline, runtime.device, config.train.num_workers, on_progress, shape)


def evaluation_batch_size(settings: TrainSettings, *, files: bool) -> int:
    """`train.eval_batch_size`; "auto" is the batch of training, and at least 256 for samples that are in memory."""
    size = settings.eval_batch_size
    if isinstance(size, str):
        return settings.batch_size if files else max(256, settings.batch_size)
    return size


def _has_batch_norm(model: nn.Module) -> bool:
    from torch.nn.modules.batchnorm import _BatchNorm  # the base of all batch norms; torch has no public name for it

    return any(isinstance(module, _BatchNorm) for module in model.modules())
