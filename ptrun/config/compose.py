"""Overrides → composed configuration, by Hydra.

Nothing that a configuration names is ever called: neither `_target_` nor `()`, in Hydra's own section as elsewhere
(tests/test_security.py). The user's folders come before the shipped one.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from ptrun.config import hydra_internals, overrides, yaml_file
from ptrun.config.folders import shipped_conf
from ptrun.config.hydra_section import section_problems
from ptrun.config.recipe import Recipe, read_recipe
from ptrun.config.run_config import GROUPS, PRESETS, SWEEP
from ptrun.errors import ConfigError, join_words

Composed = DictConfig  # a composed configuration, `hydra` section included


class Composer:
    """Hydra over the shipped configuration and a user's own folders, which win."""

    def __init__(self, config_name: str = "train", folders: Sequence[Path] = ()) -> None:
        """Raises ConfigError when the root file in a user's folder belongs to another program."""
        self.config_name = config_name
        self.folders = tuple(folders)
        _refuse_former_names(self.folders)
        _refuse_foreign_root(config_name, self.folders)
        self._hydra = hydra_internals.start([*self.folders, shipped_conf()])
        self.notes: dict[str, None] = {}  # sentences on what was composed, in order

    def compose(self, texts: Sequence[str]) -> DictConfig:
        """Compose one configuration, `hydra` included. Raises ConfigError."""
        self.check_overrides(texts)
        overrides.refuse_sweeps(texts)
        return self.compose_checked(texts)

    def compose_checked(self, texts: Sequence[str]) -> DictConfig:
        """Compose overrides that `check_overrides` has accepted. Raises ConfigError.

        Settings that a recipe gives to a component are left out where the command line chooses another component.
        """
        recipes = self._recipes(texts)
        composed = self._compose(texts)
        self._leave_out_settings_of_others(composed, texts, recipes)
        problems = section_problems(OmegaConf.to_container(composed.hydra, resolve=False))
        if problems:
            raise ConfigError(problems)
        return composed

    def _compose(self, texts: Sequence[str]) -> DictConfig:
        GlobalHydra.instance().hydra = self._hydra  # another Composer may have been made since
        try:
            return hydra.compose(
                self.config_name, [overrides.forced(text, self.folders) for text in texts], return_hydra_config=True
            )
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(_sentence(error)) from error

    def _recipes(self, texts: Sequence[str]) -> list[Recipe]:
        """The recipes that overrides name."""
        named = [text.lstrip("+").split("=", 1) for text in texts if _is_recipe(text)]
        if not named:
            return []
        without = self._compose([])
        defaults = {group: str(without[group].get("name")) for group in GROUPS}
        return [read_recipe(group, name, self.folders, defaults) for group, name in named]

    def _leave_out_settings_of_others(
        self, composed: DictConfig, texts: Sequence[str], recipes: Sequence[Recipe]
    ) -> None:
        """Drop what a recipe sets for a component where the command line, or a recipe based on it, chooses another."""
        chosen = {key: str(composed[key].get("name")) for text in texts if (key := overrides.key_of(text)) in GROUPS}
        left_out = [dropped for recipe in recipes for dropped in recipe.with_choices(chosen)]
        self.notes |= dict.fromkeys(dropped.sentence for dropped in left_out)
        groups = {dropped.group for dropped in left_out}
        if not groups:
            return
        names = [f"{group}={composed[group].name}" for group in groups if group not in chosen]
        now = self._compose([*(text for text in texts if not _is_recipe(text)), *names])
        typed = {overrides.key_of(text) for text in texts}
        with open_dict(composed):
            for group in groups:
                composed[group] = now[group]
                for key, value in (item for recipe in recipes for item in recipe.sections.get(group, {}).items()):
                    if f"{group}.{key}" not in typed:
                        composed[group][key] = value

    def check_overrides(self, texts: Sequence[str], plugin_names: Mapping[str, Sequence[str]] | None = None) -> None:
        """Raise ConfigError for every text that is no `key=value`, and every choice that does not exist.

        plugin_names: group → names that plugins add.
        """
        problems = [
            problem for text in texts for problem in overrides.override_problems(text, self.folders, plugin_names)
        ]
        if problems:
            raise ConfigError(problems)

    def unknown_choices(self, texts: Sequence[str]) -> list[str]:
        """The overrides that choose a component without a YAML file; a plugin may have it."""
        return overrides.unknown_choices(texts, self.folders)

    def multirun(self, texts: Sequence[str], task: Callable[[DictConfig], Any]) -> Any:
        """Run `task` once for each job, through Hydra's sweeper and launcher. Raises ConfigError."""
        run = hydra_internals.method(self._hydra, "multirun")
        forced = [overrides.forced(text, self.folders) for text in texts]
        try:
            return run(self.config_name, task, forced, with_log_configuration=False)
        except (HydraException, OmegaConfBaseException) as error:
            raise ConfigError(_sentence(error)) from error

    def print_config(self, kind: str, texts: Sequence[str], package: str | None, resolve: bool) -> None:
        """Print the composed configuration: kind `job` without Hydra's section, `hydra` that alone, `all` both."""
        composed = self.compose_checked(texts)
        HydraConfig.instance().set_config(composed)  # what `${hydra:...}` refers to
        keys = [str(key) for key in composed if kind == "all" or (key == "hydra") == (kind == "hydra")]
        selected = OmegaConf.masked_copy(composed, keys)
        if package not in (None, "_global_"):
            selected = OmegaConf.select(selected, str(package))
            if selected is None:
                raise ConfigError(f"--package: the configuration has no part '{package}'.")
            print(f"# @package {package}")
        if resolve and OmegaConf.is_config(selected):
            _resolve(selected)
        sys.stdout.write(OmegaConf.to_yaml(selected) if OmegaConf.is_config(selected) else f"{selected}\n")

    def print_info(self, kind: str, texts: Sequence[str]) -> None:
        """Print Hydra's report: all, config, defaults, defaults-tree, plugins or searchpath. Raises ConfigError."""
        hydra_internals.method(self._hydra, "show_info")(kind, self.config_name, list(texts))

    def print_completion(self, request: str) -> None:
        """Print Hydra's answer to `install=SHELL`, `uninstall=SHELL` or `query=SHELL`. Raises ConfigError."""
        hydra_internals.method(self._hydra, "shell_completion")(self.config_name, [request])


