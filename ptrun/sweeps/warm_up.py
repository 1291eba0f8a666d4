"""Makes this process one whose forks begin with everything that every job of a sweep needs."""

from __future__ import annotations

from collections.abc import Collection

from ptrun.process.children import can_fork
from ptrun.process.startup import resting_collector
from ptrun.terminal.console import Console


def warm_up(datasets: Collection[str], console: Console) -> bool:
    """Import and read what every job needs, once. Returns whether jobs can be forked from this process.

    datasets: the names of those that the jobs train on.
    """
    with resting_collector():
        from ptrun.data.datasets import scikit_learn
        from ptrun.metrics import compute
        from ptrun.runs import preload, receipt, resume, session  # noqa: F401

        compute.preload(["roc_auc"])
        receipt.preload()
        for name in datasets:
            scikit_learn.preload(name)
    forks = can_fork()
    if not forks:
        console.note(
            "Each job starts a Python process of its own, which takes seconds: a copy of this one could hang, "
            "because a library or a plugin has started threads in it."
        )
    return forks
