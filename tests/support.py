"""Shared by the tests: the path of the checkout, the result of a command, the folder of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import ptrun
from ptrun.build.run import Run, build
from ptrun.config.auto import resolve_auto
from ptrun.config.compose import Composer
from ptrun.config.load import load_config
from ptrun.config.run_config import RunConfig
from ptrun.spec import DataSpec, Layout, Task

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Ended:
    """A finished command."""

    code: int
    out: str
    err: str


def without_plots(arguments: Sequence[str]) -> Sequence[str]:
    """Add `plots=false` to the arguments of a training run, unless they set `plots`. This saves a second."""
    runs = arguments[:1] == ("train",) and len(arguments) > 1 and not {"-h", "--help"} & {*arguments}
    has_plots = any(argument.startswith("plots=") for argument in arguments)
    return (*arguments, "plots=false") if runs and not has_plots else arguments


def train(*overrides: str, quiet: bool = False) -> Any:
    """`ptrun.train` without plots; returns a TrainResult."""
    return ptrun.train(*overrides, "plots=false", quiet=quiet)


def run_config(*overrides: str) -> RunConfig:
    """The checked configuration of `ptrun train OVERRIDES`, with model and transform resolved."""
    return resolve_auto(load_config(Composer(), overrides).config)[0]


def build_run(*overrides: str) -> Run:
    """The parts of a run, built and not trained."""
    config, decisions = resolve_auto(load_config(Composer(), overrides).config)
    return build(config, decisions=decisions)


def newest_run(folder: Path) -> Path:
    """The run folder that `outputs/latest` points to."""
    return (folder / "outputs" / "latest").resolve()


def newest_evaluation(folder: Path) -> Path:
    """The folder that the newest `ptrun eval` wrote."""
    return max((folder / "outputs").glob("*/*-eval-*"), key=lambda path: path.stat().st_mtime_ns)


def forecast_spec(**changes: Any) -> DataSpec:
    """Two columns to forecast three rows ahead, ordered unlike the inputs, which also have a calendar column."""
    values: dict[str, Any] = {
        "layout": Layout.SEQUENCE,
        "task": Task.REGRESSION,
        "input_shape": (40, 3),
        "num_outputs": 6,
        "feature_names": ("rain", "wind", "year sine"),
        "target_names": tuple(f"{name} +{step}" for step in (1, 2, 3) for name in ("wind", "rain")),
        "horizon": 3,
    }
    return DataSpec(**{**values, **changes})


def assert_picture(path: Path, least_width: int = 400) -> Image.Image:
    """A whole PNG that shows something; returns it."""
    with Image.open(path) as image:
        image.load()
        picture = image.convert("RGB")
    assert image.format == "PNG"
    assert least_width <= picture.width <= 2400
    assert picture.height >= 150
    assert len(picture.getcolors(maxcolors=1 << 24) or []) > 20  # axes and letters with soft edges
    return picture


def has_color(picture: Image.Image, color: str) -> bool:
    wanted = np.asarray([int(color[i : i + 2], 16) for i in (1, 3, 5)])
    return bool((np.abs(np.asarray(picture).astype(int) - wanted).max(axis=2) <= 3).any())


def job_row(settings: str, value: float | None, **changes: Any) -> dict[str, Any]:
    """The row of a job in the table of a sweep; value: None for one that failed."""
    return {
        "job": "0", "overrides": ["train.epochs=1", *settings.split()], "value": value, "monitor": "val/accuracy",
        "higher_is_better": True, "state": "failed" if value is None else "done", "reason": "",
        "test": {} if value is None else {"accuracy": value / 2}, "seconds": 1.0, **changes,
    }  # fmt: skip
