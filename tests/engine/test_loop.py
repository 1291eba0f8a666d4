"""The loop's settings do what they say: accumulation, clipping, averaging, patience, steps, formats."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support import train

from ptrun.build import run
from ptrun.checkpoint import state, store
from ptrun.config import auto, load
from ptrun.config.compose import Composer
from ptrun.engine import evaluate, loop
from ptrun.engine.hooks import Hooks
from ptrun.engine.progress import Progress
from ptrun.errors import ConfigError, DivergedError

ONE_STEP = Hooks(should_stop=lambda: True)


def parts_of(*overrides: str) -> run.Run:
    return run.build(auto.resolve_auto(load.load_config(Composer(), overrides).config)[0])


def weights(run_dir: Path, name: str = "last.pt") -> dict[str, torch.Tensor]:
    saved: dict[str, torch.Tensor] = store.load(run_dir / "checkpoints" / name)["model"]
    return saved


def records(run_dir: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]


def test_accumulating_batches_equals_one_large_batch(folder: Path):
    common = ("optimizer=sgd", "optimizer.lr=0.1", "train.epochs=1", "model=simplenet")
    # 1,259 training samples: the last window of batches is not full, and its last batch is smaller
    whole = train(*common, "train.batch_size=96", quiet=True)
    parts = train(*common, "train.batch_size=32", "train.grad_accumulation=3", quiet=True)
    assert whole.summary["steps"] == parts.summary["steps"] == 14
    for name, value in weights(whole.run_dir).items():
        torch.testing.assert_close(weights(parts.run_dir)[name], value, rtol=1e-4, atol=1e-6)


def test_clipping_bounds_the_gradient(folder: Path):
    ctx = parts_of("optimizer=sgd", "optimizer.lr=1.0", "train.clip_norm=0.001").ctx
    before = [p.detach().clone() for p in ctx.model.parameters()]
    loop.train_epoch(ctx, 0, Progress(), ONE_STEP)
    moved = torch.sqrt(sum(((p.detach() - b) ** 2).sum() for p, b in zip(ctx.model.parameters(), before, strict=True)))
    assert float(moved) == pytest.approx(0.001, rel=1e-3)


def test_averaged_weights_are_evaluated_and_saved(folder: Path):
    result = train("train.ema_decay=0.9", "train.epochs=2", quiet=True)
    saved = store.load(result.run_dir / "checkpoints" / "best.pt")
    averaged = state.evaluated_weights(saved)
    assert averaged.keys() == saved["model"].keys()
    assert any(not torch.equal(averaged[name], value) for name, value in saved["model"].items())
    document = json.loads((result.run_dir / "test" / "metrics.json").read_text())
    assert document["metrics"]["accuracy"] == result.summary["test"]["accuracy"]


def test_patience_stops_training(folder: Path):
    result = train("optimizer.lr=0", "train.patience_epochs=2", "train.epochs=50", quiet=True)
    assert result.summary["epochs"] == 3
    assert "no better val/accuracy in 2 epochs" in result.summary["stopped"]
    assert result.summary["best_epoch"] == 1


def test_max_steps_wins_over_epochs(folder: Path):
    result = train("train.max_steps=45", "train.epochs=1", quiet=True)
    assert result.summary["steps"] == 45
    assert result.summary["epochs"] == 2


def test_validation_every_other_epoch_and_at_the_end(folder: Path):
    result = train("train.val_every_epochs=2", "train.epochs=3", quiet=True)
    assert ["val/loss" in record for record in records(result.run_dir)] == [False, True, True]


@pytest.mark.parametrize(
    ("monitor", "mode", "higher"),
    [("val/f1_macro", "auto", True), ("val/log_loss", "auto", False), ("val/accuracy", "min", False)],
)
def test_any_metric_can_decide_the_best_epoch(folder: Path, monitor: str, mode: str, higher: bool):
    result = train(f"train.monitor={monitor}", f"train.monitor_mode={mode}", "train.epochs=3", quiet=True)
    values = [record[monitor] for record in records(result.run_dir)]
    assert result.value == (max(values) if higher else min(values))
    assert result.summary["higher_is_better"] is higher


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_lower_precision_learns_and_keeps_fp32_weights(folder: Path, precision: str):
    model = ("model=simplenet", "optimizer.lr=0.01")  # some CPUs only imitate convolutions in fp16: a minute
    result = train(f"device.precision={precision}", "train.epochs=4", *model, quiet=True)
    assert result.summary["test"]["accuracy"] > 0.85
    assert {value.dtype for value in weights(result.run_dir).values()} == {torch.float32}


def test_an_optimizer_that_needs_a_closure_learns(folder: Path):
    result = train(
        "model=simplenet",
        "optimizer=lbfgs",
        "optimizer.line_search_fn=strong_wolfe",
        "train.batch_size=1259",
        "train.epochs=8",
        quiet=True,
    )
    assert result.summary["test"]["accuracy"] > 0.8


def test_a_closure_sees_all_batches_of_a_step_and_the_clipping(folder: Path):
    common = ("model=simplenet", "optimizer=lbfgs", "optimizer.max_iter=2", "optimizer.lr=0.1", "train.epochs=1")
    whole = train(*common, "train.batch_size=630", quiet=True)
    parts = train(*common, "train.batch_size=210", "train.grad_accumulation=3", quiet=True)
    still = train(*common, "train.batch_size=630", "train.clip_value=1e-12", quiet=True)
    fresh = parts_of("model=simplenet").ctx.model.state_dict()
    for name, value in weights(whole.run_dir).items():
        torch.testing.assert_close(weights(parts.run_dir)[name], value, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(weights(still.run_dir)[name], fresh[name], rtol=0, atol=1e-6)
    with pytest.raises(ConfigError, match="fp16 scales gradients"):
        train(*common, "device.precision=fp16", quiet=True)


def test_accumulation_with_class_weights_equals_one_large_batch(folder: Path):
    common = (
        "model=simplenet",
        "optimizer=sgd",
        "optimizer.lr=0.1",
        "train.epochs=1",
        "loss=cross_entropy",
        "loss.class_weights=[9,1,1,1,1,1,1,1,1,1]",
    )
    whole = train(*common, "train.batch_size=96", quiet=True)
    parts = train(*common, "train.batch_size=32", "train.grad_accumulation=3", quiet=True)
    for name, value in weights(whole.run_dir).items():
        torch.testing.assert_close(weights(parts.run_dir)[name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("precision", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16), ("fp16", torch.float16)]
)
def test_the_forward_pass_runs_in_the_precision_asked_for(folder: Path, precision: str, dtype: torch.dtype):
    ctx = parts_of(f"device.precision={precision}").ctx
    seen: list[torch.dtype] = []
    ctx.model.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    loop.train_epoch(ctx, 0, Progress(), ONE_STEP)
    evaluate.predict(ctx.model, ctx.loss, ctx.val, ctx.runtime)
    assert set(seen) == {dtype}


def test_clipping_under_fp16_sees_unscaled_gradients(folder: Path):
    ctx = parts_of(
        "model=simplenet", "optimizer=sgd", "optimizer.lr=1.0", "train.clip_norm=0.001", "device.precision=fp16"
    ).ctx
    before = [p.detach().clone() for p in ctx.model.parameters()]
    loop.train_epoch(ctx, 0, Progress(), ONE_STEP)
    moved = torch.sqrt(sum(((p.detach() - b) ** 2).sum() for p, b in zip(ctx.model.parameters(), before, strict=True)))
    assert float(moved) == pytest.approx(0.001, rel=0.01)


def test_min_delta_asks_for_a_real_improvement_and_the_best_is_the_best(folder: Path):
    result = train("train.min_delta=1.0", "train.patience_epochs=2", "train.epochs=9", quiet=True)
    values = [(record["val/accuracy"], -record["val/loss"]) for record in records(result.run_dir)]
    assert result.summary["epochs"] == len(values) == 3
    assert result.summary["best_epoch"] == 1 + values.index(max(values)) > 1


def test_patience_counts_epochs_not_validations(folder: Path):
    often = ("optimizer.lr=0", "train.patience_epochs=4", "train.epochs=50", "model=simplenet", "dataset=iris")
    assert train(*often, quiet=True).summary["epochs"] == 5
    assert train(*often, "train.val_every_epochs=2", quiet=True).summary["epochs"] == 6


def test_patience_ends_a_run_whose_metric_can_not_improve(folder: Path):
    """The accuracy is 1 while the loss goes on falling, which makes each epoch the best and none an improvement."""
    labels = np.arange(60) % 2
    images = (labels[:, None, None] * np.full((60, 4, 4), 200)).astype("uint8")
    images[:, 0, 0] = np.arange(60)  # no two are the same
    np.savez(folder / "bw.npz", x_train=images, y_train=labels)
    data = ("dataset=arrays", "dataset.path=bw.npz", "model=simplenet", "scheduler=none", "optimizer.lr=0.01")
    result = train(*data, "train.epochs=40", "train.patience_epochs=3", quiet=True)
    values = [record["val/accuracy"] for record in records(result.run_dir)]
    assert max(values) == 1.0
    assert len(values) == values.index(1.0) + 1 + 3
    assert result.summary["best_epoch"] == len(values)


def test_the_recorded_rate_is_the_one_used(folder: Path):
    result = train(
        "optimizer=sgd",
        "optimizer.lr=0.1",
        "scheduler=step",
        "scheduler.step_epochs=1",
        "scheduler.gamma=0.1",
        "train.epochs=3",
        quiet=True,
    )
    assert [record["lr"] for record in records(result.run_dir)] == pytest.approx([0.1, 0.01, 0.001])


def test_a_monitored_metric_keeps_its_settings(folder: Path):
    result = train("metrics=[{top_k:{k:1}},accuracy]", "train.monitor=val/top_k", "train.epochs=1", quiet=True)
    record = records(result.run_dir)[0]
    assert record["val/top_k"] == record["val/accuracy"]


@pytest.mark.parametrize(
    ("data", "monitor", "reason"),
    [
        (("dataset=iris", "metrics=[top_k]"), "top_k", "k is 5, but there are only 3 classes"),
        (("dataset=table", "dataset.path=rain.csv", "dataset.target=rain"), "mape", "targets are zero or nearly so"),
    ],
)
def test_a_monitor_that_the_data_leave_undefined_is_refused(
    folder: Path, data: tuple[str, ...], monitor: str, reason: str
):
    rows = [f"{row * row % 7},{0.0 if row % 3 == 0 else row + 0.5}" for row in range(60)]
    (folder / "rain.csv").write_text("\n".join(["a,rain", *rows]), encoding="utf-8")
    with pytest.raises(ConfigError, match=rf"val/{monitor} has no value on the validation split \(.*{reason}"):
        train(*data, "model=simplenet", f"train.monitor=val/{monitor}", "train.epochs=2", quiet=True)
    assert not list(folder.glob("outputs/*/*/metrics.csv"))


def test_a_metric_without_a_value_is_told_and_does_not_count_against_patience(
    folder: Path, capsys: pytest.CaptureFixture[str]
):
    (folder / "mine.py").write_text(
        "from ptrun.registry import metrics\nfrom ptrun.metrics.compute import Undefined\n\n\n@metrics.register\n"
        "def never_defined(predictions):\n    raise Undefined('no reason')\n\n\nnever_defined.better = 'higher'\n",
        encoding="utf-8",
    )
    asked = ("plugins=[mine.py]", "dataset=iris", "model=simplenet", "metrics=[accuracy,never_defined]")
    result = train(*asked, "train.monitor=val/never_defined", "train.patience_epochs=1", "train.epochs=3")
    out = capsys.readouterr().out
    assert result.summary["epochs"] == 3
    assert "val/never_defined is undefined" in out
    assert "checkpoint=none" not in out
    assert "checkpoints/last.pt" in out


def test_one_run_does_not_leave_its_threads_to_the_next(folder: Path):
    torch.set_num_threads(1)
    parts_of("device.threads=2")
    assert torch.get_num_threads() == 2
    parts_of()
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize(
    "setting",
    [
        "device.channels_last=true",
        "train.deterministic=true",
        "train.clip_value=0.01",
        pytest.param("device.compile=model", marks=pytest.mark.slow),
    ],
)
def test_other_settings_train(folder: Path, setting: str):
    marks = ("train.max_steps=3",)
    assert train(setting, *marks, quiet=True).summary["steps"] == 3
    torch.use_deterministic_algorithms(False)


def test_plateau_lowers_the_rate_when_nothing_improves(folder: Path):
    result = train(
        "scheduler=plateau",
        "scheduler.patience_epochs=1",
        "scheduler.factor=0.5",
        "optimizer.lr=1e-9",
        "train.monitor=val/accuracy",
        "train.epochs=6",
        quiet=True,
    )
    rates = [record["lr"] for record in records(result.run_dir)]
    assert rates[0] == 1e-9
    assert rates[-1] < 1e-9


def test_divergence_ends_the_run_and_is_not_saved(folder: Path):
    with pytest.raises(DivergedError, match=r"at step \d+, in epoch 1 \(learning rate .*, samples row \d+") as caught:
        train("optimizer=sgd", "optimizer.lr=1e30", "train.epochs=2", quiet=True)
    assert caught.value.exit_code == 5
    run_dir = (folder / "outputs" / "latest").resolve()
    assert json.loads((run_dir / "status.json").read_text())["state"] == "failed"
    assert not (run_dir / "checkpoints" / "best.pt").exists()


def test_a_last_batch_of_one_is_left_out_under_batch_norm_and_said(folder: Path):
    result = train("model=regularized", "train.batch_size=629", "train.epochs=1", quiet=True)  # 1259 = 2 * 629 + 1
    assert result.summary["steps"] == 2
    decisions = json.loads((result.run_dir / "receipt.json").read_text())["decisions"]
    assert any("one sample" in each["used"] for each in decisions)


def test_two_halves_equal_the_whole(folder: Path):
    """Stop within an epoch, restore into fresh parts, go on: the same bits (`state` is what a checkpoint holds)."""
    overrides = (
        "model=convnet",
        "train.epochs=2",
        "train.ema_decay=0.9",
        "scheduler=one_cycle",
        "train.batch_size=64",
        "transform=basic",
    )
    whole = parts_of(*overrides).ctx
    whole_progress = loop.fit(whole, Progress(), Hooks())

    first, progress = parts_of(*overrides).ctx, Progress()
    loop.fit(first, progress, Hooks(should_stop=lambda: progress.step >= 7))
    assert (progress.epoch, progress.batch) == (0, 7)
    rest: dict[str, Any] = {"config": {}, "spec": {}, "fitted": {}, "data": {}}
    path = store.publish(folder, state.capture(first, progress) | rest, step=progress.step, best=False, keep=2)

    torch.manual_seed(99)
    second, progress = parts_of(*overrides).ctx, Progress()
    state.restore(second, progress, store.load(path))
    loop.fit(second, progress, Hooks())
    assert replace(progress, seconds=0.0) == replace(whole_progress, seconds=0.0)
    for part in ("model", "ema"):
        want, have = (getattr(ctx, part).state_dict() for ctx in (whole, second))
        assert all(torch.equal(want[name], have[name]) for name in want)


def test_a_stop_in_a_validation_leaves_it_to_the_resumed_run(folder: Path):
    overrides = ("dataset=digits", "model=simplenet", "train.epochs=2", "train.eval_batch_size=32")
    whole = parts_of(*overrides).ctx
    reports: list[Any] = []
    whole_progress = loop.fit(whole, Progress(), Hooks(on_epoch_end=reports.append))

    first, progress = parts_of(*overrides).ctx, Progress()
    batches: list[int] = []

    def stop_in_the_second_batch_of_validation() -> bool:
        batches.append(progress.batch)
        return batches.count(40) == 2

    loop.fit(first, progress, Hooks(should_stop=stop_in_the_second_batch_of_validation))
    assert (progress.epoch, progress.batch, progress.best_epoch) == (0, 40, 0)
    second, resumed = parts_of(*overrides).ctx, Progress()
    state.restore(second, resumed, state.snapshot(first, progress))
    again: list[Any] = []
    loop.fit(second, resumed, Hooks(on_epoch_end=again.append))
    assert replace(resumed, seconds=0.0) == replace(whole_progress, seconds=0.0)
    assert [plain(report) for report in again] == [plain(report) for report in reports]


def plain(report: Any) -> dict[str, Any]:
    """The record of an epoch without times."""
    return {key: value for key, value in report.record.items() if not key.startswith(("seconds", "samples", "data"))}


@pytest.mark.parametrize("seed", range(20))
def test_max_steps_can_be_extended_to_any_number_of_steps(folder: Path, seed: int):
    """Steps, and what a validation decides, are those of one run of the longer length (7 steps an epoch)."""
    draw = random.Random(seed)
    short, long = sorted(draw.sample(range(1, 30), 2))
    overrides = (
        "dataset=diabetes",
        "model=simplenet",
        "train.batch_size=48",
        f"scheduler={draw.choice(['none', 'plateau'])}",
        "optimizer.lr=0.05",
        f"train.val_every_epochs={draw.choice([1, 2])}",
        f"train.grad_accumulation={draw.choice([1, 2])}",
        "device.compile=none",
    )
    whole = parts_of(*overrides, f"train.max_steps={long}").ctx
    whole_progress = loop.fit(whole, Progress(), Hooks())
    first = parts_of(*overrides, f"train.max_steps={short}").ctx
    saved = state.snapshot(first, loop.fit(first, Progress(), Hooks()))
    assert saved["progress"]["step"] == short

    second, progress = parts_of(*overrides, f"train.max_steps={long}").ctx, Progress()
    state.restore(second, progress, saved)
    progress.forget_end()
    loop.fit(second, progress, Hooks())
    assert replace(progress, seconds=0.0) == replace(whole_progress, seconds=0.0)
    want, have = (state.capture(ctx, progress) for ctx in (whole, second))
    assert all(torch.equal(want["model"][name], have["model"][name]) for name in want["model"])
    assert want["schedule"] == have["schedule"]


def test_training_and_evaluation_images_must_end_in_one_size(folder: Path):
    with pytest.raises(ConfigError, match=r"training images become \[1, 6, 6\], evaluation images \[1, 8, 8\]"):
        parts_of("transform=basic", "transform.train=[{random_crop:{size:6}},{normalize:{}}]")
