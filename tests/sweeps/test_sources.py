"""What a sweep is made from is copied into its folder, and edits made since are told."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ptrun import plugins
from ptrun.sweeps import sources


@pytest.fixture
def given(folder: Path) -> tuple[list[Path], list[str]]:
    """Folders with YAML files, and plugins."""
    (folder / "conf" / "model").mkdir(parents=True)
    (folder / "conf" / "model" / "mine.yaml").write_text("a: 1\n")
    (folder / "conf" / "data.bin").write_bytes(b"large")
    (folder / "own.py").write_text("VALUE = 'as it was'\n")
    (folder / "sw").mkdir()
    return [folder / "conf"], ["own.py"]


def frozen(folder: Path, given: tuple[list[Path], list[str]]) -> dict[str, object]:
    plan = {"sources": sources.freeze(folder / "sw", *given)}
    (folder / "sw" / "sweep.json").write_text(json.dumps(plan))
    return plan


def test_yaml_files_and_plugins_are_read_as_they_were(folder: Path, given: tuple[list[Path], list[str]]):
    plan = frozen(folder, given)
    (folder / "conf" / "model" / "mine.yaml").write_text("a: 2\n")
    (folder / "own.py").unlink()
    [conf] = sources.thaw(folder / "sw", plan)
    assert (conf / "model" / "mine.yaml").read_text() == "a: 1\n"
    assert [path.name for path in conf.rglob("*") if path.is_file()] == ["mine.yaml"]
    plugins.load(["own.py"])
    path = str(folder / "own.py")
    [module] = [module for module in sys.modules.values() if getattr(module, "__file__", None) == path]
    assert module.VALUE == "as it was"
    function, arguments = plugins.LoadOnUnpickling().__reduce__()
    del sys.modules[module.__name__]
    function(*arguments)
    assert sys.modules[module.__name__].VALUE == "as it was"


def test_edited_sources_are_told(folder: Path, given: tuple[list[Path], list[str]]):
    assert sources.changes(folder / "sw", *given) == []
    frozen(folder, given)
    assert sources.changes(folder / "sw", *given) == []
    (folder / "conf" / "model" / "mine.yaml").write_text("a: 2\n")
    (folder / "conf" / "model" / "new.yaml").write_text("a: 2\n")
    [sentence] = sources.changes(folder / "sw", *given)
    assert "mine.yaml was edited since this sweep was started" in sentence
    assert "new jobs" in sentence
    (folder / "own.py").write_text("VALUE = 'as it is'\n")
    assert "the others run with it as it is now" in sources.changes(folder / "sw", *given)[0]
    frozen(folder, given)
    assert sources.changes(folder / "sw", *given) == []


def test_a_plan_of_an_earlier_version_names_its_folders(folder: Path):
    assert sources.thaw(folder, {"conf_folders": ["/conf"]}) == (Path("/conf"),)


HELPERS = """
import {package}.deep, {plain}
VALUE = ({plain}.VALUE, {package}.deep.VALUE, {package}.deep.__file__)
"""


def test_modules_that_a_plugin_imports_are_read_as_they_were(folder: Path):
    """Not those of installed packages, which `json` and `torch` stand for."""
    names = {"plain": f"plain_{folder.name}", "package": f"package_{folder.name}"}
    plain, package = folder / "plugins" / f"{names['plain']}.py", folder / "plugins" / names["package"]
    package.mkdir(parents=True)
    (folder / "sw").mkdir()
    (folder / "plugins" / "own.py").write_text(HELPERS.format(**names))
    plain.write_text("import json, torch\nVALUE = 'as it was'\n")
    (package / "__init__.py").write_text("from . import deep\n")
    (package / "deep.py").write_text("VALUE = 'as it was'\n")
    given = [], ["plugins/own.py"]
    plugins.load(given[1])
    plan = frozen(folder, given)
    modules = {names["plain"], names["package"], f"{names['package']}.deep"}
    assert set(plan["sources"]["modules"]) == modules  # type: ignore[index]

    plain.write_text("VALUE = 'edited'\n")
    (package / "deep.py").write_text("VALUE = 'edited'\n")
    assert [sentence.split()[0] for sentence in sources.changes(folder / "sw", *given)] == [
        str(package / "deep.py"), str(plain)
    ]  # fmt: skip
    for name in [name for name, module in sys.modules.items() if str(folder) in str(vars(module).get("__file__"))]:
        del sys.modules[name]
    sources.thaw(folder / "sw", plan)
    plugins.load(given[1])
    [module] = [module for name, module in sys.modules.items() if name.startswith("ptrun_plugin_own_")]
    assert ("as it was", "as it was", str(package / "deep.py")) == module.VALUE
