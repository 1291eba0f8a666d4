"""Which run does the user mean?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ptrun.checkpoint import store
from ptrun.checkpoint.store import absent
from ptrun.errors import CheckpointError, join_words
from ptrun.files import lock
from ptrun.runs.folder import RunDir


def find_run(given: str | None, output_dir: str) -> Path:
    """The run folder that a user means: a run folder, a checkpoint in it, or the newest unfinished one. Raises CheckpointError."""
    if given is None:
        newest = next(unfinished(output_dir), None)
        if newest is None:
            hint = (
                "Name a run to continue it: ptrun resume RUN train.epochs=40."
                if Path(output_dir).expanduser().exists()
                else "Nothing was trained here yet: `ptrun train` starts a run."
            )
            raise CheckpointError(f"{Path(output_dir).resolve()}: no run there is unfinished. {hint}")
        return newest
    path = Path(given).expanduser().resolve()
    folder = path.parent.parent if path.is_file() else path
    if not path.exists() and path.name == "latest":
        raise store.absent(Path(given))
    refuse_sweep(folder)
    if not (folder / "status.json").is_file():
        gone = "" if path.exists() else " There is no such file or folder."
        raise CheckpointError(f"{path}: this is no run folder, nor a checkpoint in one.{gone}")
    return folder


def unfinished(output_dir: str) -> Iterator[Path]:
    """Folders of training runs that are neither done nor still running, newest first."""
    folders = {path.parent.resolve() for path in Path(output_dir).expanduser().glob("*/*/status.json")}
    for folder in sorted(folders, key=lambda path: (path / "status.json").stat().st_mtime, reverse=True):
        if (folder / "resolved.yaml").is_file() and not _is_done(folder) and not lock.is_locked(folder):
            yield folder


def _is_done(folder: Path) -> bool:
    """A run whose status can't be read is taken for unfinished: continuing one that is done does it no harm."""
    try:
        return bool(RunDir(folder).read_json("status.json").get("state") == "done")
    except CheckpointError:
        return False


def find_checkpoint(given: str) -> Path:
    """Return the file that a user means: a checkpoint file, or a run folder (its best, else its last one)."""
    path = Path(given).expanduser()
    if path.is_dir():
        for candidate in (
            path / "checkpoints" / "best.pt",
            path / "checkpoints" / "last.pt",
            path / "best.pt",
            path / "last.pt",
        ):
            if candidate.is_file():
                return candidate
        raise CheckpointError(
            f"{path}: this folder holds no checkpoint (looked for checkpoints/best.pt and checkpoints/last.pt)."
        )
    if not path.is_file():
        raise absent(path)
    return path


def gather(folder: Path) -> list[dict[str, Any]]:
    """One row for each job folder, best first; jobs without a result last."""
    rows = [_row(path) for path in sorted(folder.iterdir(), key=_job_number) if (path / "status.json").is_file()]
    values = [row for row in rows if row["value"] is not None]
    higher = bool(values) and values[0]["higher_is_better"]
    values.sort(key=lambda row: -row["value"] if higher else row["value"])
    return [*values, *(row for row in rows if row["value"] is None)]


def runs_of(folder: Path) -> list[Path]:
    """The run folders of a sweep's folder, best first; none when it is the folder of something else."""
    return [folder / row["job"] for row in gather(folder)] if (folder / "multirun.yaml").is_file() else []


def refuse_sweep(folder: Path) -> None:
    """Raise CheckpointError naming the runs of a sweep where one run is needed."""
    runs = runs_of(folder)
    if runs:
        raise CheckpointError(
            f"{folder}: this is a sweep of {len(runs)} runs. Name one of them, best first: {join_words(map(str, runs), 8)}."
        )


def _row(folder: Path) -> dict[str, Any]:
    receipt, status, summary = (_read(folder / name) for name in ("receipt.json", "status.json", "summary.json"))
    return {
        "job": folder.name,
        "overrides": receipt.get("overrides", []),
        "state": status.get("state", "unknown"),
        "reason": status.get("reason", ""),
        "monitor": summary.get("monitor", ""),
        "value": summary.get("best_value"),
        "higher_is_better": summary.get("higher_is_better", False),
        "test": summary.get("test", {}),
        "seconds": summary.get("training_seconds"),
    }


def _job_number(path: Path) -> tuple[int, str]:
    return (int(path.name), "") if path.name.isdigit() else (1 << 30, path.name)


def _read(path: Path) -> dict[str, Any]:
    """A file of a run; nothing when there is none, or when it is damaged (which `ptrun verify` tells)."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return values if isinstance(values, dict) else {}
