"""The task of the data decides loss, metrics and monitor; parts that do not fit the data are refused together."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support import run_config

from ptrun.build.auto import check_pair, photo_notes, resolve_auto, resolve_before_data, resolve_by_size
from ptrun.config.auto import Decision
from ptrun.config.compose import Composer
from ptrun.config.load import load_config
from ptrun.config.run_config import RunConfig
from ptrun.data.dataset import Data
from ptrun.data.splits import FileSplit, TensorSplit
from ptrun.errors import ConfigError
from ptrun.spec import DataSpec, Layout, Task

CLASSES = DataSpec(layout=Layout.VECTOR, task=Task.CLASSIFICATION, input_shape=(4,), num_outputs=3)
NUMBERS = DataSpec(layout=Layout.VECTOR, task=Task.REGRESSION, input_shape=(4,), num_outputs=1, target_names=("y",))


@pytest.mark.parametrize(
    ("spec", "loss", "monitor", "mode"),
    [(CLASSES, "cross_entropy", "val/accuracy", "max"), (NUMBERS, "mse", "val/loss", "min")],
)
def test_the_task_decides(spec: DataSpec, loss: str, monitor: str, mode: str):
    config, decisions = resolve_auto(run_config("dataset=iris", "model=simplenet"), spec)
    assert (config.loss.name, config.train.monitor, config.train.monitor_mode) == (loss, monitor, mode)
    assert ("loss", "auto", loss) in decisions
    assert ("train.monitor", "auto", monitor) in decisions
    assert config.metrics != "auto"


def test_what_was_chosen_stays():
    chosen = ("loss=cross_entropy", "metrics=[accuracy]", "train.monitor=val/log_loss")
    config, decisions = resolve_auto(run_config("dataset=iris", "model=simplenet", *chosen), CLASSES)
    assert decisions == []
    assert config.train.monitor_mode == "min"  # follows from the metric


def data_of(num_train: int, num_val: int, task: Task = Task.CLASSIFICATION) -> Data:
    spec = CLASSES if task is Task.CLASSIFICATION else NUMBERS
    parts = {
        name: TensorSplit(torch.zeros(count, 4), torch.zeros(count, dtype=torch.int64), torch.arange(count))
        for name, count in (("train", num_train), ("val", num_val), ("test", 1))
    }
    return Data(spec=spec, **parts)


@pytest.mark.parametrize(
    ("num_train", "epochs", "patience"), [(96, 666, 66), (999, 62, 20), (1_000, 20, None), (50_000, 20, None)]
)
def test_small_data_are_trained_for_more_epochs_and_end_by_patience(num_train: int, epochs: int, patience: int | None):
    config, decisions, _ = resolve_by_size(run_config("dataset=iris", "model=simplenet"), data_of(num_train, 500))
    assert (config.train.epochs, config.train.patience_epochs) == (epochs, patience)
    assert ("train.epochs", "auto", str(epochs)) in decisions


@pytest.mark.parametrize(("length", "steps"), [(20, 2_000), (150, 666), (1_000, 300)])
def test_long_sequences_take_fewer_steps(length: int, steps: int):
    data = data_of(320, 500)
    spec = replace(CLASSES, layout=Layout.SEQUENCE, input_shape=(length, 1))
    train = resolve_by_size(run_config("dataset=iris", "model=simplenet"), replace(data, spec=spec))[0].train
    assert train.epochs == steps // 10


def test_a_chosen_length_stays():
    chosen = run_config("dataset=iris", "model=simplenet", "train.epochs=3")
    train = resolve_by_size(chosen, data_of(96, 500))[0].train
    assert (train.epochs, train.patience_epochs) == (3, None)
    steps = run_config("dataset=iris", "model=simplenet", "train.max_steps=7")
    train = resolve_by_size(steps, data_of(96, 500))[0].train
    assert (train.epochs, train.max_steps, train.patience_epochs) == (3, 7, None)


@pytest.mark.parametrize(("num_val", "monitor"), [(499, "val/loss"), (500, "auto")])
def test_few_validation_samples_choose_the_best_epoch_by_loss(num_val: int, monitor: str):
    config, _, notes = resolve_by_size(run_config("dataset=iris", "model=simplenet"), data_of(2_000, num_val))
    assert config.train.monitor == monitor
    assert any("validation samples" in note for note in notes) == (num_val == 499)


def test_with_a_patience_of_the_user_accuracy_decides():
    config = run_config("dataset=iris", "model=simplenet", "train.patience_epochs=3")
    assert resolve_by_size(config, data_of(2_000, 10))[0].train.monitor == "auto"


def test_all_parts_that_do_not_fit_are_named_together():
    config, _ = resolve_auto(run_config("dataset=iris", "model=simplenet"), CLASSES)
    check_pair(config, CLASSES)
    with pytest.raises(ConfigError) as caught:
        check_pair(config, NUMBERS)
    assert {problem.partition(":")[0] for problem in caught.value.problems} >= {"loss", "metrics"}


def transform_of(*overrides: str) -> tuple[object, object, bool]:
    """The last image transform of training and evaluation, and whether it was decided from the model."""
    config = load_config(Composer(), ["dataset=digits", "model=timm", *overrides]).config
    config, decisions = resolve_before_data(config)
    train, evaluation = (config.transform.settings[part][-1] for part in ("train", "eval"))
    return train, evaluation, any(decision[0] == "normalize" for decision in decisions)


def test_images_are_normalized_as_those_of_the_weights():
    half = {"normalize": {"mean": 0.5, "std": 0.5}}
    imagenet = {"normalize": {"mean": "imagenet", "std": "imagenet"}}
    computed = {"normalize": {"mean": "computed", "std": "computed"}}
    vit = "model.arch=vit_tiny_patch16_224"
    assert transform_of(vit, "model.weights=a.pth") == (half, half, True)
    assert transform_of(vit, "weights=a.pth") == (half, half, True)
    assert transform_of("model.weights=DEFAULT") == (imagenet, imagenet, True)
    assert transform_of(vit) == (computed, computed, False)
    assert transform_of(vit, "model.weights=a.pth", "transform=normalize") == (computed, computed, False)
    own = "transform.train=[normalize]"
    assert transform_of(vit, "model.weights=a.pth", own) == (computed, half, True)


PHOTOS = ("dataset=image_folder", "dataset.root=photos")


def resolved_photos(*words: str) -> tuple[RunConfig, list[Decision]]:
    return resolve_before_data(load_config(Composer(), [*PHOTOS, *words]).config)


def test_photos_without_weights_at_hand_have_a_small_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    config, decisions = resolved_photos()
    assert (config.model.name, config.transform.name) == ("cifar_net", "photos")
    assert config.model.settings["channels"] == [32, 128, 128]
    assert resolved_photos("model=convnet")[0].transform.name == "imagenet"
    (note,) = photo_notes(config, photo_data(84), decisions)
    assert "model=transfer model.weights=DEFAULT" in note


def test_photos_take_weights_of_the_cache_or_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "resnet18-f37072fd.pth").touch()
    config, decisions = resolved_photos()
    assert (config.model.name, config.transform.name) == ("transfer", "imagenet")
    assert (config.model.settings["arch"], config.model.settings["weights"]) == ("resnet18", "IMAGENET1K_V1")
    assert photo_notes(config, photo_data(84), decisions)
    config, _ = resolved_photos("weights=mine/mobilenet_v2_best.pth")
    settings = config.model.settings
    assert (settings["arch"], settings["weights"], config.weights) == (
        "mobilenet_v2",
        "mine/mobilenet_v2_best.pth",
        None,
    )


def photo_data(num_train: int, side: int = 64) -> Data:
    spec = DataSpec(layout=Layout.IMAGE, task=Task.CLASSIFICATION, input_shape=(3, side, side), num_outputs=2)
    parts = {
        name: FileSplit([f"{n}.jpg" for n in range(count)], torch.zeros(count, dtype=torch.int64), torch.zeros)
        for name, count in (("train", num_train), ("val", 500), ("test", 1))
    }
    return Data(spec=spec, **parts)


@pytest.mark.parametrize(
    ("model", "side", "epochs"), [("cifar_net", 64, 60), ("convnet", 224, 20), ("transfer", 64, 20)]
)
def test_few_small_photos_are_trained_for_more_epochs(model: str, side: int, epochs: int):
    config = load_config(Composer(), [*PHOTOS, f"model={model}"]).config
    assert resolve_by_size(config, photo_data(84, side))[0].train.epochs == epochs
