"""`ptrun verify PATH`: is a checkpoint, or a whole run folder, undamaged? One line a thing.

Invariant: reads only; nothing in a file is believed before its checksums were compared, and no file can name code to run.
"""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

from ptrun.build.model import build_model
from ptrun.checkpoint import state, store
from ptrun.config import check as configuration
from ptrun.config.run_config import RunConfig
from ptrun.config.stored import require_plugins
from ptrun.engine.nonfinite import first_nonfinite, learned
from ptrun.errors import CheckpointError, ConfigError
from ptrun.files import lock
from ptrun.loggers.records import as_csv
from ptrun.plugins import REGISTRIES
from ptrun.runs.find import runs_of
from ptrun.runs.folder import RunDir
from ptrun.spec import DataSpec

_STATES = ("running", "done", "failed", "interrupted")
_RECEIPT = ("command", "started", "ptrun", "packages", "hardware", "data")


class Damage(Exception):
    """A thing is not as it was written; the text says how that shows."""


@dataclass(frozen=True)
class Finding:
    """One line of the report: a thing, what it holds, and its damage ("" for none)."""

    name: str
    facts: str
    damage: str = ""


def run(paths: Sequence[str], plugins: Sequence[str] = (), folders: tuple[Path, ...] = ()) -> int:
    """Verify files and run folders and print a line for each thing in them. Returns 0, or 4 when one is damaged.

    Raises CheckpointError for a path that is neither.
    """
    damaged = 0
    for given in paths:
        for finding in findings(Path(given).expanduser(), plugins, folders):
            damaged += bool(finding.damage)
            print(f"{'DAMAGED' if finding.damage else 'ok':<8} {finding.name}: {finding.damage or finding.facts}")
    return CheckpointError.exit_code if damaged else 0


def findings(path: Path, plugins: Sequence[str], folders: tuple[Path, ...]) -> Iterator[Finding]:
    """What is found in a checkpoint file or a run folder. Raises CheckpointError when it is neither."""
    if path.is_file():
        yield _finding(str(path), lambda: check_checkpoint(path, plugins, folders))
        return
    if not path.exists():
        raise store.absent(path)
    for run in runs_of(path):
        for found in findings(run, plugins, folders):
            yield replace(found, name=f"{run.name}/{found.name}")
    if (path / "multirun.yaml").is_file():
        return
    run_dir = RunDir(path.resolve())
    if not (run_dir.path / "status.json").is_file():
        raise CheckpointError(f"{path}: this is neither a checkpoint file nor the folder of a training run.")
    yield from _checkpoints(run_dir, plugins, folders)
    for name, check in _RUN_FILES.items():
        yield _finding(name, lambda check=check: check(run_dir))  # type: ignore[misc]


def _finding(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, check())
    except FileNotFoundError:
        return Finding(name, "", "it is missing.")
    except (KeyError, TypeError, AttributeError) as error:
        return Finding(name, "", f"it is not whole ({error!r}).")
    except (Damage, CheckpointError, ValueError, yaml.YAMLError) as error:
        return Finding(name, "", " ".join(str(error).split()))


def _checkpoints(run_dir: RunDir, plugins: Sequence[str], folders: tuple[Path, ...]) -> Iterator[Finding]:
    """Every checkpoint of a run; two names of one file are read once."""
    seen: dict[int, tuple[str, bool]] = {}  # name, and whether it is damaged
    for path in [*store.steps(run_dir.checkpoints), *(run_dir.checkpoints / name for name in store.POINTERS)]:
        name = str(path.relative_to(run_dir.path))
        if not path.is_file():
            continue
        inode = path.stat().st_ino
        if inode and inode in seen:
            same, damaged = seen[inode]
            yield Finding(name, f"the same file as {same}.", f"the same file as {same}." if damaged else "")
            continue
        found = _finding(name, lambda path=path: check_checkpoint(path, plugins, folders))  # type: ignore[misc]
        if found.damage and not path.is_file():  # a run that goes on removes its older ones
            continue
        seen[inode] = path.name, bool(found.damage)
        yield found
    if not seen:
        yield _finding("checkpoints", lambda: _none_saved(run_dir))


def _none_saved(run_dir: RunDir) -> str:
    done = run_dir.read_json("status.json").get("state") == "done"
    if done and run_dir.read_config()["checkpoint"]["name"] != "none":
        raise Damage("there is none, though the run is done and was to save some.")
    return "none was saved."


def check_checkpoint(path: Path, plugins: Sequence[str] = (), folders: tuple[Path, ...] = ()) -> str:
    """Compare all checksums, load as data only, and compare names, shapes and values with the declared model. Raises Damage."""
    try:
        saved = store.load(path)
    except CheckpointError as error:
        raise Damage(str(error).removeprefix(f"{path}: ")) from error
    sizes = _compare_model(saved, plugins, folders)
    progress = saved["progress"]
    size = path.stat().st_size / 2**20
    return f"epoch {progress.get('epoch')}, step {progress.get('step')}, {size:.1f} MiB, {sizes}."


