"""Builds what saves the checkpoints of a run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ptrun.build.run import Run
from ptrun.checkpoint.saver import Saver


def build_saver(run: Run, folder: Path, data: Mapping[str, str]) -> Saver:
    """The saver of a run, which saves nothing for checkpoint=none. `data`: fingerprint of each split."""
    config, prepared = run.config, run.prepared
    settings = None if config.checkpoint.name == "none" else config.checkpoint.settings
    constant = {
        "config": config.to_dict(),
        "spec": prepared.spec.to_dict(),
        "fitted": prepared.fitted(),
        "data": dict(data),
    }
    return Saver(run.ctx, folder, settings, constant)
