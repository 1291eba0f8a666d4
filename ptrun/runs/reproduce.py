"""`ptrun reproduce RUN`: the same run again in a new folder, and where the two first differ, bit for bit.

Invariant: the stored configuration is data: it is checked like any other, names no code to run and no place to write to.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ptrun.checkpoint import store
from ptrun.config import check as configuration
from ptrun.config.stored import CHANGEABLE_WHEN_REPRODUCING, apply_changes, require_plugins
from ptrun.errors import CheckpointError
from ptrun.plugins import REGISTRIES
from ptrun.runs import session
from ptrun.runs.find import find_run
from ptrun.runs.folder import RunDir, redact
from ptrun.runs.resume import newest_good, stored_config
from ptrun.terminal.console import Console

# Values of a record that are measured by a clock.
TIMES = ("seconds", "samples_per_second", "data_wait_percent")


@dataclass(frozen=True)
class ReproduceRequest:
    """Which finished run to repeat, and with which changes of place and device (dotted key → value)."""

    run: str
    changes: Mapping[str, Any]
    command: Sequence[str]
    folders: tuple[Path, ...] = ()
    plugins: Sequence[str] = ()
    output_dir: str = "outputs"
    quiet: bool = False


def run(request: ReproduceRequest) -> int:
    """Train again and compare. Returns 0 when all is equal, 1 when not. Raises CheckpointError, ConfigError, and what training raises."""
    first = RunDir(find_run(request.run, request.output_dir))
    state = first.read_json("status.json").get("state")
    if state != "done":
        raise CheckpointError(
            f"{first.path}: this run is not finished ({state}), so there is nothing to compare. `ptrun resume` finishes it."
        )
    values = copy.deepcopy(stored_config(first.path, newest_good(first.path)))
    values.update(plugins=list(request.plugins), output_dir=request.output_dir)
    if "cache" in values["dataset"]:  # where to keep decoded images is for the user to say, not for the run
        values["dataset"].update(cache="none", cache_dir=None)
    apply_changes(values, request.changes, CHANGEABLE_WHEN_REPRODUCING, request.folders)
    require_plugins(values, REGISTRIES, request.folders)
    config = configuration.check(values, request.folders, REGISTRIES)
    console = Console(request.quiet)
    for line in changed_on_the_way(first):  # before the work, which may take long, as well as after it
        console.note(line)
    asked = redact(config.to_dict())
    again = session.run(session.TrainRequest(config, asked, (), request.command, request.folders, quiet=request.quiet))
    return _report(first, RunDir(again.run_dir), console)


def _report(first: RunDir, again: RunDir, console: Console) -> int:
    surroundings = list(different_surroundings(first, again))
    found = [problem for problem in (first_difference(first, again), weights_difference(first, again)) if problem]
    console.text()
    console.header(
        [("run", str(first.path)), ("again", str(again.path))], "Reproduced" if not found else "Not reproduced"
    )
    for line in found:
        console.warn(line)
    if not found:
        weights = "and every weight" if store.steps(first.checkpoints) else "(no weights were saved)"
        console.note(f"Equal: every value of metrics.jsonl, the test results {weights}, bit for bit.")
    for line in surroundings or ["The surroundings are the same: packages, hardware, threads, data, code."]:
        console.note(line)
    return 1 if found else 0


def first_difference(first: RunDir, again: RunDir) -> str:
    """The first value of the two runs' records, or test results, that differs; "" when all are equal."""
    ours, theirs = ([*_records(run_dir), _test(run_dir)] for run_dir in (first, again))
    if len(ours) != len(theirs):
        return f"The run has {len(ours) - 1} epochs, again it has {len(theirs) - 1}."
    for one, other in zip(ours, theirs, strict=True):
        for name in [*one, *(name for name in other if name not in one)]:
            if name not in TIMES and one.get(name) != other.get(name):
                where = f"in epoch {one['epoch']}" if "epoch" in one else "on the test split"
                return f"The first difference is {name} {where}: {one.get(name)} in the run, {other.get(name)} again."
    return ""


