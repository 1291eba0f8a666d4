"""Keyword arguments of a Python call as overrides: `optimizer={"lr": 0.1}` becomes `optimizer.lr=0.1`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.types import Quote, QuotedString

from ptrun.errors import ConfigError


def override_texts(settings: Mapping[str, Any]) -> list[str]:
    """`KEY=VALUE` for each setting, as the command line takes it. Nested dictionaries become dotted keys.

    The choice of a component stands under `name`: `model={"name": "convnet", "dropout": 0.1}`.
    Raises ConfigError for a value that no YAML file can hold.
    """
    flat = flat_settings(settings)
    in_order = sorted(flat, key=lambda key: "." in key)  # choices of components before their settings
    return [f"{key}={_text(flat[key], key)}" for key in in_order]


def axis_texts(axes: Mapping[str, str | Sequence[Any]]) -> list[str]:
    """The override of each axis: `KEY=choice(...)` for a list of values, `KEY=TEXT` for a text."""
    texts = {}
    for key, values in axes.items():
        texts[key] = values if isinstance(values, str) else f"choice({','.join(_text(value, key) for value in values)})"
    return [f"{key}={text}" for key, text in texts.items()]


def flat_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted key → value; nested dictionaries become dotted keys. Paths become texts."""
    flat: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping):
            inner = {("" if name == "name" else f".{name}"): item for name, item in value.items()}
            flat |= flat_settings({f"{key}{name}": item for name, item in inner.items()})
        else:
            flat[key] = os.fspath(value) if isinstance(value, os.PathLike) else value
    return flat


def _text(value: Any, key: str) -> str:
    """A value in Hydra's grammar. Texts are quoted, so that they arrive as they are."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return str(QuotedString(value, Quote.single).with_quotes())
    if isinstance(value, os.PathLike):
        return _text(os.fspath(value), key)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{_text(item, key)}" for name, item in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(_text(item, key) for item in value) + "]"
    raise ConfigError(
        f"{key}: {value!r} is of the type {type(value).__name__}. Give a text, a number, a list or a dict."
    )
