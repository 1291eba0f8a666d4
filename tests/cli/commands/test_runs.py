"""`ptrun runs` lists runs, newest first."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from support import Ended

from ptrun.runs.folder import RunDir

Call = Callable[..., Ended]


def test_runs_are_listed_newest_first(folder: Path, ptrun: Call):
    assert ptrun("runs").code == 2
    for age, name in enumerate(("day/new", "day/sweep/0", "day/old")):
        run = RunDir(folder / "outputs" / name)
        run.path.mkdir(parents=True)
        run.write_status("done" if age else "failed")
        run.write_json("receipt.json", {"overrides": [f"seed={age}"]})
        (run.path / "resolved.yaml").touch()
        os.utime(run.path / "status.json", (1000 - age, 1000 - age))
    run.write_json("summary.json", {"monitor": "val/loss", "best_value": 0.25, "training_seconds": 3.0})
    lines = [" ".join(line.split()) for line in ptrun("runs").out.splitlines()]
    assert lines == [
        "run settings best value time state",
        "outputs/day/new seed=0 - - - failed",
        "outputs/day/sweep/0 seed=1 - - - done",
        "outputs/day/old seed=2 val/loss 0.2500 3.00 s done",
    ]
    short = ptrun("runs", "outputs", "-n", "1").out
    assert short.endswith("2 older runs are not shown; -n 0 shows all.\n")
    assert ptrun("runs", "--help").code == 0
