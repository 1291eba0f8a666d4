"""Shared by the tests: the path of the checkout, the result of a command, the folder of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from PIL import Image

import ptrun
from ptrun.build.run import Run, build
from ptrun.config.auto import resolve_auto
from ptrun.config.compose import Composer
from ptrun.config.load import load_config
from ptrun.config.run_config import RunConfig
from ptrun.runs.folder import RunDir
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


def svg_texts(path: Path) -> list[str]:
    """The texts of a well-formed SVG, every one of which has a color of its own."""
    texts = [node for node in ElementTree.parse(path).iter() if node.tag.endswith("}text")]
    assert all("fill:" in (node.get("style") or "") for node in texts), "a black text can't be read on a dark page"
    return ["".join(node.itertext()) for node in texts]


def job_row(settings: str, value: float | None, **changes: Any) -> dict[str, Any]:
    """The row of a job in the table of a sweep; value: None for one that failed."""
    return {
        "job": "0", "overrides": ["train.epochs=1", *settings.split()], "value": value, "monitor": "val/accuracy",
        "higher_is_better": True, "state": "failed" if value is None else "done", "reason": "",
        "test": {} if value is None else {"accuracy": value / 2}, "seconds": 1.0, **changes,
    }  # fmt: skip


def make_sweep(folder: Path, jobs: Sequence[str], values: Sequence[float | None], **plan: Any) -> Path:
    """The folder of a sweep as far as its table and its figures look at it; a job without a value failed."""
    planned = [{"job": str(i), "id": str(i), "overrides": settings.split()} for i, settings in enumerate(jobs)]
    for job, value in zip(planned, values, strict=True):
        run = RunDir(folder / job["job"])
        run.path.mkdir(parents=True)
        (run.path / "resolved.yaml").write_text("{}")
        run.write_json("receipt.json", {"overrides": job["overrides"], "started": "2026-01-02T03:04:05+00:00"})
        if value is None:
            run.write_status("failed", reason="ValueError: <b>not good</b>")
            (run.path / "job.log").write_text("the last line\n")
            continue
        run.write_status("done")
        summary = {"monitor": "val/accuracy", "best_value": value, "higher_is_better": True, "training_seconds": 2.0}
        run.write_json("summary.json", {**summary, "test": {"accuracy": value}, "best_epoch": 3, "parameters": 10})
        records = [{"epoch": epoch, "step": epoch, "val/accuracy": value * epoch / 3} for epoch in (1, 2, 3)]
        run.metrics.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    RunDir(folder).write_json("sweep.json", {"jobs": planned, "overrides": [], "command": ["ptrun", "train"], **plan})
    return folder
