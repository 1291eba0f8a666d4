"""A sweep through another sweeper or launcher of Hydra, which the user chose by hydra/sweeper= or hydra/launcher=."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ptrun.config import compose, load
from ptrun.config.compose import Composed, Composer
from ptrun.config.overrides import quoted, without_sweeps
from ptrun.errors import Interrupted, PtrunError
from ptrun.files.writable import make_writable
from ptrun.runs import find
from ptrun.runs.folder import ERROR, create_run_dir
from ptrun.sweeps import report, table
from ptrun.terminal.console import Console


@dataclass(frozen=True)
class HydraJob:
    """Hydra's launcher calls this once for each combination.

    It holds only plain values, and imports torch when it is called: a launcher may pickle it and call it elsewhere.
    """

    command: Sequence[str]
    folders: tuple[Path, ...]
    quiet: bool

    def __call__(self, composed: Composed) -> float | None:
        """Train one combination and return its monitored value, or None after an error, which is reported."""
        from ptrun import plugins
        from ptrun.runs import session

        folder = compose.job_folder()
        plugins.load(list(composed.get("plugins") or []))
        config = load.check(composed, self.folders, plugins.REGISTRIES if composed.get("plugins") else {})
        as_written = compose.plain(composed, resolve=False)
        overrides = compose.job_overrides()
        if not self.quiet:
            print(f"\n[{folder.name}] {' '.join(overrides)}")
        try:
            return session.run(
                session.TrainRequest(config, as_written, overrides, self.command, self.folders, folder, self.quiet)
            ).value
        except Interrupted as stopped:
            raise KeyboardInterrupt from stopped
        except PtrunError as error:
            Console(self.quiet).error([str(error)])
        except Exception:  # noqa: BLE001 (an unexpected error of one job must not stop the others)
            (folder / ERROR).write_text(traceback.format_exc(), encoding="utf-8")
            Console(self.quiet).error(f"Job {folder.name} failed unexpectedly; {folder / ERROR} has the details.")
        return None


def run(composer: Composer, overrides: Sequence[str], command: Sequence[str], quiet: bool) -> tuple[Path, int]:
    """Run what the sweeper asks for, print and write the table. Returns the folder, and 1 when a job failed, else 0."""
    first = load.load_config(composer, without_sweeps(overrides)).config
    users_folder = compose.sweep_dir(composer.compose(without_sweeps(overrides)))
    folder = Path(users_folder) if users_folder else create_run_dir(first.output_dir, ("sweep",)).path
    make_writable(folder, "hydra.sweep.dir")
    console = Console(quiet)
    console.header([("jobs", "as the sweeper decides"), ("folder", str(folder))], "ptrun train -m")
    if not users_folder:
        overrides = [*overrides, f"hydra.sweep.dir={quoted(str(folder))}"]
    earlier = {row["job"] for row in find.sweep_rows(folder)}  # of another sweep in a folder that the user chose
    try:
        composer.multirun(overrides, HydraJob(tuple(command), composer.folders, quiet))
    finally:
        from ptrun.sweeps import cross_validation  # needs NumPy and torch

        rows = find.sweep_rows(folder)
        table.report(rows, folder, console, (), report.write(folder, rows, console, plots=first.plots))
        cross_validation.report(folder, rows, console)
        table.report_next(rows, folder, console)
    states = [row["state"] for row in rows if row["job"] not in earlier]
    return folder, 0 if states and all(state == "done" for state in states) else 1
