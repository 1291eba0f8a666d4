"""Completes a command line in the shell: verbs here, settings by Hydra."""

from __future__ import annotations

import os
from collections.abc import Sequence


def complete(requests: Sequence[str], verbs: Sequence[str]) -> int:
    """Answer `install=SHELL`, `uninstall=SHELL` or `query=SHELL`. Returns the exit code.

    The shell passes the line typed so far in COMP_LINE. Hydra knows no verbs, so it gets the line without its verb:
    `ptrun train mod<Tab>` is completed like `ptrun mod<Tab>`.
    """
    request = requests[0] if requests else "install=bash"
    line = os.environ.get("COMP_LINE", "")
    words = line.split()
    still_typing_verb = len(words) < 2 or (len(words) == 2 and not line.endswith(" "))
    if request.startswith("query=") and still_typing_verb:
        prefix = words[1] if len(words) == 2 else ""
        separator = "\n" if request == "query=fish" else " "
        print(separator.join(verb for verb in verbs if verb.startswith(prefix)))
        return 0
    if not still_typing_verb:
        os.environ["COMP_LINE"] = line.replace(f" {words[1]}", "", 1)
    from ptrun.config.compose import Composer
    from ptrun.config.folders import conf_folders

    root = words[1] if words[1:2] in (["eval"], ["export"]) else "train"
    Composer(root, conf_folders(None)).print_completion(request)
    return 0
