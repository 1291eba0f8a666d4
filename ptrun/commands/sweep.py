"""`ptrun train -m`: one job per combination, through Hydra's sweeper and launcher, and one table at the end.

Invariant: every job's configuration is checked before the first one starts, and a job that fails
does not stop the others.
"""

from __future__ import annotations

import csv
import json
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ptrun import composition, request, rundir
from ptrun.composition import Composed, Composer
from ptrun.console import Console
from ptrun.errors import ConfigError, Interrupted, PtrunError
from ptrun.formats import format_metric, format_seconds
from ptrun.settings import RunConfig


@dataclass(frozen=True)
class Job:
    """What Hydra's launcher calls once for each combination; holds plain values only, so that it can be pickled."""

    command: Sequence[str]
    folders: tuple[Path, ...]
    quiet: bool

    def __call__(self, composed: Composed) -> float | None:
        """Train one combination; its mishap is written down and answered with None."""
        from ptrun import plugins
        from ptrun.commands import train

        folder = composition.job_folder()
        plugins.load(list(composed.get("plugins") or []))
        config = request.check(composed, self.folders, plugins.REGISTRIES if composed.get("plugins") else {})
        asked = composition.plain(composed, resolve=False)
        overrides = composition.job_overrides()
        if not self.quiet:
            print(f"\n[{folder.name}] {' '.join(overrides)}")
        try:
            return train.run(
                train.Request(config, asked, overrides, self.command, self.folders, folder, self.quiet)
            ).value
        except Interrupted as stopped:
            raise KeyboardInterrupt from stopped
        except PtrunError as error:
            Console(self.quiet).error([str(error)])
        except Exception:  # noqa: BLE001 (whatever a job does, the others go on)
            (folder / "error.txt").write_text(traceback.format_exc(), encoding="utf-8")
            Console(self.quiet).error(f"Job {folder.name} failed unexpectedly; {folder / 'error.txt'} has the details.")
        return None


def run(composer: Composer, overrides: Sequence[str], command: Sequence[str], quiet: bool) -> int:
    """Check all jobs, run them, print and write the table. Returns 0, or 1 when a job failed. Raises ConfigError."""
    jobs, first = check_jobs(composer, overrides)
    folder = rundir.create(first.output_dir, ("sweep",)).path
    own = [text for text in overrides if text.startswith("hydra.sweep.dir=")]
    if own:
        folder.rmdir()
        folder = Path(own[0].partition("=")[2])
    console = Console(quiet)
    console.header(
        [("jobs", str(len(jobs)) if jobs else "as the sweeper decides"), ("folder", str(folder))], "ptrun train -m"
    )
    given = overrides if own else [*overrides, f"hydra.sweep.dir='{folder}'"]
    try:
        composer.multirun(given, Job(tuple(command), composer.folders, quiet))
    finally:
        rows = gather(folder)
        report(rows, folder, console)
    return 0 if rows and all(row["state"] == "done" for row in rows) else 1


def check_jobs(composer: Composer, overrides: Sequence[str]) -> tuple[list[list[str]], RunConfig]:
    """Compose and check every job of a grid before any runs. Raises ConfigError, each problem with its job."""
    composer.check_overrides([text for text in overrides if text not in composer.unknown_choices(overrides)])
    jobs = composer.jobs(overrides)
    if jobs is None:
        fixed = [text for text in overrides if "," not in text and "(" not in text]
        return [], request.read(composer, fixed).config
    problems: dict[str, list[str]] = {}
    configs = []
    for job in jobs:
        try:
            configs.append(request.read(composer, job).config)
        except ConfigError as error:
            for problem in error.problems:
                problems.setdefault(problem, []).append(" ".join(job))
    if problems:
        raise ConfigError(
            [
                problem if len(where) == len(jobs) else f"{problem} (job: {where[0]})"
                for problem, where in problems.items()
            ]
        )
    return jobs, configs[0]


def gather(folder: Path) -> list[dict[str, Any]]:
    """One row for each job folder, best first; jobs without a result last."""
    rows = [_row(path) for path in sorted(folder.iterdir(), key=_job_number) if (path / "status.json").is_file()]
    values = [row for row in rows if row["value"] is not None]
    higher = bool(values) and values[0]["higher_is_better"]
    values.sort(key=lambda row: -row["value"] if higher else row["value"])
    return [*values, *(row for row in rows if row["value"] is None)]


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


def report(rows: Sequence[Mapping[str, Any]], folder: Path, console: Console) -> None:
    """Print the table, best first, and write it to results.csv."""
    if not rows:
        return
    first = rows[0]
    tests = [name for name in ("accuracy", "f1_macro", "rmse", "mae", "r2", "loss") if name in first["test"]][:2]
    monitor = first["monitor"] or "value"
    swept = _swept(rows)
    table = []
    for row in rows:
        shown = [text for text in row["overrides"] if text.partition("=")[0] in swept] or ["(defaults)"]
        result = [format_metric(monitor, row["value"]), *(format_metric(name, row["test"].get(name)) for name in tests)]
        table.append([row["job"], " ".join(shown), *result, format_seconds(row["seconds"]), row["state"]])
    columns = ["job", "settings", monitor, *(f"test {name}" for name in tests), "time", "state"]
    console.text()
    console.table(columns, table)
    for row in rows:
        if row["reason"]:
            console.note(f"job {row['job']}: {row['reason'].splitlines()[0]}")
    with (folder / "results.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["job", "state", *swept, monitor, *(f"test/{name}" for name in first["test"]), "seconds"])
        for row in rows:
            given = dict(text.split("=", 1) for text in row["overrides"] if "=" in text)
            values = [given.get(key, "") for key in swept]
            writer.writerow(
                [
                    row["job"],
                    row["state"],
                    *values,
                    row["value"],
                    *(row["test"].get(name) for name in first["test"]),
                    row["seconds"],
                ]
            )
    console.text()
    console.header([("table", str(folder / "results.csv")), ("best", str(folder / first["job"]))], "Sweep")


def _swept(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Keys whose values differ between jobs."""
    values: dict[str, set[str]] = {}
    for row in rows:
        for text in row["overrides"]:
            key, _, value = text.partition("=")
            values.setdefault(key, set()).add(value)
    return [key for key, found in values.items() if len(found) > 1]


def _job_number(path: Path) -> tuple[int, str]:
    return (int(path.name), "") if path.name.isdigit() else (1 << 30, path.name)


def _read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
