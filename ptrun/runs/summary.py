"""The summary of a finished run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptrun.build.run import Run
from ptrun.engine.progress import Progress


@dataclass(frozen=True)
class TrainResult:
    """How a finished run went: its folder, its summary (what summary.json holds), and the best monitored value."""

    run_dir: Path
    summary: Mapping[str, Any]
    value: float | None


def summarize(parts: Run, progress: Progress, document: Mapping[str, Any], num_bad_samples: int) -> dict[str, Any]:
    x = parts.ctx
    return {
        "model": parts.config.model.name,
        "dataset": parts.config.dataset.name,
        "seed": parts.config.seed,
        "epochs": progress.epoch,
        "steps": progress.step,
        "stopped": progress.stopped,
        "skipped_steps": progress.skipped,
        "rollbacks": progress.rollbacks,
        "batch_parts": progress.batch_parts,
        "bad_samples": num_bad_samples,
        "best_epoch": progress.best_epoch,
        "monitor": x.monitor,
        "best_value": progress.best_value,
        "higher_is_better": x.higher_is_better,
        "test": {"loss": document["loss"], **document["metrics"]},
        "parameters": sum(p.numel() for p in x.model.parameters()),
        "training_seconds": progress.seconds,
        "time_percent": x.times.shares(),
        "peak_memory_bytes": x.runtime.peak_memory_bytes(),
    }


def decision_records(parts: Run) -> list[dict[str, str]]:
    return [{"setting": setting, "requested": requested, "used": used} for setting, requested, used in parts.decisions]
