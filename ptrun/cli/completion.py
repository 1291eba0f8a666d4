"""Completes a command line in the shell."""

from __future__ import annotations

import os
from collections.abc import Sequence


def complete(argv: list[str], verbs: Sequence[str]) -> int:
    """Hydra's completion, behind the sub-command: `ptrun train mod<Tab>` is completed as `ptrun mod<Tab>`."""
    request = argv[0] if argv else "install=bash"
    line = os.environ.get("COMP_LINE", "")
    words = line.split()
    if request.startswith("query=") and (len(words) < 2 or (len(words) == 2 and not line.endswith(" "))):
        started = words[1] if len(words) == 2 else ""
        print(("\n" if request == "query=fish" else " ").join(name for name in verbs if name.startswith(started)))
        return 0
    if len(words) >= 2:
        os.environ["COMP_LINE"] = line.replace(f" {words[1]}", "", 1) if line.endswith(" ") or len(words) > 2 else line
    from ptrun.config.compose import Composer
    from ptrun.config.load import conf_folders

    root = "eval" if len(words) > 1 and words[1] == "eval" else "train"
    Composer(root, conf_folders(None)).completion(request)
    return 0
