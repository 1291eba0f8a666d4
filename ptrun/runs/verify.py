"""`ptrun verify PATH`: reports for every file of a checkpoint or of a run folder whether it is damaged.

It only reads, and nothing that a file names is run.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from ptrun.build.model import build_model
from ptrun.checkpoint import names, state, store
from ptrun.config.run_config import RunConfig
from ptrun.config.stored import changed_config
from ptrun.engine.nonfinite import first_nonfinite, learned_tensors
from ptrun.errors import CheckpointError, ConfigError
from ptrun.loggers.logger import Record
from ptrun.loggers.records import as_csv, read_intact
from ptrun.plugins import REGISTRIES
from ptrun.runs.find import is_at_work, sweep_runs
from ptrun.runs.folder import CHECKPOINTS, CONFIG, METRICS, METRICS_CSV, RECEIPT, RESOLVED, STATUS, SUMMARY, RunDir
from ptrun.spec import DataSpec

_STATES = ("running", "done", "failed", "pruned", "interrupted")
_RECEIPT_KEYS = ("command", "started", "ptrun", "packages", "hardware", "data")


class Damage(Exception):
    """A file is not as it was written; the text says how that shows."""


@dataclass(frozen=True)
class Finding:
    """One line of the report: the name of a file, what it holds, and its damage ("" for none)."""

    name: str
    content: str
    damage: str = ""


def run(paths: Sequence[str], plugins: Sequence[str] = (), folders: tuple[Path, ...] = ()) -> int:
    """Verify files and run folders and print a line for each file in them. Returns 0, or 4 when one is damaged.

    Raises CheckpointError for a path that is neither.
    """
    damaged = 0
    for path in paths:
        for finding in findings(Path(path).expanduser(), plugins, folders):
            damaged += bool(finding.damage)
            print(f"{'DAMAGED' if finding.damage else 'ok':<8} {finding.name}: {finding.damage or finding.content}")
    return CheckpointError.exit_code if damaged else 0


def findings(path: Path, plugins: Sequence[str], folders: tuple[Path, ...]) -> Iterator[Finding]:
    """One finding for a checkpoint file; one for each file of a run folder or of the runs of a sweep.

    Raises CheckpointError when the path is none of these.
    """
    if path.is_file():
        yield _finding(str(path), partial(check_checkpoint, path, plugins, folders))
        return
    if not path.exists():
        raise names.not_found_error(path)
    run_dir = RunDir(path.resolve())
    for run_path in sweep_runs(path):
        for finding in findings(run_path, plugins, folders):
            yield replace(finding, name=f"{run_path.name}/{finding.name}")
    if run_dir.is_sweep():
        return
    if not run_dir.is_run():
        raise CheckpointError(f"{path}: this is neither a checkpoint file nor the folder of a training run.")
    if _has_not_begun(run_dir):
        yield _finding(STATUS, partial(_check_status, run_dir))
        return
    yield from _checkpoint_findings(run_dir, plugins, folders)
    for name, check in _CHECKS.items():
        yield _finding(name, partial(check, run_dir))


def _has_not_begun(run_dir: RunDir) -> bool:
    """Whether a job of a sweep ended before it was a run: it failed early, or was pruned with another one."""
    files = (CONFIG, RESOLVED, RECEIPT, CHECKPOINTS)
    return RunDir(run_dir.path.parent).is_sweep() and not any((run_dir.path / name).exists() for name in files)


def _finding(name: str, check: Callable[[], str]) -> Finding:
    """Call a check, which returns what the file holds or raises; every error means damage."""
    try:
        return Finding(name, check())
    except FileNotFoundError:
        return Finding(name, "", "it is missing.")
    except (KeyError, TypeError, AttributeError) as error:
        return Finding(name, "", f"a part of it is missing or of the wrong kind ({error!r}).")
    except (Damage, CheckpointError, ValueError, yaml.YAMLError) as error:
        return Finding(name, "", " ".join(str(error).split()))


def _checkpoint_findings(run_dir: RunDir, plugins: Sequence[str], folders: tuple[Path, ...]) -> Iterator[Finding]:
    """Check every checkpoint of a run; a file that has two names is read once."""
    findings_by_inode: dict[int, Finding] = {}
    paths = [*names.step_files(run_dir.checkpoints), *(run_dir.checkpoints / name for name in names.POINTERS)]
    for path in [path for path in paths if path.is_file()]:
        name = str(path.relative_to(run_dir.path))
        inode = path.stat().st_ino
        first = findings_by_inode.get(inode) if inode else None
        if first is not None:
            same = f"the same file as {Path(first.name).name}."
            yield Finding(name, same, same if first.damage else "")
            continue
        finding = _finding(name, partial(check_checkpoint, path, plugins, folders))
        if finding.damage and not path.is_file():  # a run that is under way removes its older ones
            continue
        findings_by_inode[inode] = finding
        yield finding
    if not findings_by_inode:
        yield _finding(CHECKPOINTS, partial(_check_that_none_is_right, run_dir))


def _check_that_none_is_right(run_dir: RunDir) -> str:
    if run_dir.is_done() and run_dir.read_config()["checkpoint"]["name"] != "none":
        raise Damage("there are none, although the run is done and its configuration saves some.")
    return "none was saved."


def check_checkpoint(path: Path, plugins: Sequence[str] = (), folders: tuple[Path, ...] = ()) -> str:
    """Compare all checksums, load the file as data only, and compare its weights with the model it declares.

    Returns a description. Raises Damage.
    """
    try:
        saved = store.load(path)
    except CheckpointError as error:
        raise Damage(str(error).removeprefix(f"{path}: ")) from error
    comparison = _compare_with_model(saved, plugins, folders)
    progress = saved["progress"]
    mebibytes = path.stat().st_size / 2**20
    return f"epoch {progress.get('epoch')}, step {progress.get('step')}, {mebibytes:.1f} MiB, {comparison}."


def _compare_with_model(saved: Mapping[str, Any], plugins: Sequence[str], folders: tuple[Path, ...]) -> str:
    """Compare names, shapes and values of the weights with the model of the stored configuration. Raises Damage."""
    values = {**saved["config"], "plugins": list(plugins)}
    try:
        config = changed_config(values, {}, (), REGISTRIES, folders)
    except ConfigError as error:
        return f"sizes not compared with its model ({error.problems[0]})"
    except (KeyError, TypeError) as error:
        raise Damage(f"its configuration is not whole ({error!r} is missing).") from error
    model = _declared_model(config, DataSpec.from_dict(saved["spec"]))
    weights = state.evaluated_weights(saved)
    _compare_shapes(model, weights, config.model.name)
    nonfinite = first_nonfinite({name: weights[name] for name in learned_tensors(model) if name in weights})
    if nonfinite:
        raise Damage(f"its weights '{nonfinite}' are non-finite.")
    return f"{len(weights)} tensors fit model '{config.model.name}'"


def _compare_shapes(model: nn.Module, weights: Mapping[str, Any], model_name: str) -> None:
    expected, saved = (
        {name: list(tensor.shape) for name, tensor in tensors.items()} for tensors in (model.state_dict(), weights)
    )
    for name in [*expected, *saved]:
        if expected.get(name) != saved.get(name):
            raise Damage(
                f"its weights don't fit the model '{model_name}' that it declares: "
                f"'{name}' is {saved.get(name, 'absent')}, expected {expected.get(name, 'none')}."
            )


def _declared_model(config: RunConfig, spec: DataSpec) -> nn.Module:
    """The model that a checkpoint declares, made on the meta device, which takes no memory and no time."""
    try:
        with torch.device("meta"):
            return build_model(config, spec, restoring=True)
    except (NotImplementedError, ConfigError):  # a model that computes with its initial values
        return build_model(config, spec, restoring=True)


def _check_configuration(run_dir: RunDir) -> str:
    for name in (CONFIG, RESOLVED):
        values = yaml.safe_load(_read_text(run_dir, name))
        if not isinstance(values, dict) or "model" not in values:
            raise Damage(f"{name} holds no configuration.")
    return "both can be read."


def _check_receipt(run_dir: RunDir) -> str:
    receipt = json.loads(_read_text(run_dir, RECEIPT))
    missing = [key for key in _RECEIPT_KEYS if key not in receipt]
    # The data are added once they were read, so a run that ended before has a whole receipt without them.
    if missing and (missing != ["data"] or run_dir.is_done()):
        raise Damage(f"it lacks {', '.join(missing)}.")
    return f"{receipt['command']}, started {receipt['started']}."


def _check_status(run_dir: RunDir) -> str:
    status = json.loads(_read_text(run_dir, STATUS))
    if status.get("state") not in _STATES:
        raise Damage(f"the state is {status.get('state')!r}, expected one of {', '.join(_STATES)}.")
    if status["state"] == "running" and not is_at_work(run_dir.path):
        return "running, but no process holds it: it was killed. `ptrun resume` continues it."
    return f"{status['state']}."


def _check_metrics(run_dir: RunDir) -> str:
    """Check that there is one record for each epoch from the first on. Raises Damage."""
    records = _records(run_dir)
    for number, record in enumerate(records, start=1):
        if record.get("epoch") != number:
            raise Damage(f"line {number} is of epoch {record.get('epoch')}, expected {number}.")
    steps = [record["step"] for record in records]
    if any(later <= earlier for earlier, later in itertools.pairwise(steps)):
        raise Damage("the steps do not increase from line to line.")
    summary = run_dir.read_json(SUMMARY) if run_dir.is_done() else {}
    if summary and summary["epochs"] != len(records):
        raise Damage(f"it has {len(records)} lines, but {SUMMARY} says {summary['epochs']} epochs.")
    return f"{len(records)} epochs, without a gap."


def _check_metrics_csv(run_dir: RunDir) -> str:
    records = _records(run_dir)
    if not records and not (run_dir.path / METRICS_CSV).is_file():
        return "none yet, no epoch is done."
    expected, lines = as_csv(records).splitlines(), _read_text(run_dir, METRICS_CSV).splitlines()
    for number, (expected_line, line) in enumerate(zip(expected, lines, strict=False), start=1):
        if expected_line != line:
            raise Damage(f"line {number} differs from {METRICS}.")
    if len(expected) != len(lines):
        raise Damage(f"it has {len(lines)} lines, expected {len(expected)} of {METRICS}. `ptrun resume` repairs it.")
    return f"the same values as {METRICS}."


def _check_summary(run_dir: RunDir) -> str:
    if not run_dir.is_done():
        return "none yet, the run is not done."
    summary = json.loads(_read_text(run_dir, SUMMARY))
    return f"{summary['epochs']} epochs, {summary['steps']} steps."


def _records(run_dir: RunDir) -> list[Record]:
    """The records of all epochs; none for a run that did not finish one. Raises ValueError when the file is damaged."""
    if not run_dir.metrics.is_file() and not run_dir.is_done():
        return []
    return read_intact(run_dir.metrics)


def _read_text(run_dir: RunDir, name: str) -> str:
    return (run_dir.path / name).read_text(encoding="utf-8")


_CHECKS: Mapping[str, Callable[[RunDir], str]] = {
    f"{CONFIG}, {RESOLVED}": _check_configuration,
    RECEIPT: _check_receipt,
    STATUS: _check_status,
    METRICS: _check_metrics,
    METRICS_CSV: _check_metrics_csv,
    SUMMARY: _check_summary,
}
