"""`ptrun show`: the composed and checked configuration, without running it.

Invariant: prints YAML that `ptrun train` would accept, and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from ptrun.rundir import redact
from ptrun.settings import RunConfig


def run(config: RunConfig) -> int:
    """Print the configuration as YAML."""
    values: Mapping[str, Any] = redact(config.to_dict())
    print(yaml.safe_dump(values, sort_keys=False, allow_unicode=True, default_flow_style=None, width=120), end="")
    return 0
