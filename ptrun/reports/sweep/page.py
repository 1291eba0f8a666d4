"""One self-contained HTML page for a sweep: facts, sortable tables, failures and figures, for light and dark screens.

Nothing is loaded from anywhere: style, program and figures stand in the page. Every text is escaped.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ptrun.reports.sweep.look import THEME

_HERE = Path(__file__).parent
_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_FONT = re.compile(r"'DejaVu Sans'[^;\"]*")
_IDS = re.compile(r'(\bid="|url\(#|href="#)')


@dataclass(frozen=True)
class Cell:
    """One cell. number: what it is sorted by. link: a folder beside the page. state: of a job, shown as a badge."""

    text: str
    number: float | None = None
    link: str = ""
    state: str = ""


@dataclass(frozen=True)
class Table:
    """A table with a title. marked: the rows of the best."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    marked: Sequence[int] = ()


@dataclass(frozen=True)
class Failure:
    """Jobs that failed for one reason: their folders beside the page, why, and the last lines of the first one."""

    jobs: Sequence[str]
    reason: str
    lines: Sequence[str]


@dataclass(frozen=True)
class Page:
    """What the page says. facts: name → text. commands: meaning → what to type. counts: state → number of jobs."""

    title: str
    subtitle: str
    counts: Sequence[tuple[str, int]]
    facts: Sequence[tuple[str, str]]
    commands: Sequence[tuple[str, str]]
    notes: Sequence[str]
    tables: Sequence[Table]
    failures: Sequence[Failure]
    figures: Sequence[Path]
    footer: str


def render(page: Page) -> str:
    """The page as HTML."""
    tables = [_table(table) for table in page.tables]
    figures = [_figure(path, number) for number, path in enumerate(page.figures)]
    parts = [
        _head(page),
        tables[0] if tables else "",
        f'<section class="figures"><h2>Figures</h2>{"".join(figures)}</section>' if figures else "",
        *tables[1:],
        _failures(page.failures),
        f"<footer>{_text(page.footer)}</footer>",
    ]
    style = f"{_colors()}\n{(_HERE / 'page.css').read_text(encoding='utf-8')}"
    program = (_HERE / "page.js").read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<link rel="icon" href="data:,">\n'
        f"<title>{_text(page.title)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(part for part in parts if part)
        + f"\n</main>\n<script>\n{program}</script>\n</body>\n</html>\n"
    )


def _text(text: str) -> str:
    return html.escape(text, quote=True)


def _colors() -> str:
    """A variable for each color, which a dark screen gives another value."""
    light = "".join(f"--{_name(color)}:{color};" for color in THEME)
    dark = "".join(f"--{_name(color)}:{other};" for color, other in THEME.items())
    return f":root{{{light}}}\n@media (prefers-color-scheme: dark){{:root{{{dark}}}}}"


def _name(color: str) -> str:
    return f"c{color[1:].lower()}"


def _head(page: Page) -> str:
    counts = "".join(
        f'<li class="{_class(state)}"><b>{number}</b> {_text(state)}</li>' for state, number in page.counts
    )
    facts = "".join(f"<dt>{_text(name)}</dt><dd>{_text(text)}</dd>" for name, text in page.facts)
    commands = "".join(
        f"<dt>{_text(name)}</dt><dd><code>{_text(command)}</code></dd>" for name, command in page.commands
    )
    notes = "".join(f"<p class=note>{_text(note)}</p>" for note in page.notes)
    return (
        f"<header><h1>{_text(page.title)}</h1><p class=subtitle>{_text(page.subtitle)}</p>"
        f'<ul class="counts">{counts}</ul><dl>{facts}{commands}</dl>{notes}</header>'
    )


def _class(state: str) -> str:
    return "state-" + re.sub(r"[^a-z]", "", state.partition(",")[0])


def _table(table: Table) -> str:
    heads = "".join(
        f'<th scope="col" aria-sort="none"><button type="button">{_text(name)}</button></th>' for name in table.columns
    )
    marked = set(table.marked)
    rows = "\n".join(_row(cells, number in marked) for number, cells in enumerate(table.rows))
    count = f'<span class="count">{len(table.rows)}</span>'
    search = f'<input type="search" placeholder="filter" aria-label="Filter {_text(table.title.lower())}">'
    return (
        f"<section><div class=bar><h2>{_text(table.title)} {count}</h2>{search if len(table.rows) > 8 else ''}</div>"
        f'<div class="scroll" tabindex="0"><table><thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody></table>'
        "</div></section>"
    )


def _row(cells: Sequence[Cell], is_marked: bool) -> str:
    return f"<tr{' class=best' if is_marked else ''}>{''.join(map(_cell, cells))}</tr>"


def _cell(cell: Cell) -> str:
    text = _text(cell.text)
    if cell.link:
        text = f'<a href="{_text(quote(cell.link))}/">{text}</a>'
    if cell.state:
        text = f'<span class="badge {_class(cell.state)}">{text}</span>'
    number = "" if cell.number is None else f" data-v={cell.number:.10g} class=number"
    return f"<td{number}>{text}</td>"


def _failures(failures: Sequence[Failure]) -> str:
    if not failures:
        return ""
    number = sum(len(failure.jobs) for failure in failures)
    articles = "".join(map(_failure, failures))
    return f'<section class="failures"><h2>Failures <span class="count">{number}</span></h2>{articles}</section>'


def _failure(failure: Failure) -> str:
    jobs = ", ".join(f'<a href="{_text(quote(job))}/">{_text(job)}</a>' for job in failure.jobs)
    lines = f"<pre>{_text(chr(10).join(failure.lines))}</pre>" if failure.lines else ""
    word = "Jobs" if len(failure.jobs) > 1 else "Job"
    return f"<article><h3>{word} {jobs}</h3><p>{_text(failure.reason)}</p>{lines}</article>"


def _figure(path: Path, number: int) -> str:
    """An SVG of a figure with the colors and fonts of the page, and with ids that no other figure on it has."""
    svg = path.read_text(encoding="utf-8")
    svg = svg[svg.index("<svg") :]
    width = float(re.search(r'width="([\d.]+)pt"', svg)[1]) if 'pt"' in svg else 600.0  # type: ignore[index]
    svg = re.sub(r' (?:width|height)="[\d.]+pt"', "", svg, count=2)
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = _IDS.sub(rf"\g<1>f{number}-", svg)
    svg = _COLOR.sub(_variable, svg)
    svg = _FONT.sub("system-ui, sans-serif", svg)
    svg = svg.replace("<svg", f'<svg role="img" aria-label="{_text(path.stem.replace("_", " "))}"', 1)
    return f'<figure style="--width:{width * 96 / 72:.0f}px">{svg}</figure>'


def _variable(match: re.Match[str]) -> str:
    color = match[0].upper()
    return f"var(--{_name(color)},{color})" if color in THEME else match[0]