def weights_difference(first: RunDir, again: RunDir) -> str:
    """The first tensor of the final weights whose bits differ, and by how much; "" when all are equal. Raises CheckpointError."""
    paths = [run_dir.checkpoints / "last.pt" for run_dir in (first, again)]
    if not any(path.is_file() for path in paths):
        return ""
    one, other = (store.load(path) for path in paths)
    for part in ("model", "ema"):
        ours, theirs = one.get(part) or {}, other.get(part) or {}
        if ours.keys() != theirs.keys():
            return f"The final weights have other names in the {part}."
        different = [name for name in ours if not _same_bits(ours[name], theirs[name])]
        if different:
            name = different[0]
            return (
                f"The final weights differ in {len(different)} of {len(ours)} tensors of the {part}, first in '{name}'"
                f" {_distance(ours[name], theirs[name])}."
            )
    return ""


def _same_bits(one: Any, other: Any) -> bool:
    if not isinstance(one, torch.Tensor):
        return bool(one == other)
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return torch.equal(one.contiguous().flatten().view(torch.uint8), other.contiguous().flatten().view(torch.uint8))


def _distance(one: Any, other: Any) -> str:
    if not isinstance(one, torch.Tensor) or one.shape != other.shape:
        return "by its shape"
    apart = (one.double() - other.double()).abs()
    return f"({int((apart != 0).sum())} of {one.numel()} numbers, at most {float(apart.max()):.3g} apart)"


def different_surroundings(first: RunDir, again: RunDir) -> Iterator[str]:
    """What is not the same around the two runs: versions, hardware, device, threads, data, code, and where the first was interrupted."""
    facts = [_surroundings(run_dir) for run_dir in (first, again)]
    for name in facts[0]:
        one, other = (each.get(name) for each in facts)
        if one != other:
            yield f"{name}: {one} in the run, {other} again."
    receipt = first.read_json("receipt.json")
    for each in receipt.get("continued", []):
        if each["packages"] != receipt["packages"]:
            yield f"The run was continued with other versions of its packages, by `{each['command']}`."
    yield from changed_on_the_way(first)


def changed_on_the_way(first: RunDir) -> Iterator[str]:
    """The settings with which a run was continued, where they are not those that it began with."""
    for each in first.read_json("receipt.json").get("continued", []):
        for change in each.get("changes", []):
            yield f"The run was changed on its way, by `{each['command']}`: {change}"


def _surroundings(run_dir: RunDir) -> dict[str, Any]:
    receipt = run_dir.read_json("receipt.json")
    git = receipt.get("git") or {}
    hardware = receipt.get("hardware", {})
    diff = run_dir.path / "code.diff"
    found = {"ptrun": receipt.get("ptrun"), "python": receipt.get("python"), **receipt.get("packages", {})}
    found |= {"machine": hardware.get("machine"), "cpu": hardware.get("cpu"), "cores": hardware.get("cores")}
    found |= {f"data ({name})": digest for name, digest in receipt.get("data", {}).items()}
    changes = hashlib.blake2b(diff.read_bytes(), digest_size=4).hexdigest() if diff.is_file() else "none"
    found |= {"code of ptrun": receipt.get("code"), "git commit": git.get("commit"), "uncommitted changes": changes}
    last = run_dir.checkpoints / "last.pt"
    if last.is_file():
        saved = store.load(last)
        found |= {"device": saved.get("device"), "CPU threads": saved["threads"]}
    return found


def _records(run_dir: RunDir) -> list[dict[str, Any]]:
    text = (run_dir.path / "metrics.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def _test(run_dir: RunDir) -> dict[str, Any]:
    summary = run_dir.read_json("summary.json")
    return {f"test/{name}": value for name, value in summary.get("test", {}).items()}