def sweep_dir(composed: DictConfig) -> str:
    """The folder that the user chose for a sweep by Hydra's own setting; "" when a new one is to be made."""
    return str(composed.hydra.sweep.dir)


def job_folder() -> Path:
    """The folder of the running job of a sweep."""
    return Path(HydraConfig.get().runtime.output_dir)


def job_overrides() -> list[str]:
    """The overrides of the running job, as a user would type them."""
    return [text.lstrip("+") for text in HydraConfig.get().overrides.task]


@contextmanager
def job_values(composed: DictConfig, number: int) -> Iterator[DictConfig]:
    """Inside, `${hydra:...}` refers to this composed configuration, as that of the job with this number."""
    with open_dict(composed):
        composed.hydra.job.num, composed.hydra.job.id = number, str(number)
    HydraConfig.instance().set_config(composed)
    try:
        yield composed
    finally:
        HydraConfig.instance().cfg = None


def plain(composed: DictConfig, *, resolve: bool) -> dict[str, Any]:
    """The user's part of a configuration in plain containers. Raises ConfigError when a reference leads nowhere."""
    part = OmegaConf.masked_copy(composed, [str(key) for key in composed if key != "hydra"])
    try:
        values = OmegaConf.to_container(part, resolve=resolve)
    except OmegaConfBaseException as error:
        raise ConfigError(_sentence(error)) from error
    assert isinstance(values, dict)
    return {str(key): value for key, value in values.items() if key not in (*PRESETS, SWEEP)}


def resolved(values: Mapping[str, Any]) -> dict[str, Any]:
    """Plain containers with their references `${...}` resolved. Raises ConfigError when one leads nowhere."""
    return plain(OmegaConf.create(dict(values)), resolve=True)


