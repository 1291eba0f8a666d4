"""`ptrun compare`: the settings and metrics that differ between runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ptrun.cli.arguments import Parser

if TYPE_CHECKING:
    from ptrun.runs.compare import Comparison, Differences
    from ptrun.terminal.console import Console

HELP = """\
ptrun compare RUN RUN ... [flags]

  ptrun compare outputs/2026-01-01/10-00-00-convnet-digits-1a2b latest     two runs; latest is outputs/latest
  ptrun compare SWEEP/0 SWEEP/7 SWEEP/12                                   jobs of a sweep
  ptrun compare SWEEP OTHER_SWEEP                                          the best run of each

Prints the settings of the resolved configurations that differ (without those that change no result, as plots), the
metrics that differ (validation metrics are those of the best epoch), and versions, hardware and code that differ. It
says when the runs have different data. `ptrun runs` lists all runs.

Flags
  --json                        everything, as one JSON object
  --csv                         one line for each difference, values unrounded
  --output-dir DIR              where `latest` is looked for (outputs)
"""
_MOST_LETTERS = 44  # of a value in the table


def main(argv: list[str]) -> int:
    """Print what differs. Returns 0."""
    parser = Parser("compare")
    parser.add_argument("runs", nargs="*")
    parser.add_formats("json", "csv")
    parser.add_argument("--output-dir", default="outputs")
    options = parser.parse(argv)
    if options.help:
        print(HELP, end="")
        return 0
    from ptrun.files.json_file import nonfinite_to_none
    from ptrun.runs.compare import compare
    from ptrun.terminal.console import Console

    comparison = compare(options.runs, options.output_dir)
    if options.json:
        print(json.dumps(nonfinite_to_none(comparison.to_dict()), indent=2, ensure_ascii=False, default=str))
    elif options.csv:
        print(comparison.to_csv(), end="")
    else:
        _show(comparison, Console())
    return 0


def _show(comparison: Comparison, console: Console) -> None:
    names = [f"run {number}" for number in range(1, len(comparison.runs) + 1)]
    paths = [f"{path}  ({state})" for path, state in zip(_short(comparison), comparison.states, strict=True)]
    console.header(list(zip(names, paths, strict=True)), "Compare")
    for title, differences, text in (
        ("settings", comparison.settings, _setting_text),
        ("metrics", comparison.metrics, _metric_text),
        ("environment", comparison.environment, _setting_text),
    ):
        console.text()
        if differences:
            console.table(*_table(title, differences, names, text))
        else:
            console.text(f"  {title}: no difference")
    for note in comparison.notes:
        console.note(note)


def _short(comparison: Comparison) -> list[str]:
    """The folders of the runs, below the working folder where they are there."""
    from pathlib import Path

    here = Path.cwd()
    return [str(path.relative_to(here) if path.is_relative_to(here) else path) for path in comparison.runs]


def _table(title: str, differences: Differences, names: Sequence[str], text: Any) -> tuple[list[str], list[list[str]]]:
    """Columns and cells; of two runs also by how much the second differs where both have numbers."""
    rows = [[key, *(text(key, value) for value in values)] for key, values in differences.items()]
    if len(names) != 2 or title != "metrics":
        return [title, *names], rows
    gaps = [_gap(key, *values) for key, values in differences.items()]
    return [title, *names, "difference"], [[*row, gap] for row, gap in zip(rows, gaps, strict=True)]


def _setting_text(key: str, value: Any) -> str:
    from ptrun.config.override_text import override_texts
    from ptrun.reports.figure import shorten

    if value is None:
        return "-"
    text = override_texts({"x": value})[0].partition("=")[2] if isinstance(value, list | bool) else str(value)
    return shorten(text, _MOST_LETTERS)


def _metric_text(key: str, value: Any) -> str:
    from ptrun.terminal.format import format_bytes, format_metric, format_seconds

    if key.endswith("_seconds"):
        return format_seconds(value)
    if key.endswith("_bytes") and value is not None:
        return format_bytes(value)
    if isinstance(value, float):
        return format_metric(key.rpartition("/")[2], value)
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else str(value)


def _gap(key: str, first: Any, second: Any) -> str:
    """By how much the second value differs; fractions in percentage points."""
    from ptrun.terminal.format import is_fraction

    if not all(isinstance(value, int | float) for value in (first, second)):
        return "-"
    sign = "+" if second >= first else "-"
    if is_fraction(key.rpartition("/")[2]):
        return f"{sign}{100 * abs(second - first):.2f} points"
    return f"{sign}{_metric_text(key, abs(second - first))}"
