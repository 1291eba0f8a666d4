"""The names of the files in a folder of checkpoints. Imports no torch, so that a run is found before torch loads."""

from __future__ import annotations

import re
from pathlib import Path

from ptrun.errors import CheckpointError

BEST = "best.pt"  # another name of the best step file, which stays when that one is removed
LAST = "last.pt"  # another name of the newest step file
POINTERS = (BEST, LAST)

_STEP_FILE = re.compile(r"^step-(\d{8,})\.pt$")


def step_file(folder: Path, step: int) -> Path:
    """The path of the checkpoint after `step` optimizer steps."""
    return folder / f"step-{step:08d}.pt"


def step_files(folder: Path) -> list[Path]:
    """The step files of a folder, oldest first."""
    return sorted((path for path in folder.glob("step-*.pt") if _STEP_FILE.match(path.name)), key=step_of)


def step_of(path: Path) -> int:
    """The number of optimizer steps in the name of a step file."""
    return int(path.stem.removeprefix("step-"))


def not_found_error(path: Path) -> CheckpointError:
    """The error for a path that does not exist; it names the checkpoints in the same folder."""
    if path.name == "latest":
        hint = " Nothing was trained here yet: `ptrun train` makes it."
    else:
        hint = other_checkpoints(path)
    return CheckpointError(f"{path}: there is no such file or folder.{hint}")


def other_checkpoints(path: Path) -> str:
    """A sentence that names the checkpoints in the same folder, for the message about a missing one; "" for none."""
    names = sorted(other.name for other in path.parent.glob("*.pt")) if path.parent.is_dir() else []
    return f" In that folder: {', '.join(names[-5:])}." if names else ""
