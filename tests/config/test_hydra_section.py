"""Hydra's own section: the shipped one is allowed, everything that names code is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from omegaconf import OmegaConf

from ptrun.config.compose import Composer
from ptrun.config.hydra_section import OWN_TARGETS, section_problems


@pytest.fixture(scope="module")
def section() -> dict[str, Any]:
    values = OmegaConf.to_container(Composer().compose([]).hydra, resolve=False)
    assert isinstance(values, dict)
    return values


def test_the_shipped_section_is_allowed(section: dict[str, Any]):
    assert section_problems(section) == []
    assert section["sweeper"]["_target_"] == OWN_TARGETS["sweeper"]
    assert section["launcher"]["_target_"] == OWN_TARGETS["launcher"]


def test_an_installed_plugin_is_allowed(section: dict[str, Any]):
    section = copy.deepcopy(section)
    section["launcher"] = {"_target_": "hydra_plugins.some_launcher.Launcher", "n_jobs": 2}
    assert section_problems(section) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("callbacks", {"x": {"_target_": "os.system"}}),
        ("searchpath", ["file:///tmp"]),
        ("job_logging", {"version": 1}),
        ("hydra_logging", None),
        ("job.env_set", {"A": "b"}),
        ("job.env_copy", ["A"]),
        ("launcher", {"_target_": "os.system"}),
        ("sweeper._target_", "hydra_plugins"),
        ("run.dir", "runs/first"),
        ("sweeper.params", "${label}"),
        ("sweeper.x", {"_target_": "os.system"}),
        ("launcher", None),
    ],
)
def test_everything_else_is_refused(section: dict[str, Any], path: str, value: Any):
    section = copy.deepcopy(section)
    parent, _, key = path.rpartition(".")
    (section[parent] if parent else section)[key] = value
    problems = section_problems(section)
    assert problems
    assert all(problem.startswith("hydra.") for problem in problems)
    assert section_problems(value) == ["hydra: expected a section."] or isinstance(value, dict)


def test_the_folder_of_a_run_is_refused_with_the_setting_to_use(section: dict[str, Any]):
    (problem,) = section_problems({**section, "run": {"dir": "runs/first"}})
    assert problem.startswith("hydra.run.dir: ptrun makes the folder of a run itself")
    assert "output_dir=runs/first" in problem
    assert section_problems({**section, "run": {"dir": "outputs/${now:%Y-%m-%d}/${now:%H-%M-%S}"}}) == []
