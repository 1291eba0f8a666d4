"""Finds the run or the checkpoint that a user means by a path, or by none."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ptrun.checkpoint.names import BEST, LAST, not_found_error
from ptrun.errors import CheckpointError, join_words
from ptrun.files import lock
from ptrun.files.claim import holder
from ptrun.runs.configurations import configurations
from ptrun.runs.folder import CHECKPOINTS, CLAIM, LATEST, RECEIPT, RESOLVED, STATUS, SUMMARY, SWEEP_PLAN, RunDir


def find_run(text: str | None, output_dir: str) -> Path:
    """The run folder that a user means: a run folder, a checkpoint in one, or for None the newest unfinished one.

    Raises CheckpointError when there is none, and for a sweep, whose runs it names.
    """
    if text is None:
        return _newest_unfinished(output_dir)
    path = Path(text).expanduser().resolve()
    folder = path.parent.parent if path.is_file() else path
    if not path.exists() and path.name == LATEST:
        raise not_found_error(Path(text))
    _refuse_sweep(folder)
    if not RunDir(folder).is_run():
        missing = "" if path.exists() else " There is no such file or folder."
        raise CheckpointError(f"{path}: this is neither a run folder nor a checkpoint in one.{missing}")
    return folder


def find_checkpoint(text: str) -> tuple[Path, tuple[str, ...]]:
    """The checkpoint file that a user means, and notes on how it was chosen.

    A run folder means its best checkpoint, or the last one if there is no best; a sweep means its best run.
    Raises CheckpointError, with the reason why the run ended where its folder gives one.
    """
    path = Path(text).expanduser()
    folder, note = best_of_sweep(path)
    try:
        checkpoint = _checkpoint_of(folder)
    except CheckpointError as error:
        reason = RunDir(folder).read_json(STATUS).get("reason")
        raise CheckpointError(f"{error} That run ended with: {reason}" if reason else str(error)) from error
    return checkpoint, (note,) if note else ()


def best_of_sweep(path: Path) -> tuple[Path, str]:
    """The best run of a sweep's best configuration, and a note on the choice; any other path as it is."""
    rows = sweep_rows(path) if RunDir(path).is_sweep() else []
    if not rows:
        return path, ""
    ranking = configurations(rows)
    if not ranking or not ranking[0].jobs:
        return path / rows[0]["job"], f"The best of the {len(rows)} runs of this sweep."
    best = ranking[0]
    mean = f"mean {best.monitor} {best.mean:.4g} over {len(best.jobs)} runs"
    return path / best.jobs[0], f"The best run of the best configuration of this sweep, {best.settings} ({mean})."


def unfinished_runs(output_dir: str) -> Iterator[Path]:
    """Folders of training runs that are neither done nor still running, newest first."""
    statuses = {path.parent.resolve() / STATUS for path in Path(output_dir).expanduser().glob(f"*/*/{STATUS}")}
    for folder in _newest_first(statuses):
        # The folder of an evaluation has no resolved configuration.
        if (folder / RESOLVED).is_file() and not has_ended(folder) and not is_at_work(folder):
            yield folder


def sweep_runs(folder: Path) -> list[Path]:
    """The run folders of a sweep's folder, best first; none for any other folder."""
    return [folder / row["job"] for row in sweep_rows(folder)] if RunDir(folder).is_sweep() else []


def sweep_rows(folder: Path) -> list[dict[str, Any]]:
    """One row for each run of a sweep, best first; runs without a result last. Different metrics are not compared."""
    rows = [run_row(path) for path in sorted(folder.iterdir(), key=_job_number) if RunDir(path).is_run()]
    finished = [row for row in rows if row["value"] is not None]
    monitors = list(dict.fromkeys(row["monitor"] for row in finished))
    finished.sort(
        key=lambda row: (
            monitors.index(row["monitor"]),
            -row["value"] if row["higher_is_better"] else row["value"],
        )
    )
    return [*finished, *(row for row in rows if row["value"] is None)]


def has_ended(folder: Path) -> bool:
    """Whether a run is done, or was pruned: it trains on only when a user or a sweep wants it to."""
    return read_leniently(folder, STATUS).get("state") in ("done", "pruned")


def is_at_work(folder: Path) -> bool:
    """Whether a process trains this run now, also one on another machine, where a sweep runs it."""
    # The claim first: a look at the lock holds it for an instant, in which a job that is just starting would fail.
    return bool(holder(folder / CLAIM)) or lock.is_locked(folder)


