"""The group `sweep` of a command: how the jobs of a sweep are chosen and run. conf/sweep/grid.yaml has meanings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ptrun.config import schema
from ptrun.config.check import check_section
from ptrun.config.comparison import comparison_problems
from ptrun.config.compose import Composed, section
from ptrun.config.folders import shipped_conf
from ptrun.config.run_config import SWEEP
from ptrun.errors import ConfigError, did_you_mean, join_words

GRID = "grid"
SEARCHES = ("random", "tpe", "cmaes", "gp")
GIB = 2**30  # bytes
COSTS = ("parameters", "training_seconds", "peak_memory_bytes")  # objectives of which less is better
REPEATS = ("seed", "dataset.split_seed", "split.seed", "split.fold")  # several values of these repeat a configuration


@dataclass(frozen=True)
class SweepSettings:
    """`name` says how configurations are chosen; the other fields are the keys of conf/sweep/grid.yaml."""

    name: str
    trials: int | None
    seed: int
    seeds: int | None
    paired: list[str] | None
    objectives: list[str] | None
    pruner: str
    min_epochs: int
    reduction_factor: int
    test: str
    compare: list[str] | None
    compare_by: str | None
    jobs: int | str
    timeout_minutes: float | None
    memory_gib: float | None
    retries: int
    fail_fast: bool
    launch: str
    workers: int
    launch_command: str | None
    slurm_options: str | None
    hosts: list[str] | None
    python: str | None
    worker_cpus: int
    worker_gpus: int
    storage: str | None
    plots: bool | str
    dir: str

    @property
    def is_search(self) -> bool:
        """Whether configurations are proposed one after the other, from the results so far."""
        return self.name != GRID


def read_settings(composed: Composed) -> SweepSettings:
    """The checked settings of a sweep, from the command or a recipe. Raises ConfigError listing every problem."""
    return as_settings(section(composed, SWEEP))


def as_settings(values: Mapping[str, Any]) -> SweepSettings:
    """Check settings, and add defaults. Raises ConfigError listing every problem."""
    name = str(values.get("name") or GRID)
    if name not in (GRID, *SEARCHES):
        available = (GRID, *SEARCHES)
        raise ConfigError(
            f"sweep: there is no sweep '{name}'.{did_you_mean(name, available)} Available: {join_words(available)}."
        )
    keys = schema.read(shipped_conf() / SWEEP / f"{name}.yaml", SWEEP).keys
    settings = check_section({key: value for key, value in values.items() if key != "name"}, keys, SWEEP)
    if name == GRID and settings["trials"] is not None:
        raise ConfigError(
            f"sweep.trials: a grid runs every combination of its values, so it takes no number of trials, and got "
            f"{settings['trials']}. sweep=random sweep.trials={settings['trials']} draws that many from them."
        )
    if name == GRID and settings["storage"] is not None:
        raise ConfigError(
            "sweep.storage: only the trials of a search (such as sweep=tpe) are copied to a storage of Optuna."
        )
    if name != GRID and settings["paired"] is not None:
        raise ConfigError(
            f"sweep.paired: sweep={name} chooses the value of each axis by itself. Only a grid pairs axes."
        )
    _check_objectives(name, settings)
    if problems := comparison_problems(settings["compare"] or (), settings["compare_by"], settings["test"]):
        raise ConfigError(problems)
    if name != GRID and settings["trials"] is None:
        raise ConfigError(f"sweep.trials: sweep={name} needs a number of trials, as sweep.trials=50.")
    return SweepSettings(name, **settings)


def _check_objectives(name: str, settings: Mapping[str, Any]) -> None:
    """Raise ConfigError for objectives that there are not, and where there can't be several."""
    objectives = settings["objectives"]
    if objectives is None:
        return
    metrics = [f"val/{metric}" for metric in ("loss", *schema.names("metric"))]
    problems = [
        f"sweep.objectives: there is no '{word}'.{did_you_mean(word, [*metrics, *COSTS])} Available: "
        f"{join_words([*metrics, *COSTS])}."
        for word in objectives
        if word not in (*metrics, *COSTS)
    ]
    if len(objectives) < 2:
        problems.append("sweep.objectives: one objective is train.monitor; give two or more, or null.")
    if name == "cmaes":
        problems.append("sweep.objectives: sweep=cmaes has one objective. sweep=tpe takes several.")
    if settings["pruner"] != "none":
        problems.append("sweep.objectives: runs are pruned by one value. Leave sweep.pruner or sweep.objectives out.")
    if problems:
        raise ConfigError(problems)


def refuse_settings(overrides: list[str]) -> None:
    """Raise ConfigError for settings of a sweep in a command that starts one run."""
    given = [text for text in overrides if is_setting(text)]
    if given:
        raise ConfigError(f"{given[0]}: this is a setting of a sweep, which -m starts: `ptrun train -m {given[0]}`.")


def is_setting(text: str) -> bool:
    """Whether an override is a setting of a sweep rather than of its jobs."""
    return text.lstrip("+").startswith((f"{SWEEP}.", f"{SWEEP}="))
