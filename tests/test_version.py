"""The version is the same in the package, the command and the built wheel."""

from __future__ import annotations

import re
from collections.abc import Callable

from support import ROOT, Ended

import ptrun
from ptrun.version import __version__


def test_the_command_prints_the_version(ptrun: Callable[..., Ended]):
    assert ptrun("--version").out == f"ptrun {__version__}\n"


def test_the_package_and_its_build_take_it_from_one_file():
    assert ptrun.__version__ == __version__
    assert re.fullmatch(r"\d+\.\d+\.\d+", __version__)
    assert 'path = "ptrun/version.py"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
