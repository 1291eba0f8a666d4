"""The section `sweep` of a command: how the jobs of a sweep are run. conf/sweep.yaml has meanings and units."""

from __future__ import annotations

from dataclasses import dataclass

from ptrun.config import schema
from ptrun.config.check import check_section
from ptrun.config.compose import Composed, section
from ptrun.config.folders import shipped_conf
from ptrun.config.run_config import SWEEP
from ptrun.errors import ConfigError


@dataclass(frozen=True)
class SweepSettings:
    """The fields are the keys of conf/sweep.yaml, which a test compares."""

    jobs: int | str
    timeout_minutes: float | None
    retries: int
    fail_fast: bool
    dir: str


def read_settings(composed: Composed) -> SweepSettings:
    """The checked settings of a sweep, from the command or a recipe. Raises ConfigError listing every problem."""
    keys = schema.read(shipped_conf() / "sweep.yaml").keys
    return SweepSettings(**check_section(section(composed, SWEEP), keys, SWEEP))


def refuse_settings(overrides: list[str]) -> None:
    """Raise ConfigError for settings of a sweep in a command that starts one run."""
    given = [text for text in overrides if text.lstrip("+").startswith(f"{SWEEP}.")]
    if given:
        raise ConfigError(f"{given[0]}: this is a setting of a sweep, which -m starts: `ptrun train -m {given[0]}`.")
