"""The summary of a finished run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from ptrun.build.run import Run
from ptrun.engine.progress import Progress
from ptrun.evaluation.verdict import verdict
from ptrun.loggers.records import read_records
from ptrun.reports.html_table import html_table
from ptrun.runs.folder import BAD_SAMPLES, RunDir

if TYPE_CHECKING:
    from ptrun.runs.prediction.loaded_model import LoadedModel


@dataclass(frozen=True)
class TrainResult:
    """How a finished run went.

    summary: what summary.json holds.
    value: the best monitored value, or None when there was none.
    """

    run_dir: Path
    summary: Mapping[str, Any]
    value: float | None

    def load(self) -> LoadedModel:
        """The best model of the run, to predict with. Raises CheckpointError for a run that kept no checkpoint."""
        from ptrun.runs.prediction import loaded_model
        from ptrun.runs.trained_model import Changes

        return loaded_model.load(str(self.run_dir), Changes({"train.num_workers": 0}))

    @property
    def model(self) -> nn.Module:
        """The plain network with the weights of the best epoch, in evaluation mode."""
        return self.load().model

    def __repr__(self) -> str:
        best = "" if self.value is None else f", {self.summary['monitor']} {self.value:.4g}"
        test = ", ".join(f"{k} {v:.4g}" for k, v in self.summary["test"].items() if isinstance(v, float))
        return f"TrainResult({self.summary['epochs']} epochs{best}; test: {test}; folder {self.run_dir})"

    def _repr_html_(self) -> str:
        """A table, for notebooks."""
        return html_table([{"metric": name, "test": value} for name, value in self.summary["test"].items()])


def summarize(
    parts: Run,
    progress: Progress,
    run_dir: RunDir,
    document: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What summary.json holds; document: the results on the test split, or None for a run that was not tested."""
    ctx, records = parts.ctx, read_records(run_dir.metrics)
    if document is None:
        document = {"loss": None, "metrics": {}, "task": parts.prepared.spec.task, "num_samples": 0}
    return {
        "verdict": verdict(document, records, ctx.monitor, higher_is_better=ctx.higher_is_better),
        "model": parts.config.model.name,
        "dataset": parts.config.dataset.name,
        "seed": parts.config.seed,
        "epochs": progress.epochs_begun,
        "steps": progress.step,
        "stopped": progress.stopped,
        "skipped_steps": progress.skipped + progress.overflowed,
        "rollbacks": progress.rollbacks,
        "batch_parts": progress.batch_parts,
        "bad_samples": len(run_dir.read_json(BAD_SAMPLES)),
        "best_epoch": progress.best_epoch,
        "monitor": ctx.monitor,
        "best_value": progress.best_value,
        "higher_is_better": ctx.higher_is_better,
        "test": {"loss": document["loss"], **document["metrics"]} if document["num_samples"] else {},
        "parameters": sum(p.numel() for p in ctx.model.parameters()),
        "training_seconds": progress.seconds,
        "time_percent": ctx.times.shares(),
        "peak_memory_bytes": ctx.runtime.peak_memory_bytes(),
    }


def decision_records(parts: Run) -> list[dict[str, str]]:
    """What the program decided by itself, as the receipt holds it."""
    return [{"setting": setting, "requested": requested, "used": used} for setting, requested, used in parts.decisions]
