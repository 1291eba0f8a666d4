"""What a checkpoint is, in plain values: on what it was trained, with which result, and how it is used.

The file alone says most of it. Sizes of the splits and results on the test split come from the run folder around it, or
from what `ptrun publish` wrote into the file.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ptrun.build.description import longer_training, predict_command, stored_facts
from ptrun.checkpoint import store
from ptrun.checkpoint.state import evaluated_weights
from ptrun.errors import ConfigError
from ptrun.reports.evaluation import METRICS_FILE
from ptrun.runs.find import find_checkpoint, read_leniently
from ptrun.runs.folder import RECEIPT, SPLITS, STATUS, SUMMARY, RunDir, redact, redact_command
from ptrun.runs.trained_model import Changes, restore_config

ABOUT = "about"  # the key of a published checkpoint for what its run folder said
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")


def describe(checkpoint: str) -> dict[str, Any]:
    """Describe a checkpoint file, a run folder's best checkpoint, or that of a sweep's best run.

    Raises CheckpointError for a file that is absent, damaged or not a checkpoint.
    """
    path, notes = find_checkpoint(checkpoint)
    content = store.load(path)
    run_dir, about = run_around(path), about_run(path, content)
    facts = stored_facts(redact(content["config"]))
    return {
        "checkpoint": str(path),
        "bytes": path.stat().st_size,
        "published": ABOUT in content,
        "notes": list(notes),
        "model": _model(content, facts["model"]),
        "data": {**_data(content, facts["data"]), "splits": about.get("splits")},
        "training": _training(content, facts["training"], about),
        "test": about.get("test"),
        "tested_epoch": about.get("tested_epoch"),
        "verdict": about.get("verdict"),
        "run": None if run_dir is None else {"folder": str(run_dir.path), "state": about.get("state")},
        "versions": dict(content.get("versions", {})),
        "use": _use(content, path, run_dir),
    }


def run_around(path: Path) -> RunDir | None:
    """The run folder that a checkpoint lies in; None when it was moved elsewhere."""
    run_dir = RunDir(path.resolve().parent.parent)
    return run_dir if run_dir.is_run() and run_dir.checkpoints.resolve() == path.resolve().parent else None


def about_run(path: Path, content: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of the run of a checkpoint: its start, the sizes of its splits, and test results if it has any.

    content: of the checkpoint. Says what the run folder around it says; elsewhere what `ptrun publish` wrote into the
    file, which may be nothing. A run tests the weights of its best epoch, or the last ones where none was best.
    """
    run_dir = run_around(path)
    if run_dir is None:
        return dict(content.get(ABOUT) or {})
    receipt, status, summary, splits = (
        read_leniently(run_dir.path, name) for name in (RECEIPT, STATUS, SUMMARY, SPLITS)
    )
    best_epoch = summary.get("best_epoch") or summary.get("epochs")
    tested_epoch = best_epoch if summary.get("test") else None
    is_tested = tested_epoch is not None and _has_tested_weights(content["progress"], summary)
    return {
        "started": receipt.get("started"),
        "command": redact_command(receipt.get("command", "")),
        "packages": receipt.get("packages"),
        "git": receipt.get("git"),
        "data": receipt.get("data"),
        "state": status.get("state"),
        "splits": splits.get("sizes"),
        "split_method": splits.get("method"),
        "seconds": summary.get("training_seconds"),
        "test": (read_leniently(run_dir.test, METRICS_FILE) or None) if is_tested else None,
        "tested_epoch": tested_epoch,
        "verdict": summary.get("verdict") if is_tested else None,
    }


def _has_tested_weights(progress: Mapping[str, Any], summary: Mapping[str, Any]) -> bool:
    """Whether a checkpoint with this progress holds the weights that a run with this summary tested at its end."""
    best_epoch = summary.get("best_epoch")
    if not best_epoch:
        return bool(progress["step"] == summary.get("steps"))
    if "best_step" in progress:  # the best weights may be of a validation within an epoch
        return bool(progress["best_epoch"] == best_epoch and progress["step"] == progress["best_step"])
    return bool(progress["epoch"] == best_epoch and not progress.get("batch"))


def _model(content: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    weights = evaluated_weights(content)
    return {
        **facts,
        "parameters": sum(t.numel() for name, t in weights.items() if not name.endswith(_STATISTICS)),
        "averaged": content.get("ema") is not None,
    }


def _data(content: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    spec, fitted = content["spec"], content["fitted"].get("dataset") or {}
    return {
        **facts,
        "layout": spec["layout"],
        "task": spec["task"],
        "input_shape": list(spec["input_shape"]),
        "columns": _columns(fitted.get("columns")) or list(spec.get("feature_names", ())),
        "classes": list(spec["class_names"]),
        "class_counts": content["fitted"].get("class_counts"),
        "targets": list(spec["target_names"]),
        "horizon": spec.get("horizon", 0),
        "has_interval": bool(content.get("interval")),
        "fingerprints": dict(content["data"]),
    }


def _columns(columns: Any) -> list[str]:
    """Names of the columns of a table as its file has them; the model sees a category as several features."""
    named = isinstance(columns, list) and all(isinstance(column, Mapping) and "name" in column for column in columns)
    return [str(column["name"]) for column in columns] if named else []


def _training(content: Mapping[str, Any], facts: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    progress = content["progress"]
    return {
        **facts,
        "started": about.get("started"),
        "command": about.get("command"),
        "epoch": progress["epoch"],
        "step": progress["step"],
        "best_value": progress.get("best_value"),
        "best_epoch": progress.get("best_epoch"),
        "device": content.get("device"),
    }


def _use(content: Mapping[str, Any], path: Path, run_dir: RunDir | None) -> dict[str, str]:
    """Verb → a command that works as it stands."""
    file = shlex.quote(str(path))
    commands = {
        "eval": f"ptrun eval checkpoint={file}",
        "predict": f"ptrun predict checkpoint={file} --help",
        "export": f"ptrun export checkpoint={file} format=onnx",
    }
    try:
        predict = predict_command(restore_config(content, path, Changes()).to_dict()["dataset"], path)
        commands["predict"] = predict or commands["predict"]
    except ConfigError:  # a plugin's component: only the user may name its file
        commands = {verb: f"{command} plugins=[FILE.py]" for verb, command in commands.items()}
    if run_dir is not None:
        done = read_leniently(run_dir.path, STATUS).get("state") == "done"
        longer = f" {longer_training(content['config'])}" if done else ""
        commands["resume"] = f"{run_dir.resume_command}{longer}"
        commands["publish"] = f"ptrun publish checkpoint={file} model.pt"
    return commands
