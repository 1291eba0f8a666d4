"""Workers that are started by ssh: by a real sshd on this machine, or where there is none by a stand-in for ssh.

The stand-in does what ssh and sshd do with a command: it gives its words as one text to a shell, in the home folder.
"""

from __future__ import annotations

import getpass
import json
import os
import select
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from support import ROOT, Ended

from ptrun.config.sweep import as_settings
from ptrun.errors import ConfigError
from ptrun.sweeps.launch.ssh import check, ssh_words

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
WORDS = ("train", "-m", "model=simplenet", "seed=0,1", "optimizer.lr=0.01,0.001", "device.threads=1", "plots=false")

SSHD_CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey "{keys}/host"
AuthorizedKeysFile "{keys}/user.pub"
PidFile "{keys}/pid"
StrictModes no
UsePAM no
PasswordAuthentication no
"""
CLIENT_CONFIG = """\
Host one two
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile "{keys}/user"
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile "{keys}/known"
  LogLevel ERROR
Host gone
  HostName 127.0.0.1
  Port {closed}
"""
STAND_IN = """\
#!/bin/sh
for word; do before=$host; host=$command; command=$word; done
[ "$host" = gone ] && { echo "ssh: connect to host gone port 22: Connection refused" >&2; exit 255; }
cd && sh -c "$command"
"""


def free_ports() -> list[int]:
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
        return [first.getsockname()[1], second.getsockname()[1]]


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def start_sshd(keys: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A server for this user alone, and the words of a client that reaches it."""
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-N", "", "-t", "ed25519", "-f", str(keys / name)], check=True)
    port, closed = free_ports()
    values = {"keys": keys, "port": port, "closed": closed, "user": getpass.getuser()}
    (keys / "sshd_config").write_text(SSHD_CONFIG.format(**values))
    (keys / "config").write_text(CLIENT_CONFIG.format(**values))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with (keys / "log").open("wb") as log:
        server = subprocess.Popen([str(SSHD), "-D", "-e", "-f", str(keys / "sshd_config")], stdout=log, stderr=log)
    ssh = f"{shutil.which('ssh')} -F {shlex.quote(str(keys / 'config'))}"
    for _ in range(100):
        if subprocess.run([*shlex.split(ssh), "one", "true"], check=False, capture_output=True).returncode == 0:
            return server, ssh
        with suppress(subprocess.TimeoutExpired):
            server.wait(0.1)
    server.kill()
    server.wait()
    raise AssertionError((keys / "log").read_text())


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Hosts `one` and `two`, which are this machine, and `gone`, which does not answer. Gives sweep.python for them."""
    keys, server = tmp_path / "the keys", None
    keys.mkdir()
    text = STAND_IN
    if SSHD and shutil.which("ssh"):
        server, ssh = start_sshd(keys)
        text = f'#!/bin/sh\nexec {ssh} "$@"\n'
    program(tmp_path / "bin" / "ssh", text)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    # What a login gives and a test has not: the checkout among the packages.
    python = f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} OMP_NUM_THREADS=1 exec {sys.executable} "$@"\n'
    yield f"sweep.python='{program(tmp_path / 'a python' / 'python', python)}'"
    if server:
        server.terminate()
        server.wait()


def test_the_words_for_ssh(folder: Path, monkeypatch: pytest.MonkeyPatch):
    there = folder / "it's here"
    there.mkdir()
    monkeypatch.chdir(there)
    words = ssh_words("node1", ["python", "-m", "ptrun", "sweep", "work", "/a folder"])
    assert words[:2] == ["ssh", "-T"]
    assert words[-3:-1] == ["--", "node1"]
    echo = words[-1].replace("exec python", "printf '%s|' \"$PWD\" python")
    done = subprocess.run(["sh", "-c", echo], capture_output=True, text=True, check=True)
    assert done.stdout == f"{there}|python|-m|ptrun|sweep|work|/a folder|"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, r"sweep\.hosts: sweep\.launch=ssh needs the machines"),
        ({"hosts": ["a", "-oProxyCommand=x"]}, r"'-oProxyCommand=x' is no host"),
        ({"hosts": ["a"], "workers": 2}, "Name a host twice for two"),
    ],
)
def test_what_is_missing_is_said_before_anything_starts(values: dict[str, object], message: str):
    with pytest.raises(ConfigError, match=message):
        check(as_settings({"launch": "ssh", **values}))


@pytest.mark.slow
def test_two_hosts_run_the_jobs_and_one_that_is_gone_is_named(folder: Path, hosts: str, process: Callable[..., Ended]):
    there = folder / "a 'working' folder"
    there.mkdir()
    launched = ("sweep.launch=ssh", "sweep.hosts=[one,gone,two]", hosts, "sweep.dir=the sweep", "train.epochs=3")
    done = subprocess.run(
        [sys.executable, "-m", "ptrun", *WORDS, *launched],
        cwd=there,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sweep.hosts: gone has no worker; ssh says: ssh: connect to host" in done.stderr
    assert "Connection refused" in done.stderr
    assert process(*WORDS, "train.epochs=3", "sweep.dir=plain").code == 0
    tables = [(path / "results.csv").read_text().splitlines() for path in (there / "the sweep", folder / "plain")]
    assert [line.rpartition(",")[0] for line in tables[0]] == [line.rpartition(",")[0] for line in tables[1]]


@pytest.mark.slow
def test_no_host_that_answers(folder: Path, hosts: str, process: Callable[..., Ended]):
    ended = process(*WORDS, "sweep.launch=ssh", "sweep.hosts=[gone]", hosts, "sweep.dir=sw")
    assert ended.code == 1
    assert "gone has no worker; ssh says" in ended.err
    assert "4 of 4 jobs are not done, and no worker is left" in ended.err


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_the_workers_save_and_stop_with_the_command_that_started_them(folder: Path, hosts: str, how: signal.Signals):
    launched = ("sweep.launch=ssh", "sweep.hosts=[one]", hosts, "sweep.dir=sw", "train.epochs=3000")
    driver = subprocess.Popen(
        [sys.executable, "-m", "ptrun", *WORDS, *launched, "checkpoint.every_steps=50"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    while not list((folder / "sw").glob("*/checkpoints/last.pt")):
        assert driver.poll() is None, driver.communicate()[0]
        with suppress(subprocess.TimeoutExpired):
            driver.wait(0.1)
    os.killpg(driver.pid, how)
    out, _ = driver.communicate()
    assert driver.returncode == (75 if how == signal.SIGINT else -how), out
    ended: set[int] = set()
    while running := {status["pid"] for status in statuses(folder) if status["state"] == "running"} - ended:
        assert all(map(ends, running)), "a job goes on"
        ended |= running
    assert {status["state"] for status in statuses(folder)} == {"interrupted"}


def statuses(folder: Path) -> list[dict[str, Any]]:
    """What the jobs of the sweep say of themselves."""
    return [json.loads(path.read_text()) for path in (folder / "sw").glob("*/status.json")]


def ends(pid: int) -> bool:
    """Wait until a process has ended, for a minute at most, and return whether it has."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([descriptor], [], [], 60)[0])
    finally:
        os.close(descriptor)