def _compare_model(saved: Mapping[str, Any], plugins: Sequence[str], folders: tuple[Path, ...]) -> str:
    """Hold the names, shapes and values of the weights against the model that the configuration declares. Raises Damage."""
    values = {**copy.deepcopy(saved["config"]), "plugins": list(plugins)}
    try:
        require_plugins(values, REGISTRIES, folders)
        config = configuration.check(values, folders, REGISTRIES)
    except ConfigError as error:
        return f"sizes not compared with its model ({error.problems[0]})"
    except (KeyError, TypeError) as error:
        raise Damage(f"its configuration is not whole ({error!r} is missing).") from error
    model = _declared(config, DataSpec.from_dict(saved["spec"]))
    weights = state.evaluated_weights(saved)
    expected, found = (
        {name: list(each.shape) for name, each in named.items()} for named in (model.state_dict(), weights)
    )
    for name in [*expected, *found]:
        if expected.get(name) != found.get(name):
            raise Damage(
                f"its weights don't fit the model '{config.model.name}' that it declares: '{name}' is {found.get(name, 'absent')}, expected {expected.get(name, 'none')}."
            )
    wrong = first_nonfinite({name: weights[name] for name in learned(model) if name in weights})
    if wrong:
        raise Damage(f"its weights '{wrong}' are no finite numbers.")
    return f"{len(found)} tensors fit model '{config.model.name}'"


def _declared(config: RunConfig, spec: DataSpec) -> nn.Module:
    """The model that a checkpoint says it is of: made without memory where the model allows that."""
    try:
        with torch.device("meta"):
            return build_model(config, spec, restoring=True)
    except (NotImplementedError, ConfigError):  # a model that computes with its first values
        return build_model(config, spec, restoring=True)


def _status(run_dir: RunDir) -> str:
    status = json.loads(_text(run_dir, "status.json"))
    if status.get("state") not in _STATES:
        raise Damage(f"the state is {status.get('state')!r}, expected one of {', '.join(_STATES)}.")
    if status["state"] == "running" and not lock.is_locked(run_dir.path):
        return "running, but no process holds it: it was killed. `ptrun resume` continues it."
    return f"{status['state']}."


def _receipt(run_dir: RunDir) -> str:
    receipt = json.loads(_text(run_dir, "receipt.json"))
    missing = [key for key in _RECEIPT if key not in receipt]
    if missing and (missing != ["data"] or _is_done(run_dir)):
        raise Damage(f"it lacks {', '.join(missing)}.")
    return f"{receipt['command']}, started {receipt['started']}."


def _configuration(run_dir: RunDir) -> str:
    for name in ("config.yaml", "resolved.yaml"):
        values = yaml.safe_load(_text(run_dir, name))
        if not isinstance(values, dict) or "model" not in values:
            raise Damage(f"{name} holds no configuration.")
    return "both can be read."


def _metrics(run_dir: RunDir) -> str:
    """`metrics.jsonl`: whole lines, one for each epoch from the first on. Raises Damage."""
    records = _records(run_dir)
    for number, record in enumerate(records, start=1):
        if record.get("epoch") != number:
            raise Damage(f"line {number} is of epoch {record.get('epoch')}, expected {number}.")
    steps = [record["step"] for record in records]
    if any(after <= before for before, after in itertools.pairwise(steps)):
        raise Damage("the steps do not increase from line to line.")
    summary = run_dir.read_json("summary.json") if _is_done(run_dir) else {}
    if summary and summary["epochs"] != len(records):
        raise Damage(f"it has {len(records)} lines, but summary.json tells of {summary['epochs']} epochs.")
    return f"{len(records)} epochs, without a gap."


def _csv(run_dir: RunDir) -> str:
    """`metrics.csv` is `metrics.jsonl` in another form. Raises Damage."""
    records = _records(run_dir)
    want, have = as_csv(records).splitlines(), _text(run_dir, "metrics.csv").splitlines()
    for number, (expected, line) in enumerate(zip(want, have, strict=False), start=1):
        if expected != line:
            raise Damage(f"line {number} differs from metrics.jsonl.")
    if len(want) != len(have):
        raise Damage(f"it has {len(have)} lines, expected {len(want)} of metrics.jsonl. `ptrun resume` mends it.")
    return "the same values as metrics.jsonl."


def _summary(run_dir: RunDir) -> str:
    if not _is_done(run_dir):
        return "none yet, the run is not done."
    summary = json.loads(_text(run_dir, "summary.json"))
    return f"{summary['epochs']} epochs, {summary['steps']} steps."


def _records(run_dir: RunDir) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl; none for a run that did not finish an epoch. Raises Damage."""
    if not (run_dir.path / "metrics.jsonl").is_file() and not _is_done(run_dir):
        return []
    records = []
    text = _text(run_dir, "metrics.jsonl")
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            record = json.loads(line)
        except ValueError:
            record = None
        if not isinstance(record, dict) or "step" not in record:
            raise Damage(f"line {number} is no record. `ptrun resume` mends a last line that was cut off.")
        records.append(record)
    if text and not text.endswith("\n"):
        raise Damage("its last line is cut off. `ptrun resume` mends it.")
    return records


def _is_done(run_dir: RunDir) -> bool:
    return bool(run_dir.read_json("status.json").get("state") == "done")


def _text(run_dir: RunDir, name: str) -> str:
    return (run_dir.path / name).read_text(encoding="utf-8")


_RUN_FILES: Mapping[str, Callable[[RunDir], str]] = {
    "config.yaml, resolved.yaml": _configuration,
    "receipt.json": _receipt,
    "status.json": _status,
    "metrics.jsonl": _metrics,
    "metrics.csv": _csv,
    "summary.json": _summary,
}