def section(composed: DictConfig, name: str) -> dict[str, Any]:
    """One section in plain containers, references resolved; empty when there is none. Raises ConfigError."""
    try:
        values = OmegaConf.to_container(composed[name], resolve=True) if composed.get(name) is not None else {}
    except OmegaConfBaseException as error:
        raise ConfigError(_sentence(error)) from error
    return {str(key): value for key, value in values.items()} if isinstance(values, dict) else {}


def add_choice(group: str, name: str, defaults: Mapping[str, Any]) -> None:
    """Make `group=name` known to Hydra for a plugin's component that has no YAML file."""
    store = ConfigStore.instance().store
    # A plugin may be loaded again in one process. Hydra 1.3 replaces what is stored; 1.4 has to be asked to.
    replace: dict[str, Any] = {"replace": True} if "replace" in inspect.signature(store).parameters else {}
    store(group=group, name=name, node={"name": name, **defaults}, **replace)


def _is_recipe(text: str) -> bool:
    """Whether an override chooses a recipe."""
    return overrides.key_of(text) in PRESETS and not text.endswith("=null")


def _refuse_former_names(folders: Sequence[Path]) -> None:
    problems = [
        f"{folder / 'step'}: the folder of image transforms is called image_transform now. Rename it."
        for folder in folders
        if (folder / "step").is_dir()
    ]
    if problems:
        raise ConfigError(problems)


def _refuse_foreign_root(config_name: str, folders: Sequence[Path]) -> None:
    """Raise ConfigError when a user's folder has a root file that another program's configuration starts from."""
    path = next((path for folder in folders if (path := folder / f"{config_name}.yaml").is_file()), None)
    if path is None:
        return
    values = yaml_file.read_checked(path)
    entries = values.get("defaults")
    entries = entries if isinstance(entries, list) else []
    if any(isinstance(entry, str) and entry != "_self_" for entry in entries):
        return  # it is based on another root file
    keys = [str(key) for entry in entries if isinstance(entry, Mapping) for key in entry]
    chosen = {key.split()[-1].strip("/") for key in keys if key.split()} | {str(key) for key in values}
    missing = [group for group in GROUPS if group not in chosen and group != "split"]  # which older files lack
    if missing:
        raise ConfigError(
            f"{path}: ptrun would start from this file, but it is not a file for ptrun: its defaults list does not "
            f"choose {join_words(missing)}. If it belongs to another program, start ptrun in another folder. If it "
            f"is yours, copy the defaults list of {shipped_conf() / 'train.yaml'}."
        )


def _resolve(config: Any) -> None:
    """Replace the references in a part of a configuration. Raises ConfigError when one can't be resolved."""
    try:
        OmegaConf.to_container(config, resolve=True)  # its errors name the key, unlike those of `resolve`
        OmegaConf.resolve(config)
    except OmegaConfBaseException as error:
        raise ConfigError(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    """The first line of Hydra's message, after the key that it is about."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    key = next((line.partition(":")[2].strip() for line in lines if line.startswith("full_key:")), "")
    text = _reference_sentence(text)
    return f"{key}: {text}" if key else text


def _reference_sentence(text: str) -> str:
    """OmegaConf's message about a reference `${...}` in plain words; any other message as it is."""
    if match := re.search(r"Environment variable '(.*?)' not found", text):
        return (
            f"refers to the environment variable {match[1]}, which is not set. Set it, or give a value for that case: "
            f"${{oc.env:{match[1]},VALUE}}."
        )
    if match := re.match(r"Interpolation key '(.*)' not found", text):
        return f"refers to ${{{match[1]}}}, and there is no setting {match[1]}."
    if match := re.match(r"Unsupported interpolation type (.*)", text):
        return f"refers to ${{{match[1]}:...}}, which is no kind of reference that Hydra knows."
    if text == "Recursive interpolation detected":
        return "refers to itself."
    if "HydraConfig was not set" in text:
        return "refers to ${hydra:...}, which has a value only in the jobs of a sweep (ptrun train -m)."
    if match := re.match(r"\w+ raised while resolving interpolation: (.*)", text):
        return f"holds a reference ${{...}} that can't be resolved: {match[1]}."
    return text
