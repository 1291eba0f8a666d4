"""Overrides on the command line → composed configuration. The only module that knows Hydra.

Invariant: nothing that a configuration names is ever called (no `_target_`, no `()`), Hydra's own
section included; the folders of a user come before the shipped ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra import version as hydra_version
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from ptrun.config import schema, yaml_file
from ptrun.config.check import refuse_code
from ptrun.config.run_config import GROUPS, PRESETS
from ptrun.errors import ConfigError, did_you_mean, join_words

Composed = DictConfig  # a composed configuration, `hydra` section included

_OWN_TARGETS = {
    "sweeper": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
    "launcher": "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
}
_PLUGIN = re.compile(r"^hydra_plugins(\.\w+)+$")  # Hydra itself accepts only classes that such a plugin registers
_FOLDER_REFERENCE = re.compile(r"\$\{hydra\.(sweep\.dir|job\.name)\}")
_NO_LOGGING = {"version": 1, "root": None, "disable_existing_loggers": False}
_FIXED: dict[str, Any] = {"callbacks": {}, "hydra_logging": _NO_LOGGING, "job_logging": _NO_LOGGING, "searchpath": []}
_FIXED_JOB: dict[str, Any] = {"env_set": {}, "env_copy": []}
_MAX_YAML_BYTES = 1 << 20
_MAX_ALIASES = 100
_ALIAS = re.compile(r"(?:^|[\s\[{,:-])\*[A-Za-z_]\w*")


class Composer:
    """Hydra over the shipped configuration and a user's own folders, which win."""

    def __init__(self, config_name: str = "train", folders: Sequence[Path] = ()) -> None:
        self.config_name = config_name
        self.folders = tuple(folders)
        for folder in self.folders:
            _scan(folder)
        if hydra.__version__ < "1.4":
            hydra_version.setbase("1.3")
        places = [*self.folders, schema.shipped_conf()]
        path = create_config_search_path(str(places[0]))
        for place in places[1:]:
            path.prepend("ptrun", f"file://{place}", anchor="schema")
        GlobalHydra.instance().clear()
        self._hydra = Hydra.create_main_hydra2("ptrun", path)

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """Compose one configuration, `hydra` included. Raises ConfigError."""
        self.check_overrides(overrides)
        several = [text for text in overrides if OverridesParser.create().parse_override(text).is_sweep_override()]
        if several:
            raise ConfigError(
                f"{text}: several values make a sweep, which -m starts: `ptrun train -m {text}`. A list is written in brackets, as KEY=[1,2]."
                for text in several
            )
        return self.compose_checked(overrides)

    def compose_checked(self, overrides: Sequence[str]) -> DictConfig:
        """The same for overrides that are known to be well formed. Raises ConfigError."""
        try:
            composed = self._hydra.compose_config(
                self.config_name,
                [_forced(text) for text in overrides],
                RunMode.RUN,
                with_log_configuration=False,
                from_shell=False,
            )
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(_sentence(error)) from error
        section = OmegaConf.to_container(composed.hydra, resolve=False)
        problems = _hydra_problems(section) if isinstance(section, dict) else ["hydra: expected a section."]
        if problems:
            raise ConfigError(problems)
        return composed

    def check_overrides(self, overrides: Sequence[str], extra: Mapping[str, Sequence[str]] | None = None) -> None:
        """Report every override that is no `key=value`, and every choice that does not exist. Raises ConfigError.

        extra: group → names that plugins add.
        """
        problems = [problem for text in overrides for problem in self._problems(text, extra or {})]
        if problems:
            raise ConfigError(problems)

    def unknown_choices(self, overrides: Sequence[str]) -> list[str]:
        """The overrides that choose a component which no YAML file describes; a plugin may."""
        return [text for text in overrides if _parses(text) and self._problems(text, {})]

    def _problems(self, text: str, extra: Mapping[str, Sequence[str]]) -> list[str]:
        try:
            override = OverridesParser.create().parse_override(text)
        except (OverrideParseException, HydraException):
            return [_malformed(text)]
        key = override.key_or_group
        if override.is_delete():
            return [
                f"{text}: a setting can't be removed. Give it a value, as {key}=VALUE; {key}=null where null is allowed."
            ]
        if key.startswith(("hydra.", "hydra/")) or key not in (*GROUPS, *PRESETS):
            return []
        known = [*schema.names(key, self.folders), *extra.get(key, ())]
        return [
            f"{key}: there is no {key} '{choice}'.{did_you_mean(choice, known)} Available: {join_words(known)}."
            for choice in _choices(override)
            if choice not in known and choice != "null"
        ]

    def jobs(self, overrides: Sequence[str]) -> list[list[str]] | None:
        """The overrides of each job of a grid sweep; None when another sweeper than Hydra's basic one is chosen."""
        fixed = self.compose_checked(self.without_sweeps(overrides))
        if fixed.hydra.sweeper._target_ != _OWN_TARGETS["sweeper"]:
            return None
        from hydra._internal.core_plugins.basic_sweeper import BasicSweeper

        parsed = OverridesParser.create().parse_overrides(list(overrides))
        batches = BasicSweeper.split_arguments(parsed, max_batch_size=None)
        return [list(job) for batch in batches for job in batch]

    def without_sweeps(self, overrides: Sequence[str]) -> list[str]:
        """The overrides that have one value."""
        parse = OverridesParser.create().parse_override
        return [text for text in overrides if not parse(text).is_sweep_override()]

    def sweep_dir(self, overrides: Sequence[str]) -> str:
        """The folder that the user chose for a sweep; empty when it is to be made."""
        return str(self.compose_checked(self.without_sweeps(overrides)).hydra.sweep.dir)

    def multirun(self, overrides: Sequence[str], task: Callable[[DictConfig], Any]) -> Any:
        """Run `task` once for each job, through Hydra's sweeper and launcher."""
        try:
            return self._hydra.multirun(
                self.config_name, task, [_forced(text) for text in overrides], with_log_configuration=False
            )
        except HydraException as error:
            raise ConfigError(_sentence(error)) from error

    def show(self, kind: str, overrides: Sequence[str], package: str | None, resolve: bool) -> None:
        """Hydra's `--cfg job|hydra|all`."""
        self.compose_checked(overrides)
        self._hydra.show_cfg(self.config_name, [_forced(text) for text in overrides], kind, package, resolve)

    def info(self, kind: str, overrides: Sequence[str]) -> None:
        """Hydra's `--info all|config|defaults|defaults-tree|plugins|searchpath`."""
        self._hydra.show_info(kind, self.config_name, list(overrides))

    def completion(self, request: str) -> None:
        """Hydra's `-sc install=SHELL|uninstall=SHELL|query=SHELL`."""
        self._hydra.shell_completion(self.config_name, [request])


