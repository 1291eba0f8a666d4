"""Starts the workers of a sweep on other machines by ssh, one for each host.

A signal does not travel through ssh, and a worker would go on after its connection has broken. So a worker has an input
that stays open as long as the command that started it runs, and it saves its jobs and stops when that input ends.
"""

from __future__ import annotations

import os
import shlex
import shutil
from functools import partial
from pathlib import Path

from ptrun.config.sweep import SweepSettings
from ptrun.errors import ConfigError, ResourceError
from ptrun.sweeps.launch.workers import Processes, ended_text, work_words

_FAILED = 255  # of ssh itself; any other code is that of the command
# No questions, which nobody would answer; and an end to waiting for a machine that does not answer.
_OPTIONS = ("BatchMode=yes", "ConnectTimeout=20", "ServerAliveInterval=15")


def check(settings: SweepSettings) -> None:
    """Raise ConfigError when no host is named, or there is no ssh."""
    if not settings.hosts:
        raise ConfigError(
            "sweep.hosts: sweep.launch=ssh needs the machines that are to get a worker, as sweep.hosts=[node1,node2]."
        )
    wrong = [host for host in settings.hosts if not host or host.startswith("-") or set(host) & set(" \t\n")]
    if wrong:
        raise ConfigError(f"sweep.hosts: {wrong[0]!r} is no host. Name each as for ssh: node1, or user@node1.")
    if settings.workers != 1:
        raise ConfigError(
            f"sweep.workers: with sweep.launch=ssh each host in sweep.hosts gets one worker; got {settings.workers}. "
            "Name a host twice for two; sweep.jobs says how many jobs a worker runs at a time."
        )
    if shutil.which("ssh") is None:
        raise ConfigError("sweep.launch=ssh: there is no command ssh here. Install OpenSSH's client.")


def start(settings: SweepSettings, folder: Path) -> Processes:
    """Start a worker on each host. Raises ResourceError when ssh can't be started."""
    hosts = settings.hosts or []
    processes = Processes(f"{len(hosts)}, by ssh on {', '.join(hosts)}; worker-*.log has their output")
    work = work_words(folder, "--until-eof", python=settings.python)
    for host in hosts:
        try:
            processes.add(ssh_words(host, work), folder, partial(_describe, host), has_input=True)
        except OSError as error:
            processes.stop()
            raise ResourceError(f"sweep.launch=ssh: ssh can't be started ({error.strerror}).") from error
    return processes


def ssh_words(host: str, work: list[str]) -> list[str]:
    """The command that starts a worker on a host, in the folder in which this process works."""
    options = [word for option in _OPTIONS for word in ("-o", option)]
    return ["ssh", "-T", *options, "--", host, f"cd {shlex.quote(os.getcwd())} && exec {shlex.join(work)}"]


def _describe(host: str, code: int, line: str) -> str:
    if code == _FAILED:
        return f"sweep.hosts: {host} has no worker; ssh says: {line}"
    return f"sweep.hosts: the worker on {host} {ended_text(code, line)}"
