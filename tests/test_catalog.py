"""The catalog lists every module that registers components, and plugins can't take the name of a shipped one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ptrun import catalog
from ptrun.errors import ConfigError

PACKAGE = Path(catalog.__file__).parent
REGISTERS = re.compile(r"^@\w+\.register$", re.MULTILINE)


def test_every_module_that_registers_components_is_listed():
    registering = {path for path in PACKAGE.rglob("*.py") if REGISTERS.search(path.read_text(encoding="utf-8"))}
    listed = {Path(str(module.__file__)) for module in catalog.MODULES}
    assert registering - listed == set()
    assert len(listed) == len(catalog.MODULES), "a module is listed twice"


def test_a_plugin_can_be_used_once_it_is_loaded(tmp_path: Path):
    path = tmp_path / "extra.py"
    path.write_text(
        "from ptrun.registry import losses\n\n\n@losses.register\ndef catalog_test_loss(outputs, targets):\n    ...\n",
        encoding="utf-8",
    )
    try:
        assert "catalog_test_loss" in catalog.load_plugins([str(path)])["loss"]
    finally:
        del catalog.plugins.REGISTRIES["loss"]._functions["catalog_test_loss"]


def test_a_plugin_that_takes_a_shipped_name_is_refused(tmp_path: Path):
    path = tmp_path / "twice.py"
    path.write_text(
        "from ptrun.registry import losses\n\n\n@losses.register\ndef mse(outputs, targets):\n    ...\n",
        encoding="utf-8",
    )
    with pytest.raises(ConfigError, match=r"loss 'mse' is registered twice: in ptrun\.losses\.regression\.mse and in "):
        catalog.load_plugins([str(path)])
