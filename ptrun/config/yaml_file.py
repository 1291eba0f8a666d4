"""Reads YAML: unique keys, plain numbers, and errors that name the line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from ptrun.errors import ConfigError


class _UniqueKeys(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's safe loader; unlike it, refuses a key that stands twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        """Refuse duplicate keys, which YAML forbids and PyYAML lets pass."""
        seen = set()
        for key_node, _ in node.value:
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key '{key_node.value}' stands twice", key_node.start_mark
                )
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


_UniqueKeys.yaml_constructors_before = dict(_UniqueKeys.yaml_constructors)


def _plain_number(loader: Any, node: Any) -> Any:
    """Refuse 010 and 12:30, which YAML 1.1 reads as 8 and 750."""
    text = node.value
    if ":" in text or re.match(r"[-+]?0[0-9_]+$", text):
        told = f"{text} would be read as a number of base {60 if ':' in text else 8}; write it in base 10, or as text in quotes"
        raise yaml.constructor.ConstructorError(None, None, told, node.start_mark)
    return loader.yaml_constructors_before[node.tag](loader, node)


for _tag in ("int", "float"):
    _UniqueKeys.add_constructor(f"tag:yaml.org,2002:{_tag}", _plain_number)


def load_yaml(text: str, path: Path) -> dict[str, Any]:
    """Parse YAML that must be a mapping. Raises ConfigError naming file and line."""
    try:
        values = yaml.load(text, Loader=_UniqueKeys)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise ConfigError(f"{path}{where}: this is not valid YAML: {problem}.") from None
    if not isinstance(values, dict):
        raise ConfigError(
            f"{path}: expected `key: value` lines, found {type(values).__name__ if values is not None else 'an empty file'}."
        )
    return values
