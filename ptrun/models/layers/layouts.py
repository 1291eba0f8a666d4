"""The sentence for a model that is given data of a layout it can't read.

Invariant: a model function checks its layout before it looks at the numbers of `input_shape`.
"""

from __future__ import annotations

from ptrun.errors import ConfigError
from ptrun.spec import DataSpec, Layout

PLURAL = {Layout.IMAGE: "images", Layout.VECTOR: "rows of features", Layout.SEQUENCE: "sequences"}


def require_layout(spec: DataSpec, model: str, layout: Layout) -> None:
    """Raise ConfigError when the data are not of the one layout that the model reads."""
    if spec.layout is layout:
        return
    raise ConfigError(
        f"model={model} reads {PLURAL[layout]}, but the data set gives {PLURAL[spec.layout]} of shape {list(spec.input_shape)}. "
        f"Choose a model that reads {PLURAL[spec.layout]} (`ptrun list models` shows which), or another data set."
    )
