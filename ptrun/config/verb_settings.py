"""Separates the settings of a verb, such as predict, from changes of the configuration that a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ptrun.config import schema
from ptrun.config.check import check_section
from ptrun.config.folders import shipped_conf
from ptrun.errors import ConfigError, did_you_mean


def split_settings(verb: str, values: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings that conf/VERB.yaml declares, checked and with defaults, and all other values.

    Raises ConfigError for a setting without a value that needs one, and for a value of another type.
    """
    keys = schema.read(shipped_conf() / f"{verb}.yaml").keys
    changes = {key: value for key, value in values.items() if key not in keys}
    try:
        settings = check_section({key: value for key, value in values.items() if key in keys}, keys)
    except ConfigError as error:  # often because of a key with a typing mistake
        mistyped = [f"{key}: there is no such key.{hint}" for key in changes if (hint := did_you_mean(key, keys))]
        raise ConfigError([*mistyped, *error.problems]) from None
    return settings, changes
