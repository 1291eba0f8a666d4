"""The parts of Hydra that we need and that Hydra does not promise to keep, in one place.

Composition itself is public (`hydra.compose`). A search path of several folders is public from Hydra 1.4 on; Hydra 1.3,
which gets security fixes only, needs two private names. Sweeps, `--info` and shell completion are methods of an object
that Hydra keeps to itself: when one is missing, only the feature that needs it ends, with a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import hydra
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override, Transformer
from hydra.core.plugins import Plugins
from hydra.plugins.config_source import ConfigResult

from ptrun.config.folders import shipped_conf
from ptrun.config.yaml_file import read_checked
from ptrun.errors import ConfigError

# What does not work when a method of Hydra's object is missing.
FEATURES = {
    "multirun": "sweeps (-m)",
    "show_info": "reports (--info)",
    "shell_completion": "shell completion (-sc)",
}


class CheckedFiles(FileConfigSource):
    """Hydra's files of a folder, each checked when it is used: a broken file that nothing asks for does no harm."""

    @staticmethod
    def scheme() -> str:
        """The word before `://` in Hydra's search path that chooses this class."""
        return "checked"

    def load_config(self, config_path: str) -> ConfigResult:
        """Read one file. Raises ConfigError when it is too large for Hydra to parse, or no YAML that we accept."""
        path = Path(self.path, self._normalize_file_name(config_path))
        if path.is_file():
            read_checked(path)
        return super().load_config(config_path)


def start(folders: Sequence[Path]) -> Any:
    """Start Hydra with these folders; the first one wins. Returns the object that `hydra.compose` works on."""
    shipped = shipped_conf()
    sources = [f"{'file' if folder == shipped else CheckedFiles.scheme()}://{folder}" for folder in folders]
    Plugins.instance().register(CheckedFiles)
    GlobalHydra.instance().clear()
    public_start = getattr(hydra, "initialize_config_search_path", None)
    if public_start is not None:
        public_start(sources, job_name="ptrun")
    else:
        _start_privately(sources)
    return GlobalHydra.instance().hydra


def _start_privately(sources: Sequence[str]) -> None:
    """The same with Hydra 1.3, whose public functions take one folder: add the others between it and the schema."""
    from hydra import version
    from hydra._internal.hydra import Hydra
    from hydra._internal.utils import create_config_search_path

    version.setbase("1.3")
    path = create_config_search_path(sources[0])
    for source in sources[1:]:
        path.prepend("ptrun", source, anchor="schema")
    Hydra.create_main_hydra2("ptrun", path)


def value_texts(override: Override) -> list[str]:
    """The values of an override, one or several, as they would be typed: a bool as YAML spells it, where Hydra's own
    function writes True.
    """
    if override.is_sweep_override():
        return list(map(str, override.sweep_iterator(transformer=_element_text)))
    return [_element_text(override._value)]


def _element_text(value: Any) -> str:
    return str(Transformer.str(_spelled(value)))


def _spelled(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return [_spelled(item) for item in value]
    if isinstance(value, dict):
        return {key: _spelled(item) for key, item in value.items()}
    return value


def method(hydra_object: Any, name: str) -> Callable[..., Any]:
    """A method of Hydra's object. Raises ConfigError when this version of Hydra has no such method."""
    function: Callable[..., Any] | None = getattr(hydra_object, name, None)
    if function is None:
        raise ConfigError(
            f"Hydra {hydra.__version__} does not offer what {FEATURES[name]} need in ptrun. "
            "Everything else works. Install another version: pip install 'hydra-core>=1.3.7,<1.5'."
        )
    return function
