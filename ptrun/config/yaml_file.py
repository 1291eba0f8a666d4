"""Reads YAML more strictly than YAML 1.1: no key twice, no octal or sexagesimal numbers; errors name file and line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from ptrun.errors import ConfigError

_MAX_BYTES = 1 << 20
_MAX_ALIASES = 100  # nested aliases let a few hundred bytes stand for gigabytes
_ALIAS = re.compile(r"(?:^|[\s\[{,:-])\*[A-Za-z_]\w*")


class _StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's safe loader, the fast one where PyYAML was built with libyaml; it builds plain containers only."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Refuse a key that stands twice: YAML forbids it, PyYAML takes the last one."""
        keys = set()
        for key_node, _ in node.value:
            if isinstance(key_node, yaml.ScalarNode):
                if key_node.value in keys:
                    raise _problem(f"key '{key_node.value}' stands twice", key_node)
                keys.add(key_node.value)
        return super().construct_mapping(node, deep)

    def construct_decimal_int(self, node: Any) -> Any:
        """Refuse 010 and 12:30, which YAML 1.1 reads as 8 and 750."""
        _refuse_other_bases(node)
        return self.construct_yaml_int(node)

    def construct_decimal_float(self, node: Any) -> Any:
        """Refuse 12:30.5, which YAML 1.1 reads as 750.5."""
        _refuse_other_bases(node)
        return self.construct_yaml_float(node)


_StrictLoader.add_constructor("tag:yaml.org,2002:int", _StrictLoader.construct_decimal_int)
_StrictLoader.add_constructor("tag:yaml.org,2002:float", _StrictLoader.construct_decimal_float)


def load_yaml(text: str, path: Path) -> dict[str, Any]:
    """Parse YAML that must be a mapping; `path` is for the message. Raises ConfigError naming file and line."""
    try:
        values = yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{path}{line}: this is not valid YAML: {problem}.") from None
    if not isinstance(values, dict):
        content = "an empty file" if values is None else type(values).__name__
        raise ConfigError(f"{path}: expected `key: value` lines, found {content}.")
    return values


def read_checked(path: Path) -> dict[str, Any]:
    """A user's YAML file. Raises ConfigError when it is huge, holds many aliases, or does not parse."""
    text = path.read_text(encoding="utf-8", errors="replace")
    if len(text) > _MAX_BYTES or len(_ALIAS.findall(text)) > _MAX_ALIASES:
        raise ConfigError(
            f"{path}: too large for a configuration (more than {_MAX_BYTES >> 20} MiB or {_MAX_ALIASES} aliases)."
        )
    return load_yaml(text, path)


def _refuse_other_bases(node: Any) -> None:
    text = node.value
    if ":" in text or re.match(r"[-+]?0[0-9_]+$", text):
        base = 60 if ":" in text else 8
        raise _problem(
            f"{text} would be read as a number of base {base}; write it in base 10, or as text in quotes", node
        )


def _problem(message: str, node: Any) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, message, node.start_mark)
