"""The checked configuration has the nesting of the YAML, in plain containers."""

from __future__ import annotations

import json

from ptrun.config.compose import Composer
from ptrun.config.load import load_config
from ptrun.config.run_config import GROUPS


def test_to_dict_is_what_the_check_accepts_again():
    from ptrun.config.check import check

    config = load_config(Composer(), ["model=convnet", "metrics=[accuracy]", "transform=basic"]).config
    values = config.to_dict()
    assert json.loads(json.dumps(values)) == values
    assert set(GROUPS) <= set(values)
    assert values["model"]["name"] == "convnet"
    assert values["metrics"] == [{"accuracy": {}}]
    assert check(values) == config
