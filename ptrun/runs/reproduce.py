"""`ptrun reproduce RUN`: trains a finished run again in a new folder and reports the first difference, bit for bit.

The stored configuration is only data: it is checked like any other, and neither the plugins nor the output folder that
it names are used.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ptrun.checkpoint import names, store
from ptrun.config.override_text import override_texts
from ptrun.config.run_config import RunConfig
from ptrun.config.stored import CHANGEABLE_WHEN_REPRODUCING, changed_config
from ptrun.errors import CheckpointError
from ptrun.loggers.records import read_intact
from ptrun.plugins import REGISTRIES
from ptrun.runs import session
from ptrun.runs.find import find_run
from ptrun.runs.folder import METRICS, RECEIPT, STATUS, SUMMARY, RunDir, redact
from ptrun.runs.resume import newest_good, stored_config
from ptrun.terminal.console import Console

CLOCK_VALUES = ("seconds", "samples_per_second", "data_wait_percent")  # of a record; they differ between equal runs


@dataclass(frozen=True)
class ReproduceRequest:
    """Which finished run to repeat, and with which changes of data folders and device (dotted key → value)."""

    run: str
    changes: Mapping[str, Any]
    command: Sequence[str]
    folders: tuple[Path, ...] = ()
    plugins: Sequence[str] = ()
    output_dir: str = "outputs"
    quiet: bool = False


def run(request: ReproduceRequest) -> int:
    """Train again and compare. Returns 0 when all is equal, 1 when not.

    Raises CheckpointError, ConfigError, and what training raises.
    """
    first = RunDir(find_run(request.run, request.output_dir))
    if not first.is_done():
        raise CheckpointError(
            f"{first.path}: this run is not finished ({first.read_json(STATUS).get('state')}), so there is nothing to "
            "compare. `ptrun resume` finishes it."
        )
    config = _config_to_repeat(request, first)
    console = Console(request.quiet)
    # Printed here as well as after the training, which may take long.
    for line in settings_changed_while_continued(first):
        console.note(line)
    as_written = redact(config.to_dict())
    overrides = [*first.read_json(RECEIPT).get("overrides", []), *override_texts(request.changes)]
    result = session.run(
        session.TrainRequest(config, as_written, overrides, request.command, request.folders, quiet=request.quiet)
    )
    return _report(first, RunDir(result.run_dir), console)


def _config_to_repeat(request: ReproduceRequest, first: RunDir) -> RunConfig:
    """The stored configuration with the changes of the request, checked. Raises ConfigError."""
    values = copy.deepcopy(stored_config(first.path, newest_good(first.path)))
    values.update(plugins=list(request.plugins), output_dir=request.output_dir)
    if "cache" in values["dataset"]:  # the stored run must not choose a folder to write to
        values["dataset"].update(cache="none", cache_dir=None)
    return changed_config(values, request.changes, CHANGEABLE_WHEN_REPRODUCING, REGISTRIES, request.folders)


def _report(first: RunDir, again: RunDir, console: Console) -> int:
    """Print the differences. Returns 0 when there is none in the results, else 1."""
    environment = list(environment_differences(first, again))
    differences = [text for text in (first_difference(first, again), weights_difference(first, again)) if text]
    console.text()
    console.header(
        [("run", str(first.path)), ("again", str(again.path))], "Not reproduced" if differences else "Reproduced"
    )
    for line in differences:
        console.warn(line)
    if not differences:
        weights = "and every weight" if names.step_files(first.checkpoints) else "(no weights were saved)"
        console.note(f"Equal: every value of {METRICS}, the test results {weights}, bit for bit.")
    for line in environment or ["The environment is the same: packages, hardware, threads, data, code."]:
        console.note(line)
    return 1 if differences else 0


def first_difference(first: RunDir, again: RunDir) -> str:
    """The first value that differs in the records or the test results of two runs; "" when all are equal."""
    tested = _test_results(first)
    rows = [*_records(first), tested]
    rows_again = [*_records(again), _test_results(again) if tested else {}]
    if len(rows) != len(rows_again):
        return f"The run has {len(rows) - 1} epochs, again it has {len(rows_again) - 1}."
    for one, other in zip(rows, rows_again, strict=True):
        for name in [*one, *(name for name in other if name not in one)]:
            if name not in CLOCK_VALUES and one.get(name) != other.get(name):
                where = f"in epoch {one['epoch']}" if "epoch" in one else "on the test split"
                return f"The first difference is {name} {where}: {one.get(name)} in the run, {other.get(name)} again."
    return ""


def weights_difference(first: RunDir, again: RunDir) -> str:
    """The first tensor of the final weights whose bits differ, and by how much; "" when all are equal.

    Raises CheckpointError.
    """
    if not first.last.is_file() and not again.last.is_file():
        return ""
    one, other = store.load(first.last), store.load(again.last)
    for part in ("model", "ema"):
        weights, weights_again = one.get(part) or {}, other.get(part) or {}
        if weights.keys() != weights_again.keys():
            return f"The final weights have other names in the {part}."
        different = [name for name in weights if not _same_bits(weights[name], weights_again[name])]
        if different:
            name = different[0]
            return (
                f"The final weights differ in {len(different)} of {len(weights)} tensors of the {part}, "
                f"first in '{name}' {_distance(weights[name], weights_again[name])}."
            )
    return ""


def _same_bits(one: Any, other: Any) -> bool:
    """Whether two tensors are equal in every bit: a comparison of numbers takes -0 for 0 and NaN for another NaN."""
    if not isinstance(one, torch.Tensor):
        return bool(one == other)
    if one.dtype != other.dtype or one.shape != other.shape:
        return False
    return torch.equal(one.contiguous().flatten().view(torch.uint8), other.contiguous().flatten().view(torch.uint8))


def _distance(one: Any, other: Any) -> str:
    if not isinstance(one, torch.Tensor) or one.shape != other.shape:
        return "by its shape"
    distances = (one.double() - other.double()).abs()
    differing = int((distances != 0).sum())
    return f"({differing} of {one.numel()} numbers, at most {float(distances.max()):.3g} apart)"


def environment_differences(first: RunDir, again: RunDir) -> Iterator[str]:
    """What differs around two runs: versions, hardware, device, threads, data, code, changes of the first one."""
    before, now = _environment(first), _environment(again)
    for name, value in before.items():
        if value != now.get(name):
            yield f"{name}: {value} in the run, {now.get(name)} again."
    receipt = first.read_json(RECEIPT)
    for continued in receipt.get("continued", []):
        if continued["packages"] != receipt["packages"]:
            yield f"The run was continued with other versions of its packages, by `{continued['command']}`."
    yield from settings_changed_while_continued(first)


def settings_changed_while_continued(first: RunDir) -> Iterator[str]:
    """The settings that changed when the run was continued."""
    for continued in first.read_json(RECEIPT).get("continued", []):
        for change in continued.get("changes", []):
            yield f"The run was changed when it was continued by `{continued['command']}`: {change}"


def _environment(run_dir: RunDir) -> dict[str, Any]:
    """What can make two equal configurations give other bits, by name."""
    receipt = run_dir.read_json(RECEIPT)
    git = receipt.get("git") or {}
    hardware = receipt.get("hardware", {})
    environment = {"ptrun": receipt.get("ptrun"), "python": receipt.get("python"), **receipt.get("packages", {})}
    environment |= {name: hardware.get(name) for name in ("machine", "cpu", "cores")}
    environment |= {f"data ({name})": digest for name, digest in receipt.get("data", {}).items()}
    environment |= {
        "weights it started from": receipt.get("weights", {}).get("digest"),
        "code of ptrun": receipt.get("code"),
        "git commit": git.get("commit"),
        "uncommitted changes": _diff_digest(run_dir),
    }
    if run_dir.last.is_file():
        saved = store.load(run_dir.last)
        environment |= {"device": saved.get("device"), "CPU threads": saved["threads"]}
    return environment


def _diff_digest(run_dir: RunDir) -> str:
    if not run_dir.diff.is_file():
        return "none"
    # Runs of earlier versions wrote the diff without its last line end.
    return hashlib.blake2b(run_dir.diff.read_bytes().strip(), digest_size=4).hexdigest()


def _records(run_dir: RunDir) -> list[Mapping[str, Any]]:
    """The records of all epochs. Raises CheckpointError when the file is missing or damaged."""
    try:
        return list(read_intact(run_dir.metrics))
    except FileNotFoundError:
        raise CheckpointError(f"{run_dir.metrics}: this file is missing, so there is nothing to compare.") from None
    except ValueError as error:
        raise CheckpointError(f"{run_dir.metrics}: {error}") from error


def _test_results(run_dir: RunDir) -> dict[str, Any]:
    return {f"test/{name}": value for name, value in run_dir.read_json(SUMMARY).get("test", {}).items()}
