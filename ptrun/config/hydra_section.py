"""Checks Hydra's own section of a configuration against a list of what is allowed.

Much of that section can call code, import modules or write files, so what is not known to be safe is refused.
tests/test_security.py tries every way that we know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ptrun.config.check import refuse_code

OWN_TARGETS = {  # classes of Hydra that stand in its own YAML files as `_target_`
    "sweeper": "hydra._internal.core_plugins.basic_sweeper.BasicSweeper",
    "launcher": "hydra._internal.core_plugins.basic_launcher.BasicLauncher",
}
_PLUGIN = re.compile(r"^hydra_plugins(\.\w+)+$")  # Hydra itself accepts only classes that such a plugin registers
_FOLDER_REFERENCE = re.compile(r"\$\{hydra\.(sweep\.dir|job\.name)\}")
# The folder of a single run as conf/train.yaml and Hydra itself write it; neither makes Hydra make a folder.
_RUN_DIRS = (".", "outputs/${now:%Y-%m-%d}/${now:%H-%M-%S}")
_NO_LOGGING = {"version": 1, "root": None, "disable_existing_loggers": False}
_ALLOWED: dict[str, Any] = {
    "callbacks": {},
    "hydra_logging": _NO_LOGGING,
    "job_logging": _NO_LOGGING,
    "searchpath": [],
    "job.env_set": {},
    "job.env_copy": [],
}


def section_problems(section: Any) -> list[str]:
    """What the `hydra` section, with its references unresolved, must not hold; empty when it is safe."""
    if not isinstance(section, Mapping):
        return ["hydra: expected a section."]
    values = {**section, **{f"job.{key}": value for key, value in (section.get("job") or {}).items()}}
    problems = [
        f"hydra.{key}: this part of Hydra names code to run, files to write or environment variables, "
        "which no ptrun configuration may do."
        for key, allowed in _ALLOWED.items()
        if values.get(key) != allowed
    ]
    problems += _run_dir_problems(section.get("run"))
    return problems + [problem for kind in OWN_TARGETS for problem in _plugin_problems(kind, section.get(kind))]


def _run_dir_problems(run: Any) -> list[str]:
    """Refuse another folder for a run than ptrun would make, because the setting has no effect."""
    folder = run.get("dir") if isinstance(run, Mapping) else None
    if folder is None or folder in _RUN_DIRS:
        return []
    problem = (
        "hydra.run.dir: ptrun makes the folder of a run itself, so this setting has no effect. Say where by "
        f"output_dir={folder}, and add a word to the folder's name by label=WORD."
    )
    return [problem]


def _plugin_problems(kind: str, settings: Any) -> list[str]:
    target = settings.get("_target_") if isinstance(settings, Mapping) else None
    if not isinstance(target, str) or not (target == OWN_TARGETS[kind] or _PLUGIN.match(target)):
        return [f"hydra.{kind}: names code to run. Choose an installed {kind} by hydra/{kind}=NAME."]
    others = {key: value for key, value in settings.items() if key != "_target_"}
    references = [key for key, value in others.items() if "${" in _FOLDER_REFERENCE.sub("", str(value))]
    return [
        *refuse_code(others, f"hydra.{kind}"),
        *(f"hydra.{kind}.{key}: a reference is not allowed here: it could name code to run." for key in references),
    ]
