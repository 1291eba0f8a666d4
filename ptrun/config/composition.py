"""One job of a sweep: its overrides composed and checked, and what identifies it.

Composing takes a tenth of a second. Jobs that choose the same components and differ in plain values only are copies of
one composed configuration with these values set, which a test compares with Hydra's own composition.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from ptrun.config import check as configuration
from ptrun.config import compose, load, overrides
from ptrun.config.compose import Composer
from ptrun.config.load import LoadedConfig
from ptrun.config.run_config import CHOSEN, GROUPS, RunConfig
from ptrun.errors import ConfigError
from ptrun.registry import Registry

NUMBERED = "${hydra.job.num}"  # hydra.sweep.subdir of conf/train.yaml

# Settings that change no result of a run: two runs that differ in these alone are the same job, unless the sweep itself
# has several values of one. `device.threads` is not among them: another number of threads gives other last bits.
HARMLESS = (
    "checkpoint",  # all but its name: with checkpoint=none the last weights are tested, not the best
    "dataset.cache",
    "dataset.cache_dir",
    "device.index",
    "label",
    "logger",
    "output_dir",
    "plots",
    "plugins",  # so that a corrected plugin runs the failed jobs only
    "train.num_workers",
)


@dataclass(frozen=True)
class JobConfig:
    """One job: its overrides, its checked configuration, and what identifies it.

    subdir: the folder that hydra.sweep.subdir names; "" for a number.
    """

    identity: str
    overrides: Sequence[str]
    loaded: LoadedConfig
    subdir: str


def identity(config: RunConfig, axes: Sequence[str]) -> str:
    """What identifies a job: a hash of all settings but those that are harmless and have one value in this sweep."""
    values = {key: value for key, value in flat(config.to_dict()) if _is_part_of(axes, key) or not is_harmless(key)}
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _is_part_of(names: Sequence[str], key: str) -> bool:
    """Whether a dotted key is one of these names, or below one of them."""
    return any(f"{key}.".startswith(f"{name}.") for name in names)


def is_harmless(key: str) -> bool:
    """Whether a setting changes no result of a run."""
    return key != "checkpoint.name" and _is_part_of(HARMLESS, key)


def flat(values: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each setting with its dotted key."""
    if isinstance(values, Mapping) and values:
        for key, value in values.items():
            yield from flat(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, values


@dataclass(frozen=True)
class _Composed:
    """A composed configuration; plain: the user's part in plain containers, where nothing in it refers to anything."""

    hydra: DictConfig
    plain: dict[str, Any] | None


class Composition:
    """Composes jobs, those that choose the same components only once.

    fixed: what all jobs have in common, composed. Of it `chosen` keeps which component each group has.
    """

    def __init__(
        self, composer: Composer, registries: Mapping[str, Registry[Any]], axes: Sequence[str], fixed: DictConfig
    ) -> None:
        self.composer, self.registries, self.axes = composer, registries, axes
        self.chosen = {group: str(fixed[group].name) for group in GROUPS if "name" in (fixed.get(group) or {})}
        subdir = OmegaConf.to_container(fixed.hydra.sweep, resolve=False)
        self._numbered = isinstance(subdir, dict) and subdir.get("subdir") == NUMBERED
        self._copies = self._numbered and "${hydra" not in OmegaConf.to_yaml(_user_part(fixed))
        self._composed: dict[tuple[str, ...], _Composed] = {}

    def load_all(self, jobs: Sequence[Sequence[str]]) -> list[JobConfig]:
        """The checked jobs without repetitions. Raises ConfigError, each problem once, with the first job of it."""
        jobs_by_problem: dict[str, list[str]] = {}
        loaded: dict[str, JobConfig] = {}
        for number, job in enumerate(jobs):
            try:
                config = self.load(job, number)
                loaded.setdefault(config.identity, config)
            except ConfigError as error:
                for problem in error.problems:
                    jobs_by_problem.setdefault(problem, []).append(" ".join(job))
        if jobs_by_problem:
            raise ConfigError(
                [
                    problem if len(affected) == len(jobs) else f"{problem} (job: {affected[0]})"
                    for problem, affected in jobs_by_problem.items()
                ]
            )
        return list(loaded.values())

    def load(self, job: Sequence[str], number: int) -> JobConfig:
        """One job, checked. Raises ConfigError."""
        unknown = self.composer.unknown_choices(job)
        self.composer.check_overrides(unknown, {group: list(names) for group, names in self.registries.items()})
        values = self._plain_values(job)
        base = None if values is None else self._base(job, values)
        if base is not None and base.plain is not None:
            as_written = copy.deepcopy(base.plain)
            if all(_set(as_written, key.split("."), value) for key, value in (values or {}).items()):
                config = configuration.check(as_written, self.composer.folders, self.registries)
                return self._job(job, LoadedConfig(config, as_written), "")
        with compose.job_values(self._compose(job, base, values), number) as composed:
            config = load.check(composed, self.composer.folders, self.registries)
            subdir = "" if self._numbered else str(composed.hydra.sweep.subdir).replace("/", "_")
            return self._job(job, LoadedConfig(config, compose.plain(composed, resolve=False)), subdir)

    def _job(self, job: Sequence[str], loaded: LoadedConfig, subdir: str) -> JobConfig:
        return JobConfig(identity(loaded.config, self.axes), tuple(job), loaded, subdir)

    def _base(self, job: Sequence[str], values: Mapping[str, Any]) -> _Composed:
        """The configuration that this job is a copy of, with other values."""
        choices = tuple(text for text in job if text.partition("=")[0] not in values)
        if choices not in self._composed:
            composed = self.composer.compose_checked(job)
            refers = "${" in OmegaConf.to_yaml(_user_part(composed))
            if not refers:
                load.refuse_presets_without_package(composed)
            self._composed[choices] = _Composed(composed, None if refers else compose.plain(composed, resolve=False))
        return self._composed[choices]

    def _compose(self, job: Sequence[str], base: _Composed | None, values: Mapping[str, Any] | None) -> DictConfig:
        if base is None or values is None:
            return self.composer.compose_checked(job)
        composed = copy.deepcopy(base.hydra)
        with open_dict(composed):
            for key, value in values.items():
                OmegaConf.update(composed, key, value, merge=True, force_add=True)
        return composed

    def _plain_values(self, job: Sequence[str]) -> dict[str, Any] | None:
        """The values of the axes that only replace plain values; None when that is not all that an axis changes."""
        if not self._copies:
            return None
        keys = [text.partition("=")[0] for text in job]
        values: dict[str, Any] = {}
        for key, text in zip(keys, job, strict=True):
            if key not in self.axes or key in CHOSEN:
                continue
            value = overrides.parse_values([text])[key]
            related = [
                other for other in keys if f"{other}.".startswith(f"{key}.") or f"{key}.".startswith(f"{other}.")
            ]
            nests = any(other != key and other not in GROUPS for other in related)
            if isinstance(value, dict | list) or "${" in str(value) or key.startswith(("hydra", "sweep")) or nests:
                return None
            values[key] = value
        return values


def _set(values: dict[str, Any], parts: Sequence[str], value: Any) -> bool:
    """Set a dotted key in nested dictionaries. Returns False when it leads through anything else."""
    for part in parts[:-1]:
        inner = values.setdefault(part, {})
        if not isinstance(inner, dict):
            return False
        values = inner
    if isinstance(values.get(parts[-1]), dict):
        return False
    values[parts[-1]] = value
    return True


def _user_part(composed: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
