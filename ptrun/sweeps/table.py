"""The result of a sweep on the console and in results.csv: configurations by their mean over seeds, jobs, failures.

The rows come from the files in the job folders alone (ptrun/sweeps/leaderboard.py), so that jobs of any launcher are in
it.
"""

from __future__ import annotations

import csv
import shlex
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ptrun.files.atomic import replacing_text
from ptrun.runs.configurations import Configuration, configurations, settings_text, std, swept_keys
from ptrun.runs.folder import JOB_LOG, SWEEP_RESULTS
from ptrun.runs.objectives import pareto_front
from ptrun.sweeps.leaderboard import best_jobs, comparison
from ptrun.terminal.console import Console
from ptrun.terminal.format import format_metric, format_seconds, is_fraction

_TEST_METRICS = ("accuracy", "f1_macro", "rmse", "mae", "r2", "loss")  # most telling first; two fit into the table
_LAST_LINES = 4  # of a failed job

Row = Mapping[str, Any]


def report(rows: Sequence[Row], folder: Path, console: Console, objectives: Sequence[str] = ()) -> None:
    """Print the tables, best first, then why jobs failed; write every job to results.csv.

    objectives: several, of which the best combinations are shown, too.
    """
    if not rows:
        return
    show(rows, folder, console)
    if objectives:
        _show_front(rows, folder, objectives, console)
    path = folder / SWEEP_RESULTS
    with replacing_text(path) as file:
        csv.writer(file).writerows(csv_rows(rows))
    best = next(iter(best_jobs(rows)), None)
    console.text()
    console.header([("table", str(path)), *([("best", str(folder / best))] if best else [])], "Sweep")
    if best:
        console.text()
        job = shlex.quote(str(folder / best))
        commands = [("evaluate", f"ptrun eval checkpoint={job}"), ("use it", f"ptrun show checkpoint={job}")]
        console.header(commands, "Next")


def show(rows: Sequence[Row], folder: Path, console: Console) -> None:
    """Print the tables, best first, then why jobs failed."""
    console.text()
    console.table(*_job_table(rows))
    ranked = configurations(rows)
    if ranked:
        console.text()
        console.table(*_configuration_table(ranked))
        sentence = comparison(ranked)
        if sentence:
            console.note(sentence)
    if len({row["monitor"] for row in rows if row["monitor"]}) > 1:
        console.note("The jobs have different monitored metrics, so they are ranked within each of them only.")
    for row in rows:
        if row["reason"] and row["state"] not in ("failed", "pruned"):
            console.note(f"job {row['job']}: {row['reason'].splitlines()[0]}")
    _report_failures([row for row in rows if row["state"] == "failed"], folder, console)


def _show_front(rows: Sequence[Row], folder: Path, objectives: Sequence[str], console: Console) -> None:
    """Print the runs that no other run beats in all objectives."""
    front = pareto_front(rows, folder, objectives)
    if not front:
        return
    keys, by_job = swept_keys(rows), {row["job"]: row for row in rows}
    cells = []
    for job, values in front:
        texts = [format_metric(name, value) for name, value in zip(objectives, values, strict=True)]
        cells.append([job, settings_text(by_job[job]["overrides"], keys), *texts])
    console.text()
    console.table(["job", "settings", *objectives], cells)
    console.note(f"These {len(front)} of {len(rows)} runs are beaten by no other in all objectives (the Pareto front).")


def csv_rows(rows: Sequence[Row]) -> Iterator[list[Any]]:
    """The header and one line for each job, with every test metric unrounded."""
    best = rows[0]
    tests = _test_names(rows)
    keys = swept_keys(rows)
    yield ["job", "state", *keys, best["monitor"] or "value", *(f"test/{name}" for name in tests), "seconds"]
    for row in rows:
        overrides = dict(text.split("=", 1) for text in row["overrides"] if "=" in text)
        values = [overrides.get(key, "") for key in keys]
        results = [row["value"], *(row["test"].get(name) for name in tests), row["seconds"]]
        yield [row["job"], row["state"], *values, *results]


def _test_names(rows: Sequence[Row]) -> list[str]:
    """The test metrics of any job: with sweep.test=best only some have them."""
    return list(dict.fromkeys(name for row in rows for name in row["test"]))


def _report_failures(rows: Sequence[Row], folder: Path, console: Console) -> None:
    """Print why each of these jobs failed, the last lines that it printed, and where the rest is."""
    for row in rows:
        log = folder / row["job"] / JOB_LOG
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
        console.text()
        console.text(f"  job {row['job']} failed: {(row['reason'].splitlines() or ['(no reason is known)'])[0]}")
        console.text(f"    folder {folder / row['job']}")
        for line in [line for line in lines[-_LAST_LINES:] if row["reason"] not in line]:
            console.text(f"    {JOB_LOG}: {line}")


def _job_table(rows: Sequence[Row]) -> tuple[list[str], list[list[str]]]:
    """Column names and cells; of the settings only those that differ between jobs."""
    best = rows[0]
    tests = [name for name in _TEST_METRICS if name in _test_names(rows)][:2]
    monitor = best["monitor"] or "value"
    keys = swept_keys(rows)
    cells = []
    for row in rows:
        settings = settings_text(row["overrides"], keys)
        other = f" {row['monitor']}" if row["monitor"] not in ("", monitor) else ""
        values = [f"{format_metric(row['monitor'] or monitor, row['value'])}{other}"]
        values += [format_metric(name, row["test"].get(name)) for name in tests]
        state = f"pruned, epoch {row['epochs']}" if row["state"] == "pruned" and row["epochs"] else row["state"]
        cells.append([row["job"], settings, *values, format_seconds(row["seconds"]), state])
    return ["job", "settings", monitor, *(f"test {name}" for name in tests), "time", "state"], cells


def _configuration_table(ranked: Sequence[Configuration]) -> tuple[list[str], list[list[str]]]:
    best = ranked[0]
    tests = [name for name in _TEST_METRICS if name in best.tests][:2]
    cells = [
        [
            place.settings,
            f"{len(place.values)} of {place.planned}",
            _spread(place.monitor, place.values),
            *(_spread(name, place.tests.get(name, ())) for name in tests),
        ]
        for place in ranked
    ]
    return ["configuration", "runs", best.monitor or "value", *(f"test {name}" for name in tests)], cells


def _spread(name: str, values: Sequence[float]) -> str:
    """`97.31 ± 0.42 %`: mean and standard deviation of a single run."""
    if not values:
        return "-"
    mean, deviation = statistics.fmean(values), std(values)
    if deviation is None:
        return format_metric(name, mean)
    if is_fraction(name.rpartition("/")[2]):
        return f"{100 * mean:.2f} ± {100 * deviation:.2f} %"
    return f"{format_metric(name, mean)} ± {format_metric(name, deviation)}"