def job_folder() -> Path:
    """The folder of the running job of a sweep."""
    return Path(HydraConfig.get().runtime.output_dir)


def job_overrides() -> list[str]:
    """The overrides of the running job, as a user would type them."""
    return [text.lstrip("+") for text in HydraConfig.get().overrides.task]


def plain(composed: DictConfig, *, resolve: bool) -> dict[str, Any]:
    """The user's part of a configuration in plain containers. Raises ConfigError when a reference leads nowhere."""
    part = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
    try:
        values = OmegaConf.to_container(part, resolve=resolve)
    except OmegaConfBaseException as error:
        raise ConfigError(_sentence(error)) from error
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items() if key not in PRESETS}


def parse_values(overrides: Sequence[str]) -> dict[str, Any]:
    """`a.b=value` texts as a flat mapping of dotted keys to plain values. Raises ConfigError on what is no such text."""
    values: dict[str, Any] = {}
    problems = []
    for text in overrides:
        try:
            override = OverridesParser.create().parse_override(text)
        except (OverrideParseException, HydraException):
            problems.append(_malformed(text))
            continue
        if override.is_delete() or override.is_sweep_override():
            problems.append(f"{text}: expected KEY=VALUE with one value.")
            continue
        value = override.value()
        values[override.key_or_group] = OmegaConf.to_container(value) if OmegaConf.is_config(value) else value
    if problems:
        raise ConfigError(problems)
    return values


def add_choice(group: str, name: str, defaults: Mapping[str, Any]) -> None:
    """Make `group=name` known to Hydra for a plugin's component that has no YAML file."""
    from hydra.core.config_store import ConfigStore

    ConfigStore.instance().store(group=group, name=name, node={"name": name, **defaults})


