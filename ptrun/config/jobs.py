"""The jobs of a sweep: all combinations of the given values, or those that a search asks for one after the other.

All are checked before any of them runs, those of a search at the ends of its axes.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig

from ptrun.config import load, overrides, schema
from ptrun.config.as_typed import takes_list, takes_text
from ptrun.config.comparison import require_jobs
from ptrun.config.compose import Composer
from ptrun.config.composition import Composition, JobConfig
from ptrun.config.hydra_section import OWN_TARGETS
from ptrun.config.run_config import GROUPS, SWEEP
from ptrun.config.search_space import Axis, Value, parse_axis
from ptrun.config.sweep import REPEATS, SweepSettings, is_setting, read_settings
from ptrun.errors import ConfigError

_MOST_COMBINATIONS = 100  # of components that are checked before a search


@dataclass(frozen=True)
class Search:
    """The configurations that a search can try, as points: a value for each axis of `space` that applies.

    texts: key → its override, for the keys with one value; None for the other keys, in the order that they were given.
    repeats: the overrides by which each configuration is repeated.
    """

    space: Sequence[Axis]
    texts: Mapping[str, str | None]
    repeats: Sequence[Sequence[str]]
    composition: Composition

    def applies(self, axis: Axis, point: Mapping[str, Value]) -> bool:
        """Whether an axis has a meaning for the components that were chosen."""
        return axis.within is None or point.get(axis.group) in axis.within

    def overrides(self, point: Mapping[str, Value]) -> list[list[str]]:
        """The overrides of each job of a point."""
        by_key = {axis.key: axis.override(point[axis.key]) for axis in self.space if axis.key in point}
        jobs = []
        for repeat in self.repeats:
            several = by_key | {overrides.key_of(text): text for text in repeat}
            jobs.append([text or several[key] for key, text in self.texts.items() if text or key in several])
        return jobs

    def jobs(self, point: Mapping[str, Value]) -> list[JobConfig]:
        """The jobs of a point, checked. Raises ConfigError."""
        return [self.composition.load(job, 0) for job in self.overrides(point)]

    def ends(self) -> list[list[str]]:
        """Jobs whose values are those at the ends of the axes, for every combination of components."""
        groups = [axis for axis in self.space if axis.key in GROUPS]
        combinations = itertools.islice(itertools.product(*(axis.choices for axis in groups)), _MOST_COMBINATIONS)
        points: list[dict[str, Value]] = []
        for combination in combinations:
            chosen: dict[str, Value] = {axis.key: name for axis, name in zip(groups, combination, strict=True)}
            others = [axis for axis in self.space if axis.key not in chosen and self.applies(axis, chosen)]
            first = chosen | {axis.key: axis.ends[0] for axis in others}
            points += [first, *(first | {axis.key: end} for axis in others for end in axis.ends[1:])]
        return [self.overrides(point)[0] for point in points] + self.overrides(points[0])[1:]


@dataclass(frozen=True)
class SweepConfig:
    """All jobs of a sweep. axes: keys with several values. fixed: the other overrides. folder: the user's, or "".

    jobs: those of a grid. search: how those of a search are made, or None. example: one of the jobs.
    """

    settings: SweepSettings
    folder: str
    axes: Sequence[str]
    fixed: Sequence[str]
    jobs: Sequence[JobConfig]
    search: Search | None
    example: JobConfig

    @property
    def num_jobs(self) -> int:
        """How many jobs there are to be."""
        return (self.settings.trials or 0) * len(self.search.repeats) if self.search else len(self.jobs)


def load_sweep(composer: Composer, texts: Sequence[str]) -> SweepConfig | None:
    """Compose and check all jobs. None when another sweeper or launcher than Hydra's basic ones is chosen.

    Raises ConfigError listing every problem, each with the job that has it.
    """
    fixed = overrides.without_sweeps(texts)
    registries = load.import_plugins(composer, fixed)
    of_jobs = [text for text in composer.unknown_choices(texts) if overrides.is_sweep(text)]  # each job is checked
    composer.check_overrides(
        [text for text in texts if text not in of_jobs or overrides.key_of(text) not in GROUPS],
        {group: list(names) for group, names in registries.items()},
    )
    composed = composer.compose_checked(fixed)
    if any(composed.hydra[part]._target_ != target for part, target in OWN_TARGETS.items()):
        return None
    settings = read_settings(composed)
    texts = _with_seeds(_all_texts(composed, texts), settings, composed)
    axes = overrides.axes(texts, composer.folders)
    composition = Composition(composer, registries, axes, composed)
    search = _search(texts, composition) if settings.is_search else None
    combinations = search.ends() if search else overrides.grid(texts, composer.folders, settings.paired or ())
    jobs = composition.load_all(combinations)
    if not search:  # the jobs of a search are not known yet
        require_jobs(settings.compare or (), [job.overrides for job in jobs])
        _note_repetitions(composer, len(combinations) - len(jobs), len(combinations))
    folder = str(composed.hydra.sweep.dir) or ("" if settings.dir in ("auto", "new") else settings.dir)
    keys = {overrides.key_of(text) for text in fixed}
    shared = [text for text in jobs[0].overrides if overrides.key_of(text) in keys and not text.startswith("hydra.")]
    return SweepConfig(settings, folder, axes, sorted(shared), [] if search else jobs, search, jobs[0])


def _note_repetitions(composer: Composer, number: int, total: int) -> None:
    if number:
        repeat = "repeats another one and is" if number == 1 else "repeat others and are"
        composer.notes[
            f"{number} of the {total} combinations {repeat} not run twice. Other values of seed make more runs."
        ] = None


def _all_texts(composed: DictConfig, texts: Sequence[str]) -> list[str]:
    """The axes of a recipe, then what the command gives, without the settings of the sweep itself."""
    params = composed.hydra.sweeper.params or {}
    several = [text for text in texts if is_setting(text) and overrides.is_sweep(text)]
    if several:
        key, _, value = several[0].partition("=")
        hint = ""
        if takes_list(key):
            hint = f" A list is written in brackets: {key}=[{value}]."
        elif takes_text(key):
            hint = f" Put quotes around a comma that belongs to it: {overrides.in_shell(key, value)}."
        raise ConfigError(f"{several[0]}: a setting of the sweep itself has one value.{hint}")
    return [*(f"{key}={value}" for key, value in params.items()), *(text for text in texts if not is_setting(text))]


def _with_seeds(texts: list[str], settings: SweepSettings, composed: DictConfig) -> list[str]:
    """The overrides, with an axis over `seed` for sweep.seeds."""
    if settings.seeds is None:
        return texts
    several = [text for text in texts if text.startswith("seed=") and overrides.is_sweep(text)]
    if several:
        raise ConfigError(f"sweep.seeds: {several[0]} gives the values of the seed already. Leave one of them out.")
    first = int(composed.seed)
    seeds = f"seed=range({first},{first + settings.seeds})"
    return [*(text for text in texts if not text.startswith("seed=")), seeds]


def _search(texts: Sequence[str], composition: Composition) -> Search:
    """The axes of a search. Raises ConfigError when there is none, or one that no component has."""
    folders = composition.composer.folders
    by_key = overrides.by_key(texts, folders)
    repeats = {key for key, override in by_key.items() if override.is_sweep_override() and key in REPEATS}
    swept = {key: override for key, override in by_key.items() if override.is_sweep_override() and key not in repeats}
    choices = {key: override.sweep_string_iterator() for key, override in swept.items() if key in GROUPS}
    chosen = {group: [name] for group, name in composition.chosen.items()}
    chosen |= {group: [str(name) for name in names] for group, names in choices.items()}
    space = [parse_axis(key, override, folders, chosen.get(_group(key), ())) for key, override in swept.items()]
    if not space:
        raise ConfigError(
            f"{SWEEP}: a search needs an axis, as optimizer.lr='tag(log, interval(1e-4, 1e-1))' or "
            "model=convnet,simplenet."
        )
    space = [_within(axis, chosen, composition) for axis in space]
    values = overrides.values_by_key([text for text in texts if overrides.key_of(text) in repeats], folders)
    single = {
        key: None if override.is_sweep_override() else overrides.text(key, override) for key, override in by_key.items()
    }
    return Search(space, single, list(itertools.product(*values.values())), composition)


def _group(key: str) -> str:
    return key.partition(".")[0]


def _within(axis: Axis, chosen: Mapping[str, Sequence[str]], composition: Composition) -> Axis:
    """The axis, with the choices of its group that have this setting when others have not."""
    names = chosen.get(axis.group, ()) if axis.key != axis.group else ()
    setting = axis.key.removeprefix(f"{axis.group}.")
    having = [name for name in names if setting in _settings(axis.group, name, composition)]
    return axis if not having or len(having) == len(names) else Axis(**{**vars(axis), "within": having})


def _settings(group: str, name: str, composition: Composition) -> Sequence[str]:
    """The settings of a component, from its YAML file or the function of a plugin."""
    declared = schema.find(group, name, composition.composer.folders)
    if declared is not None:
        return list(declared.keys)
    registry: Any = composition.registries.get(group)
    return list(registry.keywords(name)) if registry is not None and name in registry else []
