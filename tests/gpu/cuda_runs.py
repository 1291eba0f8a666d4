"""Shared by the GPU tests: settings with which a GPU gives the same bits again, and the comparison of two runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from ptrun.checkpoint import store
from ptrun.config import schema

CUDA = ("device=cuda", "train.deterministic=true")
OPTIMIZERS = sorted(
    {*schema.names("optimizer")} - {"sparse_adam"}
)  # that one is for sparse gradients, which no model here has
VOLATILE = ("seconds", "samples_per_second", "data_wait_percent")
Weights = dict[str, torch.Tensor]


def weights(run_dir: Path) -> Weights:
    """The weights of the last checkpoint of a run."""
    loaded: Weights = store.load(run_dir / "checkpoints" / "last.pt")["model"]
    return loaded


def different(one: Weights, other: Weights) -> list[str]:
    """The names of tensors that differ in a bit."""
    assert one.keys() == other.keys()
    return [name for name in one if not torch.equal(one[name], other[name])]


def decision(run_dir: Path, setting: str) -> str | None:
    """The value that the program decided on for a setting, or None."""
    decisions = json.loads((run_dir / "receipt.json").read_text())["decisions"]
    return {decision["setting"]: decision["used"] for decision in decisions}.get(setting)


def records(run_dir: Path) -> list[dict[str, Any]]:
    """The records of all epochs, without times."""
    lines = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in VOLATILE} for line in lines]


def assert_equal_runs(one: Path, other: Path) -> None:
    """Compare weights, averaged weights, scaler, random state of the GPU, records and predictions bit for bit."""
    states = [store.load(run_dir / "checkpoints" / "last.pt") for run_dir in (one, other)]
    assert different(states[0]["model"], states[1]["model"]) == []
    if states[0]["ema"] is not None:
        assert different(states[0]["ema"], states[1]["ema"]) == []
    assert states[0]["scaler"] == states[1]["scaler"]
    assert states[0]["progress"]["step"] == states[1]["progress"]["step"]
    for before, after in zip(states[0]["random"]["cuda"], states[1]["random"]["cuda"], strict=True):
        assert torch.equal(before, after), "the random state of the GPU"
    assert records(one) == records(other)
    predictions = [(run_dir / "test" / "predictions.csv").read_bytes() for run_dir in (one, other)]
    assert predictions[0] == predictions[1]