def _forced(text: str) -> str:
    """`key=value` → `++key=value`, so that an unknown key reaches our check, which knows the nearest one."""
    key = text.lstrip("+").partition("=")[0]
    if key.startswith("hydra/") or key in (*GROUPS, *PRESETS):
        return text.lstrip("+")
    return f"++{text.lstrip('+')}"


def _choices(override: Override) -> list[str]:
    if override.is_sweep_override():
        return [str(choice) for choice in override.sweep_iterator()]
    value = override.value()
    return [str(each) for each in value] if isinstance(value, list) else ["null" if value is None else str(value)]


def _parses(text: str) -> bool:
    try:
        OverridesParser.create().parse_override(text)
    except (OverrideParseException, HydraException):
        return False
    return True


def _malformed(text: str) -> str:
    if "=" not in text:
        return f"{text}: expected KEY=VALUE, as in train.epochs=5."
    key, _, value = text.partition("=")
    if key != key.strip() or value != value.strip():
        return f"{text}: no spaces around '='. Write {key.strip()}={value.strip()}."
    return f"{text}: the value can't be read. Put quotes around one that holds = , : {{ [ or a space, and quotes for the shell around those: {key}=\"'{value}'\"."


def _sentence(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    place = next((line.partition(":")[2].strip() for line in lines if line.startswith("full_key:")), "")
    return f"{place}: {text}" if place else text


def _hydra_problems(section: Mapping[Any, Any]) -> list[str]:
    """Problems of Hydra's own section, unresolved: an allow-list, because much of it can call code, import or overwrite files."""
    job = section.get("job") or {}
    given = {key: section.get(key) for key in _FIXED} | {f"job.{key}": job.get(key) for key in _FIXED_JOB}
    wanted = _FIXED | {f"job.{key}": value for key, value in _FIXED_JOB.items()}
    problems = [
        f"hydra.{key}: this part of Hydra names code to run, files to write or environment variables, which no ptrun configuration may do."
        for key, value in given.items()
        if value != wanted[key]
    ]
    return problems + [problem for plugin in _OWN_TARGETS for problem in _plugin_problems(plugin, section.get(plugin))]


def _plugin_problems(plugin: str, settings: Any) -> list[str]:
    target = settings.get("_target_") if isinstance(settings, Mapping) else None
    if not isinstance(target, str) or not (target == _OWN_TARGETS[plugin] or _PLUGIN.match(target)):
        return [f"hydra.{plugin}: names code to run. Choose an installed one by hydra/{plugin}=NAME."]
    rest = {key: value for key, value in settings.items() if key != "_target_"}
    referring = [key for key, value in rest.items() if "${" in _FOLDER_REFERENCE.sub("", str(value))]
    return [
        *refuse_code(rest, f"hydra.{plugin}"),
        *(f"hydra.{plugin}.{key}: a reference is not allowed here: it could name code to run." for key in referring),
    ]


def _scan(folder: Path) -> None:
    """Refuse a folder with a former name, and YAML files that are huge, hold many aliases (a few bytes can stand for gigabytes), or do not parse. Raises ConfigError."""
    problems = []
    if (folder / "step").is_dir():
        problems.append(f"{folder / 'step'}: the folder of image transforms is called image_transform now. Rename it.")
    for path in sorted(folder.rglob("*.y*ml")):
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.suffix == ".yml":
            problems.append(f"{path}: Hydra reads .yaml files only. Rename it to {path.stem}.yaml.")
        elif len(text) > _MAX_YAML_BYTES or len(_ALIAS.findall(text)) > _MAX_ALIASES:
            problems.append(
                f"{path}: too large for a configuration (more than {_MAX_YAML_BYTES >> 20} MiB or {_MAX_ALIASES} aliases)."
            )
        else:
            try:
                yaml_file.load_yaml(text, path)
            except ConfigError as error:
                problems.extend(error.problems)
    if problems:
        raise ConfigError(problems)


def shadowed(folders: Sequence[Path]) -> list[str]:
    """Files of the user that replace shipped ones, to be said."""
    shipped = schema.shipped_conf()
    return [
        str(path)
        for folder in folders
        for path in sorted(folder.rglob("*.yaml"))
        if (shipped / path.relative_to(folder)).is_file()
    ]
