"""Refuses data of a layout that a model can't read. Model functions check this before they use `input_shape`."""

from __future__ import annotations

from ptrun.errors import ConfigError
from ptrun.spec import DataSpec, Layout

PLURAL = {Layout.IMAGE: "images", Layout.VECTOR: "rows of features", Layout.SEQUENCE: "sequences"}


def require_layout(spec: DataSpec, model: str, layout: Layout) -> None:
    """Raise ConfigError unless the data have the layout that the model reads."""
    if spec.layout is layout:
        return
    raise ConfigError(
        f"model={model} reads {PLURAL[layout]}, but the data set gives {PLURAL[spec.layout]} "
        f"of shape {list(spec.input_shape)}. Choose a model that reads {PLURAL[spec.layout]} "
        "(`ptrun list models` shows which), or another data set."
    )
