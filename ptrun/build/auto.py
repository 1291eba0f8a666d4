"""Resolves the `auto` that the task of the data decides, and checks that the parts fit the data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ptrun.config import auto, compatibility
from ptrun.config.auto import Decision
from ptrun.config.run_config import RunConfig
from ptrun.data.dataset import Data
from ptrun.data.splits import FileSplit
from ptrun.errors import ConfigError
from ptrun.losses import build
from ptrun.metrics import compute
from ptrun.models import timm, torchvision_networks
from ptrun.spec import DataSpec, Layout, Task
from ptrun.transforms.statistics import STATISTICS

EPOCHS = 20  # of train.epochs=auto
# Small data are trained for more epochs: 20 of them are 80 steps for 100 samples. Test accuracy after 20 epochs and
# after 2,000 steps that end by patience, mean of three seeds: iris 0.74 and 0.97, glass 0.49 and 0.71, wine 0.91 and
# 0.99. The 1,259 training digits gained nothing (0.990, 0.989).
SMALL_TRAINING, MIN_STEPS = 1_000, 2_000
# A step of 32 photos from files, or of fcn on 32 sequences of 400 time steps, takes about half a second on a CPU.
MIN_PHOTO_STEPS, SMALL_SIDE = 180, 96
MIN_SEQUENCE_STEPS, MIN_TIME_STEPS = 300, 100_000
MIN_PATIENCE_EPOCHS = 20
SMALL_VALIDATION = 500  # the standard error of an accuracy of 0.95 is 1 % there


def resolve_auto(config: RunConfig, spec: DataSpec, folders: tuple[Path, ...] = ()) -> tuple[RunConfig, list[Decision]]:
    """Replace `auto` in loss, metrics and train.monitor by what fits the task, and return what was decided."""
    decisions: list[Decision] = []
    train = config.train
    if config.loss.name == "auto":
        config = replace(config, loss=auto.default_component("loss", build.default_loss(spec), folders))
        decisions.append(("loss", "auto", config.loss.name))
    if config.metrics == "auto":
        names = compute.default_metrics(spec.task)
        config = replace(config, metrics=[{name: {}} for name in names])
        decisions.append(("metrics", "auto", ", ".join(names)))
    if train.monitor == "auto":
        train = replace(train, monitor="val/accuracy" if spec.task is Task.CLASSIFICATION else "val/loss")
        decisions.append(("train.monitor", "auto", train.monitor))
    if train.monitor_mode == "auto":
        name = train.monitor.removeprefix("val/")
        lower_is_better = name == "loss" or compute.better(name) == "lower"
        train = replace(train, monitor_mode="min" if lower_is_better else "max")
    return replace(config, train=train), decisions


def resolve_by_size(config: RunConfig, data: Data) -> tuple[RunConfig, list[Decision], list[str]]:
    """Replace `auto` in train.epochs, train.patience_epochs and, for few validation samples, train.monitor.

    Returns what was decided, and sentences on it for the user.
    """
    # With the user's own patience, accuracy is monitored: a loss can shrink for ever, and training would not end.
    is_by_loss = (
        config.train.monitor == "auto"
        and not isinstance(config.train.patience_epochs, int)
        and data.spec.task is Task.CLASSIFICATION
        and len(data.val) < SMALL_VALIDATION
    )
    config, length_decisions, length_notes = _resolve_length(config, data)
    if not is_by_loss:
        return config, length_decisions, length_notes
    note = (
        f"The best epoch is that of the lowest validation loss: {len(data.val):,} validation samples are too few to "
        "tell epochs apart by accuracy (train.monitor)."
    )
    config = replace(config, train=replace(config.train, monitor="val/loss"))
    return config, [*length_decisions, ("train.monitor", "auto", "val/loss")], [*length_notes, note]


def _resolve_length(config: RunConfig, data: Data) -> tuple[RunConfig, list[Decision], list[str]]:
    """Replace `auto` in train.epochs and train.patience_epochs."""
    train, num_samples = config.train, len(data.train)
    steps_per_epoch = max(1, -(-num_samples // (train.batch_size * train.grad_accumulation)))
    min_steps = _min_steps(data) if num_samples < SMALL_TRAINING and config.model.name != "transfer" else 0
    epochs, patience, notes = train.epochs, train.patience_epochs, []
    if isinstance(epochs, str):
        wanted_steps = train.max_steps or min_steps
        epochs = (
            -(-wanted_steps // steps_per_epoch) if train.max_steps else max(EPOCHS, wanted_steps // steps_per_epoch)
        )
    if isinstance(patience, str):
        is_longer = train.epochs == "auto" and train.max_steps is None and epochs > EPOCHS
        patience = max(MIN_PATIENCE_EPOCHS, epochs // 10) if is_longer else None
    if epochs != EPOCHS and train.epochs == "auto" and train.max_steps is None:
        end = "" if patience is None else f", fewer when {patience} in a row bring nothing better"
        notes.append(
            f"Up to {epochs:,} epochs, because {num_samples:,} training samples make {steps_per_epoch:,} "
            f"step{'s' if steps_per_epoch > 1 else ''} each{end} (train.epochs, train.patience_epochs)."
        )
    now = {"train.epochs": (train.epochs, epochs), "train.patience_epochs": (train.patience_epochs, patience)}
    decisions = [
        (key, "auto", "null" if used is None else str(used)) for key, (asked, used) in now.items() if asked == "auto"
    ]
    return replace(config, train=replace(train, epochs=epochs, patience_epochs=patience)), decisions, notes


def _min_steps(data: Data) -> int:
    """The least optimizer steps for small data; fewer where a step takes long, and 0 for large images from files."""
    shape = data.spec.input_shape
    if isinstance(data.train, FileSplit):
        return MIN_PHOTO_STEPS if max(shape[1:]) <= SMALL_SIDE else 0
    if data.spec.layout is Layout.SEQUENCE:
        return min(MIN_STEPS, max(MIN_SEQUENCE_STEPS, MIN_TIME_STEPS // shape[0]))
    return MIN_STEPS


def resolve_before_data(config: RunConfig, folders: tuple[Path, ...] = ()) -> tuple[RunConfig, list[Decision]]:
    """Replace `auto` in model and transform, and return what was decided.

    Images for weights of timm are normalized as those that they were trained on. Raises ConfigError.
    """
    open_parts = [part for part, items in config.transform.settings.items() if items == "auto"]
    config, backbone = _with_backbone_at_hand(config, folders)
    config, decisions = auto.resolve_auto(config, folders)
    decisions = [*backbone, *decisions]
    settings = config.model.settings
    if config.model.name != "timm" or not open_parts or not (settings["weights"] or config.weights):
        return config, decisions
    mean, std = (_short(values) for values in timm.input_statistics(settings["arch"], settings["weights"]))
    transforms = {
        part: [{"normalize": {"mean": mean, "std": std}} if "normalize" in item else item for item in items]
        if part in open_parts
        else items
        for part, items in config.transform.settings.items()
    }
    used = f"mean {mean}, std {std}, with which {settings['arch']} was trained"
    return (
        replace(config, transform=replace(config.transform, settings=transforms)),
        [*decisions, ("normalize", "auto", used)],
    )


def _with_backbone_at_hand(config: RunConfig, folders: tuple[Path, ...]) -> tuple[RunConfig, list[Decision]]:
    """With model=auto for photos: a pretrained backbone, if weights are in torch's cache or named by `weights`."""
    if config.model.name != "auto" or "files" not in compatibility.given_by(config.dataset, folders):
        return config, []
    backbone = torchvision_networks.backbone_at_hand(config.weights)
    if backbone is None:
        return config, []
    arch, weights = backbone
    model = auto.default_component("model", "transfer", folders)
    model = replace(model, settings={**model.settings, "arch": arch, "weights": weights})
    used = f"transfer with {arch} and its weights {weights}"
    return replace(config, model=model, weights=None), [("model", "auto", used)]


