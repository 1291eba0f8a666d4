"""Starts the workers of a sweep elsewhere, as sweep.launch says."""

from __future__ import annotations

from pathlib import Path

from ptrun.config.sweep import SweepSettings
from ptrun.sweeps.launch import command, ray, slurm, ssh
from ptrun.sweeps.launch.workers import Workers


def check_launch(settings: SweepSettings) -> None:
    """Raise ConfigError when the workers can't be started."""
    match settings.launch:
        case "command":
            command.check(settings)
        case "slurm":
            slurm.check(settings)
        case "ray":
            ray.check()
        case "ssh":
            ssh.check(settings)


def start_workers(settings: SweepSettings, folder: Path) -> Workers:
    """Start the workers. Raises ResourceError when that fails."""
    match settings.launch:
        case "slurm":
            return slurm.start(settings, folder)
        case "ray":
            return ray.start(settings, folder)
        case "ssh":
            return ssh.start(settings, folder)
        case _:
            return command.start(settings, folder)
