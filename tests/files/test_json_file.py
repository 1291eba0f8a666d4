"""JSON files hold what JSON can say."""

from __future__ import annotations

import json
import math
from pathlib import Path

from ptrun.files.json_file import nonfinite_to_none, write_json


def test_a_nonfinite_number_becomes_null_at_any_depth(tmp_path: Path):
    path = tmp_path / "test" / "metrics.json"
    write_json(path, {"a": math.nan, "b": [1.5, -math.inf, {"c": math.inf}], "name": "für"})
    assert json.loads(path.read_text()) == {"a": None, "b": [1.5, None, {"c": None}], "name": "für"}
    assert "für" in path.read_text(encoding="utf-8")
    assert [other.name for other in path.parent.iterdir()] == ["metrics.json"]


def test_keys_become_text_and_tuples_lists():
    assert nonfinite_to_none({1: (1, 2)}) == {"1": [1, 2]}
