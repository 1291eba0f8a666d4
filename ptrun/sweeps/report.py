"""The figures and the page of a sweep, `plots/*.svg` and `sweep.html`. A failure to draw them never fails the sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ptrun.sweeps import page
from ptrun.terminal.console import Console


def write(folder: Path, rows: Sequence[Mapping[str, Any]], console: Console, *, plots: bool) -> Path | None:
    """Draw the figures if wanted, and write the page. Returns the page; None, with a note, when it can't be written."""
    if not rows:
        return None
    try:
        return page.write(folder, rows, _figures(folder, rows, console) if plots else [])
    except Exception as error:  # noqa: BLE001 (the results of the jobs are what counts)
        console.note(f"The page of the sweep could not be written ({_what(error)}). Its results are all there.")
        return None


def _figures(folder: Path, rows: Sequence[Mapping[str, Any]], console: Console) -> list[Path]:
    try:
        from ptrun.sweeps import figures  # needs matplotlib

        return figures.draw(folder, rows)
    except Exception as error:  # noqa: BLE001 (as above)
        console.note(f"The figures of the sweep could not be drawn ({_what(error)}). Its results are all there.")
        return []


def _what(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
