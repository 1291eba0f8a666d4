"""The jobs of a sweep: all combinations of the given values, each composed and checked before any of them runs.

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

from ptrun.config import compose, load, overrides
from ptrun.config.compose import Composer
from ptrun.config.hydra_section import OWN_TARGETS
from ptrun.config.load import LoadedConfig
from ptrun.config.run_config import GROUPS, PRESETS, RunConfig
from ptrun.config.sweep import SweepSettings, read_settings
from ptrun.errors import ConfigError
from ptrun.registry import Registry

NUMBERED = "${hydra.job.num}"  # hydra.sweep.subdir of conf/train.yaml

# Settings that change no result of a run: two runs that differ in these alone are the same job, unless the sweep itself
# has several values of one. `device.threads` is not among them: another number of threads gives other last bits.
HARMLESS = (
    "checkpoint",  # but for its name: without any checkpoint the last weights are tested, not the best
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


@dataclass(frozen=True)
class SweepConfig:
    """All jobs of a sweep. axes: keys with several values. fixed: the other overrides. folder: the user's, or ""."""

    settings: SweepSettings
    folder: str
    axes: Sequence[str]
    fixed: Sequence[str]
    jobs: Sequence[JobConfig]


def load_sweep(composer: Composer, texts: Sequence[str]) -> SweepConfig | None:
    """Compose and check all jobs. None when another sweeper or launcher than Hydra's basic ones is chosen.

    Raises ConfigError listing every problem, each with the job that has it.
    """
    fixed = overrides.without_sweeps(texts)
    registries = load.import_plugins(composer, fixed)
    composer.check_overrides([text for text in texts if text not in composer.unknown_choices(texts)])
    composed = composer.compose_checked(fixed)
    if any(composed.hydra[part]._target_ != target for part, target in OWN_TARGETS.items()):
        return None
    params = composed.hydra.sweeper.params or {}
    texts = [*(f"{key}={value}" for key, value in params.items()), *texts]
    jobs = overrides.grid(texts, composer.folders)
    axes = overrides.axes(texts, composer.folders)
    composition = _Composition(composer, registries, axes, composed)
    loaded = _load_jobs(composition, jobs)
    settings = read_settings(composed)
    folder = str(composed.hydra.sweep.dir) or ("" if settings.dir in ("auto", "new") else settings.dir)
    given = {text.partition("=")[0].lstrip("+") for text in fixed}
    shared = [text for text in jobs[0] if text.partition("=")[0] in given and not text.startswith(("sweep.", "hydra."))]
    return SweepConfig(settings, folder, axes, sorted(shared), loaded)


def identity(config: RunConfig, axes: Sequence[str]) -> str:
    """What identifies a job: a hash of all settings but those that are harmless and have one value in this sweep."""
    values = {
        key: value
        for key, value in _flat(config.to_dict())
        if key == "checkpoint.name" or _is_part_of(axes, key) or not _is_part_of(HARMLESS, key)
    }
    text = json.dumps(values, sort_keys=True, default=str)
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _is_part_of(names: Sequence[str], key: str) -> bool:
    """Whether a dotted key is one of these names, or below one of them."""
    return any(f"{key}.".startswith(f"{name}.") for name in names)


def _flat(values: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(values, Mapping) and values:
        for key, value in values.items():
            yield from _flat(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, values


def _load_jobs(composition: _Composition, jobs: Sequence[Sequence[str]]) -> list[JobConfig]:
    """The checked jobs without repetitions. Raises ConfigError, each problem once, with the first job that has it."""
    jobs_by_problem: dict[str, list[str]] = {}
    loaded: dict[str, JobConfig] = {}
    for number, job in enumerate(jobs):
        try:
            config = composition.load(job, number)
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


class _Composition:
    """Composes jobs, those that choose the same components only once."""

    def __init__(
        self, composer: Composer, registries: Mapping[str, Registry[Any]], axes: Sequence[str], fixed: DictConfig
    ) -> None:
        self._composer, self._registries, self._axes = composer, registries, axes
        subdir = OmegaConf.to_container(fixed.hydra.sweep, resolve=False)
        self._numbered = isinstance(subdir, dict) and subdir.get("subdir") == NUMBERED
        self._copies = self._numbered and "${hydra" not in OmegaConf.to_yaml(_user_part(fixed))
        self._composed: dict[tuple[str, ...], DictConfig] = {}

    def load(self, job: Sequence[str], number: int) -> JobConfig:
        """One job, checked. Raises ConfigError."""
        unknown = self._composer.unknown_choices(job)
        self._composer.check_overrides(unknown, {group: list(names) for group, names in self._registries.items()})
        with compose.job_values(self._compose(job), number) as composed:
            config = load.check(composed, self._composer.folders, self._registries)
            subdir = "" if self._numbered else str(composed.hydra.sweep.subdir).replace("/", "_")
            as_written = compose.plain(composed, resolve=False)
        return JobConfig(identity(config, self._axes), tuple(job), LoadedConfig(config, as_written), subdir)

    def _compose(self, job: Sequence[str]) -> DictConfig:
        values = self._plain_values(job)
        if values is None:
            return self._composer.compose_checked(job)
        choices = tuple(text for text in job if text.partition("=")[0] not in values)
        if choices not in self._composed:
            self._composed[choices] = self._composer.compose_checked(job)
        composed = copy.deepcopy(self._composed[choices])
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
            if key not in self._axes or key in (*GROUPS, *PRESETS):
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


def _user_part(composed: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
