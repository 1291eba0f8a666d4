"""The settings of a verb that applies a checkpoint, told from changes of the checkpoint's configuration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ptrun.config import schema
from ptrun.config.check import check_section
from ptrun.config.folders import shipped_conf


def split_settings(verb: str, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings that conf/VERB.yaml declares, checked and with defaults, and all other values.

    Raises ConfigError for a setting without a value that needs one, and for a value of another type.
    """
    keys = schema.read(shipped_conf() / f"{verb}.yaml").keys
    settings = check_section({key: value for key, value in values.items() if key in keys}, keys)
    return settings, {key: value for key, value in values.items() if key not in keys}