def is_tested(folder: Path) -> bool:
    """Whether a run was evaluated on the test split."""
    return bool(read_leniently(folder, SUMMARY).get("test"))


def is_done(folder: Path) -> bool:
    """Whether a run is done. One with a damaged status counts as unfinished: continuing a finished run is harmless."""
    return read_leniently(folder, STATUS).get("state") == "done"


def sweeps(output_dir: str) -> Iterator[Path]:
    """The folders of sweeps, that of the newest command first."""
    yield from _newest_first(Path(output_dir).expanduser().glob(f"*/*/{SWEEP_PLAN}"))


def read_plan(sweep: Path) -> dict[str, Any]:
    """What sweep.json holds; empty when it is missing or damaged: the run folders are what counts."""
    return read_leniently(sweep, SWEEP_PLAN)


def find_sweep(text: str | None, output_dir: str) -> Path:
    """The folder of a sweep that a user means, for None the newest one. Raises CheckpointError when there is none."""
    if text is None:
        newest = next(sweeps(output_dir), None)
        if newest is None:
            raise CheckpointError(f"{output_dir}: there is no sweep in this folder. `ptrun train -m ...` starts one.")
        return newest
    path = Path(text).expanduser()
    if not RunDir(path).is_sweep():
        missing = "" if path.exists() else " There is no such folder."
        raise CheckpointError(f"{path}: this is not the folder of a sweep.{missing}")
    return path


def all_runs(output_dir: str) -> list[Path]:
    """The folders of all training runs, those of sweeps included, newest first.

    output_dir: where runs are made, or one of its days, or a sweep.
    """
    base = Path(output_dir).expanduser()
    statuses = [path for pattern in ("*", "*/*", "*/*/*") for path in base.glob(f"{pattern}/{STATUS}")]
    runs = [path for path in statuses if (path.parent / RESOLVED).is_file()]
    return _newest_first(path for path in runs if LATEST not in path.relative_to(base).parts)


def _newest_first(files: Iterable[Path]) -> list[Path]:
    """The folders of these files, that of the file that was written last first."""
    return [path.parent for path in sorted(files, key=lambda path: path.stat().st_mtime, reverse=True)]


def _newest_unfinished(output_dir: str) -> Path:
    newest = next(unfinished_runs(output_dir), None)
    if newest is not None:
        return newest
    hint = (
        "Name a run to continue it: ptrun resume RUN train.epochs=40."
        if Path(output_dir).expanduser().exists()
        else "Nothing was trained here yet: `ptrun train` starts a run."
    )
    raise CheckpointError(f"{Path(output_dir).resolve()}: no run there is unfinished. {hint}")


def _checkpoint_of(path: Path) -> Path:
    """The file itself, or the best or last checkpoint of a run folder or of a folder of checkpoints."""
    if not path.is_dir():
        if path.is_file():
            return path
        raise not_found_error(path)
    for checkpoint in (path / CHECKPOINTS / BEST, path / CHECKPOINTS / LAST, path / BEST, path / LAST):
        if checkpoint.is_file():
            return checkpoint
    raise CheckpointError(
        f"{path}: this folder holds no checkpoint (looked for {CHECKPOINTS}/{BEST} and {CHECKPOINTS}/{LAST})."
    )


def _refuse_sweep(folder: Path) -> None:
    """Raise CheckpointError naming the runs of a sweep where one run is needed."""
    runs = sweep_runs(folder)
    if runs:
        raise CheckpointError(
            f"{folder}: this is a sweep of {len(runs)} runs. Name one of them, best first: "
            f"{join_words(map(str, runs), 8)}."
        )


def run_row(folder: Path) -> dict[str, Any]:
    """State and result of a run for the table of a sweep."""
    receipt, status, summary = (read_leniently(folder, name) for name in (RECEIPT, STATUS, SUMMARY))
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
        "epochs": summary.get("epochs", 0),
    }


def _job_number(path: Path) -> tuple[int, str]:
    return (int(path.name), "") if path.name.isdigit() else (1 << 30, path.name)


def read_leniently(folder: Path, name: str) -> dict[str, Any]:
    """A JSON file of a run or sweep; empty when it is damaged, which `ptrun verify` reports."""
    with contextlib.suppress(CheckpointError, OSError):
        return RunDir(folder).read_json(name)
    return {}
