"""Writes JSON files, which know no NaN and no infinity."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ptrun.files.atomic import replace_text


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Replace a JSON file in one step. Its folder is made if there is none; a non-finite number becomes null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, json.dumps(nonfinite_to_none(values), indent=2, ensure_ascii=False) + "\n")


def nonfinite_to_none(value: Any) -> Any:
    """Nested containers with None in place of each NaN and infinity, and with text as keys."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {str(key): nonfinite_to_none(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [nonfinite_to_none(item) for item in value]
    return value
