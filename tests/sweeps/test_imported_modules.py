"""The user's modules that plugins import are found, wherever the import stands, and no others."""

from __future__ import annotations

from pathlib import Path

from ptrun import plugins
from ptrun.sweeps.imported_modules import imported_modules

PLUGIN = """
import json, torch
import {at_once}

def build():
    import {late}, no_such_module
    from {package}.deep import anything
"""


def test_modules_are_found_that_no_function_has_imported_yet(folder: Path):
    names = {name: f"{name}_{folder.name}" for name in ("at_once", "late", "later", "package", "unused", "broken")}
    for name in ("at_once", "unused"):
        (folder / f"{names[name]}.py").touch()
    (folder / "own.py").write_text(PLUGIN.format(**names))
    (folder / f"{names['late']}.py").write_text("if False:\n    import {later}, own\n".format(**names))
    (folder / f"{names['later']}.py").write_text("import {broken}, {late}\n".format(**names))  # in a circle
    (folder / f"{names['broken']}.py").write_text("def half(:\n")
    (folder / names["package"] / "inner").mkdir(parents=True)
    for module in ("__init__", "beside", "inner/leaf"):  # `inner` is a package without __init__.py
        (folder / names["package"] / f"{module}.py").touch()
    (folder / names["package"] / "deep.py").write_text(
        "from . import beside\nfrom .inner.leaf import x\nfrom ... import y"
    )
    assert imported_modules([]) == {}
    plugins.load(["own.py"])
    package = names["package"]
    found = imported_modules(["own.py"])
    assert set(found) - {"own"} == {
        *(names[name] for name in ("at_once", "late", "later", "broken", "package")),
        *(f"{package}.deep", f"{package}.beside", f"{package}.inner.leaf"),
    }
    assert found[f"{package}.inner.leaf"] == folder / package / "inner" / "leaf.py"
