"""The receipt of a run: what was run, where, and on which code."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import platform
import shlex
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from ptrun.process.machine import cpu_name
from ptrun.runs import git
from ptrun.runs.folder import now
from ptrun.version import __version__

PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "pillow", "hydra-core", "omegaconf")


def preload() -> None:
    """Find out what is the same for all runs of this process and of its forks. A sweep of small runs feels it."""
    code_digest()
    for name in PACKAGES:
        _version(name)


def make_receipt(command: Sequence[str], overrides: Sequence[str]) -> dict[str, Any]:
    """The command, the versions of Python and the packages, the hardware, and the state of the code."""
    return {
        "command": shlex.join(command),
        "overrides": list(overrides),
        "started": now().isoformat(timespec="seconds"),
        "working_folder": str(Path.cwd()),
        "ptrun": __version__,
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "hardware": {
            "machine": platform.machine(),
            "system": platform.platform(),
            "cpu": cpu_name(),
            "cores": os.cpu_count(),
        },
        "git": git.commit(),
        "code": code_digest(),
    }


@functools.cache
def code_digest() -> str:
    """Hash of the package's own files: while ptrun is being worked on, its version alone does not identify the code."""
    digest, package = hashlib.blake2b(digest_size=8), Path(__file__).parent.parent
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


@functools.cache
def _version(package: str) -> str | None:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return None
