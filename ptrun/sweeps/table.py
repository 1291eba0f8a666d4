"""The result of a sweep on the console and in results.csv: configurations by their mean over seeds, jobs, failures.

The rows come from the files in the job folders alone (ptrun/sweeps/leaderboard.py), so that jobs of any launcher are in
it.
"""

from __future__ import annotations

import csv
import shlex
import statistics
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ptrun.build.description import next_command
from ptrun.errors import CheckpointError
from ptrun.files.atomic import replacing_text
from ptrun.runs.configurations import (
    Configuration,
    configurations,
    settings_text,
    shortened,
    std,
    swept_keys,
    values_by_key,
)
from ptrun.runs.folder import JOB_LOG, SWEEP_RESULTS, RunDir
from ptrun.runs.objectives import pareto_front
from ptrun.sweeps.leaderboard import best_jobs, comparison
from ptrun.terminal.console import Console
from ptrun.terminal.format import format_metric, format_seconds, is_fraction, table_width

_TEST_METRICS = ("accuracy", "f1_macro", "rmse", "mae", "r2", "loss")  # most telling first; two fit into the table
_LAST_LINES = 4  # of a failed job
SEVERAL_MONITORS = "The jobs have different monitored metrics, so they are ranked within each of them only."

_NARROWER = ((False, 2), (True, 2), (True, 1), (True, 0))  # whether keys are shortened, and how many test metrics

Row = Mapping[str, Any]
Table = tuple[list[str], list[list[str]]]


def report(
    rows: Sequence[Row], folder: Path, console: Console, objectives: Sequence[str] = (), page: Path | None = None
) -> None:
    """Print the tables, best first, then why jobs failed; write every job to results.csv.

    objectives: several, of which the best combinations are shown, too. page: where the same can be seen in a browser.
    """
    if not rows:
        return
    show(rows, folder, console, objectives)
    path = folder / SWEEP_RESULTS
    with replacing_text(path) as file:
        csv.writer(file).writerows(csv_rows(rows))
    best = next(iter(best_jobs(rows)), None)
    console.text()
    files = [("table", str(path)), *([("page", str(page))] if page else [])]
    console.header([*files, *([("best", str(folder / best))] if best else [])], "Sweep")


def report_next(rows: Sequence[Row], folder: Path, console: Console) -> None:
    """Print what to type next, which is the last thing that a sweep prints."""
    best = next(iter(best_jobs(rows)), None)
    if best:
        console.text()
        console.header(next_commands(folder, best), "Next")


def next_commands(folder: Path, best: str) -> list[tuple[str, str]]:
    """What to type to evaluate the best job, and to use it: for predictions, where the data are the user's own."""
    job = folder / best
    return [("evaluate", f"ptrun eval checkpoint={shlex.quote(str(job))}"), next_command(_dataset(job), job)]


def _dataset(run_dir: Path) -> Mapping[str, Any]:
    """The configuration of the data of a run; empty when it can't be read."""
    try:
        dataset: Mapping[str, Any] = RunDir(run_dir).read_config()["dataset"]
    except CheckpointError:
        return {}
    return dataset


def show(rows: Sequence[Row], folder: Path, console: Console, objectives: Sequence[str] = ()) -> None:
    """Print the tables, best first, then why jobs failed, then the Pareto front of several objectives."""
    console.text()
    console.table(*_fitting(console, (_job_table(rows, *how) for how in _NARROWER)))
    ranked = configurations(rows)
    if ranked:
        console.text()
        keys = swept_keys(rows)
        console.table(*_fitting(console, (_configuration_table(ranked, keys, *how) for how in _NARROWER)))
        sentence = comparison(ranked)
        if sentence:
            console.note(sentence)
    if len({row["monitor"] for row in rows if row["monitor"]}) > 1:
        console.note(SEVERAL_MONITORS)
    for row in rows:
        if row["reason"] and row["state"] not in ("failed", "pruned"):
            console.note(f"job {row['job']}: {row['reason'].splitlines()[0].partition('. ')[0].rstrip('.')}.")
    _report_failures(rows, folder, console)
    if objectives:
        _show_front(rows, folder, objectives, console)


def _fitting(console: Console, tables: Iterable[Table]) -> Table:
    """The first of these tables that fits the terminal, else the last one."""
    table: Table = ([], [])
    for table in tables:
        if console.width is None or table_width(*table) <= console.width - 2:
            break
    return table


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
    are = "is" if len(front) == 1 else "are"
    console.note(f"{len(front)} of {len(rows)} runs {are} beaten by no other in all objectives (the Pareto front).")


def csv_rows(rows: Sequence[Row]) -> Iterator[list[Any]]:
    """The header and one line for each job, with every test metric unrounded."""
    best = rows[0]
    tests = names_of_tests(rows)
    keys = swept_keys(rows)
    yield ["job", "state", *keys, best["monitor"] or "value", *(f"test/{name}" for name in tests), "seconds"]
    for row in rows:
        texts = values_by_key(row["overrides"])
        values = [texts.get(key, "") for key in keys]
        results = [row["value"], *(row["test"].get(name) for name in tests), row["seconds"]]
        yield [row["job"], row["state"], *values, *results]