def photo_notes(config: RunConfig, data: Data, decisions: Sequence[Decision]) -> list[str]:
    """What model=auto means for photos, and the better command."""
    used = next((used for setting, requested, used in decisions if (setting, requested) == ("model", "auto")), None)
    if used is None or not isinstance(data.train, FileSplit):
        return []
    if config.model.name == "transfer":
        return [f"model=auto uses pretrained weights that are on this machine: {used}."]
    note = (
        f"No pretrained weights are on this machine, so model=auto is {config.model.name}, a small network that learns "
        "from nothing. With few photos a pretrained one is much better: model=transfer model.weights=DEFAULT "
        "(a download) or model=transfer model.weights=FILE."
    )
    return [note]


def _short(values: Sequence[float]) -> float | list[float] | str:
    """Statistics as a setting of `normalize`: by name, or as one number where all channels have the same."""
    for which in (0, 1):
        if tuple(values) == STATISTICS["imagenet"][which]:
            return "imagenet"
    return values[0] if len({*values}) == 1 else list(values)


def check_pair(config: RunConfig, spec: DataSpec, folders: tuple[Path, ...] = ()) -> None:
    """Check model, loss and metrics against the data. Raises ConfigError that lists every problem."""
    gives = (str(spec.layout), str(spec.task))
    problems = [compatibility.model_problem(config.model.name, config.dataset.name, gives, folders)]
    problems += compatibility.task_problems(
        gives, config.dataset.name, config.loss.name, config.metrics, config.train.monitor, folders
    )
    if any(problems):
        raise ConfigError(problem for problem in problems if problem)
