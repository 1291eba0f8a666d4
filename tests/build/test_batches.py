"""Loaders for training and evaluation: batch sizes, order, and a last batch of one sample."""

from __future__ import annotations

import pytest
import torch
from support import run_config

from ptrun.build.batches import eval_batches, training_batches
from ptrun.build.data import prepare
from ptrun.build.run import build_runtime
from ptrun.config.run_config import RunConfig
from ptrun.data.loading.loader import Loader
from ptrun.registry import models

IRIS_TRAINING_SAMPLES = 105


def training(config: RunConfig) -> tuple[Loader, list[tuple[str, str, str]]]:
    prepared = prepare(config, fitted=None)
    model = models.build(config.model.name, config.model.settings, prepared.spec)
    return training_batches(config, prepared, build_runtime(config), model, lambda work, done, total: None)


@pytest.mark.parametrize(("model", "steps"), [("regularized", 1), ("simplenet", 2)])
def test_batch_norm_gets_no_batch_of_one_sample(model: str, steps: int):
    config = run_config("dataset=iris", f"model={model}", f"train.batch_size={IRIS_TRAINING_SAMPLES - 1}")
    loader, decisions = training(config)
    assert len(loader.sampler) == steps
    assert [setting for setting, _, _ in decisions] == ["train.drop_last"] * (2 - steps)


def test_training_batches_are_shuffled_by_seed_and_epoch():
    orders = []
    for seed, epoch in ((0, 0), (0, 1), (1, 0), (0, 0)):
        loader, _ = training(run_config("dataset=iris", "model=simplenet", f"seed={seed}"))
        orders.append(torch.cat([batch.indices for batch in loader.epoch(epoch)]).tolist())
    assert orders[0] == orders[3]
    assert orders[0] != orders[1] != orders[2] != orders[0]
    assert sorted(orders[1]) == list(range(IRIS_TRAINING_SAMPLES))


@pytest.mark.parametrize(("setting", "size"), [("auto", 256), ("7", 7)])
def test_evaluation_keeps_the_order(setting: str, size: int):
    config = run_config("dataset=digits", "model=simplenet", f"train.eval_batch_size={setting}")
    prepared = prepare(config, fitted=None)
    loader = eval_batches(config, prepared, build_runtime(config), prepared.data.test)
    batches = list(loader.epoch(0))
    assert len(batches[0].targets) == size
    assert torch.cat([batch.indices for batch in batches]).tolist() == list(range(len(prepared.data.test)))