def names_of_tests(rows: Sequence[Row]) -> list[str]:
    """The test metrics of any job: with sweep.test=best only some have them."""
    return list(dict.fromkeys(name for row in rows for name in row["test"]))


def shown_tests(names: Collection[str]) -> list[str]:
    """The test metrics that a table shows."""
    return [name for name in _TEST_METRICS if name in names][:2]


def failed(rows: Sequence[Row]) -> list[Row]:
    """The jobs that failed."""
    return [row for row in rows if row["state"] == "failed"]


def reason(row: Row) -> str:
    """Why a job failed."""
    return str(row["reason"]) or "(no reason is known)"


def last_lines(folder: Path, row: Row) -> list[str]:
    """What a job printed last, without the reason of its failure, which the table shows."""
    log = folder / row["job"] / JOB_LOG
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    return [line for line in lines[-_LAST_LINES:] if row["reason"] not in line]


def _report_failures(rows: Sequence[Row], folder: Path, console: Console) -> None:
    """Print why each of these jobs failed, the last lines that it printed, and where the rest is."""
    for row in failed(rows):
        console.text()
        console.text(f"  job {row['job']} failed: {reason(row).splitlines()[0]}")
        console.text(f"    folder {folder / row['job']}")
        for line in last_lines(folder, row):
            console.text(f"    {JOB_LOG}: {line}")
    if failed(rows):
        console.text()
        console.note("The same command runs the failed jobs again.")


def done_text(row: Row) -> str:
    """That a job is done, with its monitored value."""
    return f"done: {row['monitor']} {format_metric(row['monitor'], row['value'])}"


def tested_text(row: Row) -> str:
    """That a job was tested, with its first results."""
    results = list(row["test"].items())[:2]
    return f"tested: {', '.join(f'{name} {format_metric(name, value)}' for name, value in results)}"


def state_text(row: Row) -> str:
    """The state of a job, of a pruned one with the epoch."""
    return f"pruned, epoch {row['epochs']}" if row["state"] == "pruned" and row["epochs"] else str(row["state"])


def _job_table(rows: Sequence[Row], shortens: bool, num_tests: int) -> Table:
    """Column names and cells; of the settings only those that differ between jobs."""
    best = rows[0]
    tests = shown_tests(names_of_tests(rows))[:num_tests]
    monitor = best["monitor"] or "value"
    keys = swept_keys(rows) if len(rows) > 1 else list(values_by_key(best["overrides"]))
    cells = []
    for row in rows:
        settings = settings_text(row["overrides"], keys)
        other = f" {row['monitor']}" if row["monitor"] not in ("", monitor) else ""
        values = [f"{format_metric(row['monitor'] or monitor, row['value'])}{other}"]
        values += [format_metric(name, row["test"].get(name)) for name in tests]
        shown = shortened(settings, keys) if shortens else settings
        cells.append([row["job"], shown, *values, format_seconds(row["seconds"]), state_text(row)])
    return ["job", "settings", monitor, *(f"test {name}" for name in tests), "time", "state"], cells


def _configuration_table(
    ranked: Sequence[Configuration], keys: Collection[str], shortens: bool, num_tests: int
) -> Table:
    best = ranked[0]
    tests = shown_tests(best.tests)[:num_tests]
    cells = [
        [
            shortened(configuration.settings, keys) if shortens else configuration.settings,
            f"{len(configuration.values)} of {configuration.planned}",
            spread_text(configuration.monitor, configuration.values),
            interval_text(configuration.monitor, configuration.interval),
            *(spread_text(name, configuration.tests.get(name, ())) for name in tests),
        ]
        for configuration in ranked
    ]
    columns = ["configuration", "runs", best.monitor or "value", "95 % interval"]
    return [*columns, *(f"test {name}" for name in tests)], cells


def interval_text(name: str, interval: tuple[float, float] | None) -> str:
    """`96.80 to 97.82 %`: the confidence interval of a mean."""
    if interval is None:
        return "-"
    low, high = interval
    if is_fraction(name.rpartition("/")[2]):
        low, high = max(low, 0.0), min(high, 1.0)
    return f"{format_metric(name, low).removesuffix(' %')} to {format_metric(name, high)}"


def spread_text(name: str, values: Sequence[float]) -> str:
    """`97.31 ± 0.42 %`: mean and standard deviation of a single run."""
    if not values:
        return "-"
    name = name.rpartition("/")[2]
    mean, deviation = statistics.fmean(values), std(values)
    if deviation is None:
        return format_metric(name, mean)
    if is_fraction(name):
        return f"{100 * mean:.2f} ± {100 * deviation:.2f} %"
    return f"{format_metric(name, mean)} ± {format_metric(name, deviation)}"
