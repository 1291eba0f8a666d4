"""What was run, where, and on which code."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shlex
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from ptrun.process.machine import cpu_name
from ptrun.runs.folder import now
from ptrun.version import __version__

PACKAGES = ("torch", "torchvision", "numpy", "scikit-learn", "pillow", "hydra-core", "omegaconf")


def make_receipt(command: Sequence[str], overrides: Sequence[str]) -> dict[str, Any]:
    """What was run, where, and on which code."""
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
        "git": _git(),
        "code": _code_digest(),
    }


def _code_digest() -> str:
    """Hash of the package's own files, which say more than its version where it is being worked on."""
    digest, package = hashlib.blake2b(digest_size=8), Path(__file__).parent.parent
    for path in sorted(package.rglob("*.py")):
        digest.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def working_diff() -> str | None:
    """Uncommitted changes of the git checkout that the working folder is in; None when there are none."""
    return _run_git("diff", "--no-ext-diff", "--no-textconv", "HEAD") or None


def _git() -> dict[str, Any] | None:
    commit = _run_git("rev-parse", "HEAD")
    if not commit:
        return None
    return {
        "commit": commit,
        "branch": _run_git("rev-parse", "--abbrev-ref", "HEAD"),
        "dirty": bool(_run_git("status", "--porcelain", "--untracked-files=no")),
    }


def _run_git(*arguments: str) -> str:
    """Output of a git command that runs no program named in the environment or in the repository's settings; "" on failure."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    command = ["git", "-c", "core.fsmonitor=false", "-c", "core.pager=cat", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False, env=environment)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _version(package: str) -> str | None:
    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(package)
    return None
