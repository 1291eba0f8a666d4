"""`sweep.html`: what the folder of a sweep says, as one page that needs no network."""

from __future__ import annotations

import datetime
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ptrun.files.atomic import replace_text
from ptrun.reports.sweep.page import Cell, Failure, Page, Table, render
from ptrun.runs import find
from ptrun.runs.configurations import Configuration, configurations, ranked, swept_keys, values_by_key
from ptrun.runs.folder import RECEIPT, SWEEP_PAGE, now
from ptrun.sweeps import leaderboard, table
from ptrun.sweeps.verdicts import verdicts
from ptrun.terminal.format import format_metric, format_seconds
from ptrun.version import __version__

Row = Mapping[str, Any]


def write(folder: Path, rows: Sequence[Row], figures: Sequence[Path]) -> Path:
    """Write the page with these figures into the folder of the sweep."""
    ranking = configurations(rows)
    best = leaderboard.best_jobs(rows)
    plan = find.read_plan(folder)
    page = Page(
        f"Sweep {folder.resolve().name}",
        _when(folder, rows),
        leaderboard.state_counts(rows).most_common(),
        [*_facts(folder, plan, rows)],
        table.next_commands(folder, best[0]) if best else [],
        [*_notes(rows, ranking), *verdicts(folder, rows)],
        [*([_configuration_table(ranking)] if ranking else []), _job_table(rows, best)],
        _failures(folder, rows),
        figures,
        f"ptrun {__version__}, {_moment(now())}. `ptrun sweep {shlex.quote(str(folder))} --html` updates this page.",
    )
    path = folder / SWEEP_PAGE
    replace_text(path, render(page))
    return path


def _moment(moment: datetime.datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def _when(folder: Path, rows: Sequence[Row]) -> str:
    """When the first job began, and how long all of them trained."""
    began = [find.read_leniently(folder / row["job"], RECEIPT).get("started") for row in rows]
    moments = sorted(datetime.datetime.fromisoformat(text) for text in began if isinstance(text, str))
    seconds = sum(row["seconds"] or 0 for row in rows)
    trained = f"{len(rows)} jobs, {format_seconds(seconds)} of training in all"
    return f"Started {_moment(moments[0])}; {trained}" if moments else trained


def _facts(folder: Path, plan: Mapping[str, Any], rows: Sequence[Row]) -> list[tuple[str, str]]:
    facts = [("folder", str(folder))]
    if plan.get("command"):
        facts.append(("command", shlex.join(plan["command"])))
    axes = swept_keys(rows)
    facts.append(("varied", ", ".join(axes) or "nothing"))
    best = next((configuration for configuration in ranked(rows) if configuration.values), None)
    if best:
        facts.append(("best", f"{best.settings}: {best.monitor} {table.spread_text(best.monitor, best.values)}"))
    return facts


def _notes(rows: Sequence[Row], ranking: Sequence[Configuration]) -> list[str]:
    comparison = leaderboard.comparison(ranking)
    notes = [comparison] if comparison else []
    if len({row["monitor"] for row in rows if row["monitor"]}) > 1:
        notes.append(table.SEVERAL_MONITORS)
    return notes


def _failures(folder: Path, rows: Sequence[Row]) -> list[Failure]:
    by_reason: dict[str, list[Row]] = {}
    for row in table.failed(rows):
        by_reason.setdefault(table.reason(row), []).append(row)
    return [
        Failure([row["job"] for row in same], reason, table.last_lines(folder, same[0]))
        for reason, same in by_reason.items()
    ]


def _configuration_table(ranking: Sequence[Configuration]) -> Table:
    best = ranking[0]
    tests = table.shown_tests(best.tests)
    rows = []
    for configuration in ranking:
        mean = configuration.mean if configuration.values else None
        cells = [
            Cell(configuration.settings),
            Cell(f"{len(configuration.values)} of {configuration.planned}", len(configuration.values)),
            Cell(table.spread_text(configuration.monitor, configuration.values), mean),
            Cell(
                table.interval_text(configuration.monitor, configuration.interval),
                configuration.interval[1] - configuration.interval[0],
            )
            if configuration.interval
            else Cell("-"),
        ]
        for name in tests:
            values = configuration.tests.get(name, ())
            cells.append(Cell(table.spread_text(name, values), sum(values) / len(values) if values else None))
        rows.append(cells)
    value = f"{best.monitor or 'value'}, mean ± std"
    columns = ["configuration", "runs", value, "95 % interval", *(f"test {name}" for name in tests)]
    return Table("Configurations", columns, rows, [0] if best.values and len(ranking) > 1 else [])


def _job_table(rows: Sequence[Row], best: Sequence[str]) -> Table:
    keys = swept_keys(rows)
    tests = table.shown_tests(table.names_of_tests(rows))
    monitor = rows[0]["monitor"] or "value"
    cells = [_job_cells(row, keys, tests, monitor) for row in rows]
    marked = [number for number, row in enumerate(rows) if row["job"] in best] if len(ranked(rows)) > 1 else []
    return Table("Jobs", ["job", "state", *keys, monitor, *(f"test {name}" for name in tests), "time"], cells, marked)


def _job_cells(row: Row, keys: Sequence[str], tests: Sequence[str], monitor: str) -> list[Cell]:
    texts = values_by_key(row["overrides"])
    number = float(row["job"]) if row["job"].isdigit() else None
    values = [_metric(row["monitor"] or monitor, row["value"], row["monitor"] not in ("", monitor))]
    values += [_metric(name, row["test"].get(name)) for name in tests]
    return [
        Cell(row["job"], number, row["job"]),
        Cell(table.state_text(row), state=row["state"]),
        *(_setting(texts.get(key, "")) for key in keys),
        *values,
        Cell(format_seconds(row["seconds"]), row["seconds"]),
    ]


def _metric(name: str, value: float | None, is_named: bool = False) -> Cell:
    return Cell(f"{format_metric(name, value)}{f' {name}' if is_named else ''}", value)


def _setting(text: str) -> Cell:
    try:
        return Cell(text, float(text))
    except ValueError:
        return Cell(text)
