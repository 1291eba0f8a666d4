"""Runs on a CUDA device: parity with the tutorial loop, equal bits again, all models and optimizers, memory."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from cuda_runs import CUDA, OPTIMIZERS, assert_equal_runs, decision, different, records, weights
from support import Ended, build_run, newest_evaluation, newest_run, train
from test_matrix import DATASETS, MODELS, fits
from test_parity import SETTINGS, TUTORIAL, tutorial

from ptrun import registry
from ptrun.config import schema
from ptrun.data.loading.in_memory import InMemoryLoader
from ptrun.data.loading.loader import BatchSampler
from ptrun.data.loading.streaming import StreamingLoader
from ptrun.data.splits import TensorSplit

pytestmark = pytest.mark.gpu
Call = Callable[..., Ended]


@pytest.mark.parametrize(
    "arguments", [("train", "device=cuda", "train.epochs=1"), ("train", "train.epochs=1"), ("doctor",)]
)
def test_a_process_of_its_own_starts_cuda(folder: Path, process: Call, arguments: tuple[str, ...]):
    ended = process(*arguments)
    assert ended.code == 0 or arguments == ("doctor",), ended.err  # doctor may miss an optional package
    assert "Traceback" not in ended.err
    assert "cuda:0" in ended.out


@pytest.mark.parametrize("compile", ["none", "step"])
@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize("optimizer", TUTORIAL)
@pytest.mark.parametrize("model", ["simplenet", "convnet"])
def test_parameters_equal_those_of_the_tutorial_loop(
    folder: Path, model: str, optimizer: str, fused: bool, compile: str
):
    overrides = [
        *CUDA,
        f"model={model}",
        *SETTINGS[optimizer],
        "scheduler=none",
        "train.epochs=3",
        "train.batch_size=64",
        "seed=7",
        f"device.fused={str(fused).lower()}",
        f"device.compile={compile}",
    ]
    result = train(*overrides, quiet=True)

    parts = build_run(*overrides)
    epochs = [[(b.inputs, b.targets) for b in parts.ctx.train.epoch(epoch)] for epoch in range(3)]
    torch.manual_seed(7)
    plain = registry.models.build(model, parts.config.model.settings, parts.prepared.spec).to("cuda")
    tutorial(plain, TUTORIAL[optimizer](plain.parameters(), **({"fused": True} if fused else {})), epochs)
    expected = {name: value.cpu() for name, value in plain.state_dict().items()}
    assert different(weights(result.run_dir), expected) == []


def overrides_of(model: str, folder: Path) -> tuple[str, ...]:
    """A small run of two steps of a model on the first dataset that fits it."""
    (folder / "data").mkdir(exist_ok=True)
    dataset = next(name for name in DATASETS if fits(model, schema.require("dataset", name).facts["gives"]))
    settings = ("train.epochs=1", "train.max_steps=2", "train.batch_size=8")
    return (f"model={model}", f"dataset={dataset}", *MODELS[model], *DATASETS[dataset](folder / "data"), *settings)


@pytest.mark.parametrize("compile", ["none", "step"])
@pytest.mark.parametrize("model", MODELS)
def test_every_model_trains_and_gives_the_same_bits_again(folder: Path, model: str, compile: str):
    run = (*CUDA, *overrides_of(model, folder), f"device.compile={compile}")
    first, again = train(*run, quiet=True), train(*run, quiet=True)
    assert decision(first.run_dir, "device.compile") is None, "it should be a graph"
    assert math.isfinite(json.loads((first.run_dir / "test" / "metrics.json").read_text())["loss"])
    assert_equal_runs(first.run_dir, again.run_dir)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_every_optimizer_takes_steps(folder: Path, optimizer: str, precision: str):
    if (optimizer, precision) == ("lbfgs", "fp16"):
        pytest.skip("refused: lbfgs calls the loss itself, and fp16 scales gradients")
    settings = ("model=simplenet", f"optimizer={optimizer}", f"device.precision={precision}", "train.max_steps=3")
    result = train(*CUDA, *settings, quiet=True)
    assert result.summary["steps"] == 3


@pytest.mark.filterwarnings("default")  # of torch's own compiler
def test_the_compiled_model_learns_the_same(folder: Path):
    losses = {}
    for compile in ("none", "model"):
        settings = ("model=convnet", "model.dropout=0", f"device.compile={compile}", "train.epochs=1")
        run_dir = train(*CUDA, *settings, quiet=True).run_dir
        losses[compile] = records(run_dir)[0]["val/loss"]
    assert losses["model"] == pytest.approx(losses["none"], rel=0.05)


@pytest.mark.parametrize(("trained_on", "evaluated_on"), [("cuda", "cpu"), ("cpu", "cuda")])
@pytest.mark.parametrize("model", ["simplenet", "convnet"])
def test_a_checkpoint_of_one_device_evaluates_on_the_other(
    folder: Path, ptrun: Call, model: str, trained_on: str, evaluated_on: str
):
    assert ptrun("train", f"model={model}", f"device={trained_on}", "train.epochs=2", "-q").code == 0
    trained = json.loads((newest_run(folder) / "test" / "metrics.json").read_text())
    assert ptrun("eval", "checkpoint=outputs/latest", f"device={evaluated_on}").code == 0
    evaluated = json.loads((newest_evaluation(folder) / "metrics.json").read_text())
    # By default, convolutions on a GPU round to 10 bits of mantissa (TF32); products of matrices do not.
    assert evaluated["loss"] == pytest.approx(trained["loss"], rel=1e-2 if model == "convnet" else 1e-4)
    assert evaluated["metrics"]["accuracy"] == pytest.approx(trained["metrics"]["accuracy"], abs=0.01)


def test_evaluating_twice_gives_the_same_bytes(folder: Path, ptrun: Call):
    settings = ("device=cuda", "device.precision=bf16", "train.epochs=1", "train.eval_views=flip_shift")
    assert ptrun("train", *settings, "-q").code == 0
    tables = [(newest_run(folder) / "test" / "predictions.csv").read_bytes()]
    for _ in range(2):
        assert ptrun("eval", "checkpoint=outputs/latest").code == 0
        tables.append((newest_evaluation(folder) / "predictions.csv").read_bytes())
    assert tables[0] == tables[1] == tables[2]


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_arrive_whole_while_the_device_is_busy(workers: int):
    """The loop does not wait for copies from pinned memory; the batches that arrive must be those that were read."""
    inputs = torch.randint(0, 256, (600, 3, 32, 32), dtype=torch.uint8)
    split, device = TensorSplit(inputs, torch.arange(600), torch.arange(600)), torch.device("cuda")
    sampler = BatchSampler(600, 64, shuffle=True, seed=3)
    loaders = (StreamingLoader(split, sampler, None, device, workers), InMemoryLoader(split, sampler, None, device))
    busy = torch.randn(4096, 4096, device="cuda")
    for loader in loaders:
        arrived = []
        for batch in loader.epoch(0):
            busy = (busy @ busy).clamp(-1, 1)
            arrived.append((batch.inputs, batch.targets, batch.indices))
        for images, targets, indices in arrived:
            assert torch.equal(images.cpu(), inputs[indices.cpu()])
            assert torch.equal(targets.cpu(), indices.cpu())
        assert sum(len(targets) for _, targets, _ in arrived) == 600


def test_memory_that_runs_out_halves_the_batch(folder: Path):
    """The allocator is limited to 3 GB, and a whole batch needs more."""
    rng = np.random.default_rng(0)
    np.savez("a.npz", x_train=rng.integers(0, 256, (6000, 32, 32, 3), dtype=np.uint8), y_train=np.arange(6000) % 10)
    run = (
        *CUDA,
        "dataset=arrays",
        "dataset.path=a.npz",
        "model=convnet",
        "model.dropout=0",
        "model.channels=[64,128]",
        "device.channels_last=false",
        "device.compile=none",
        "train.batch_size=4096",
        "train.eval_batch_size=256",
        "train.max_steps=2",
        "optimizer=sgd",
    )
    whole = train(*run, quiet=True)
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(3e9 / torch.cuda.get_device_properties(0).total_memory)
    try:
        with pytest.raises(Exception, match=r"Out of memory in training, epoch 1, with batches of 4096"):
            train(*run, quiet=True)
        halved = train(*run, "train.on_oom=halve", quiet=True)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert halved.summary["batch_parts"] >= 2
    for name, value in weights(whole.run_dir).items():
        torch.testing.assert_close(weights(halved.run_dir)[name], value, rtol=1e-2, atol=1e-4)
