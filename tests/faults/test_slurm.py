"""A sweep on a real Slurm of one node, whose workers are stopped and started again by it.

Skipped where the programs of Slurm and munge are not installed (Debian: slurmctld slurmd slurm-client munge), or where
this is not root, who alone can start them.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from support import ROOT, Ended

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel")
MISSING = [name for name in PROGRAMS if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}"),
    pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can start Slurm"),
]

CONF = """\
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
CryptoType=crypto/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
ReturnToService=2
JobRequeue=1
KillWait=5
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 CoresPerSocket=2 RealMemory=1000 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def free_ports() -> list[int]:
    with socket.socket() as first, socket.socket() as second:
        for each in (first, second):
            each.bind(("127.0.0.1", 0))
        return [first.getsockname()[1], second.getsockname()[1]]


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Slurm of one node, with a munge of its own."""
    folder = tmp_path / "slurm"
    for name in ("state", "spool"):
        (folder / name).mkdir(parents=True)
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    conf = CONF.format(host=socket.gethostname().partition(".")[0], folder=folder, ports=free_ports())
    (folder / "slurm.conf").write_text(conf)
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:/usr/sbin")
    munge = {"key-file": "munge.key", "socket": "munge.socket", "pid-file": "munge.pid", "log-file": "munge.log"}
    commands = [
        ["munged", "--foreground", "--force", *(f"--{key}={folder / name}" for key, name in munge.items())],
        ["slurmctld", "-D", "-c"],
        ["slurmd", "-D"],
    ]
    log = (folder / "log").open("ab")
    daemons: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            daemons.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))
            with suppress(subprocess.TimeoutExpired):
                daemons[-1].wait(1)
        for _ in range(60):
            nodes = subprocess.run(["sinfo", "-h", "-o", "%T"], capture_output=True, text=True, check=False)
            if nodes.stdout.strip() == "idle":
                break
            with suppress(subprocess.TimeoutExpired):
                daemons[-1].wait(0.5)
        else:
            pytest.fail(f"Slurm did not start: {(folder / 'log').read_text()} {nodes.stderr}")
        yield
        subprocess.run(["scancel", "--full", "--state=RUNNING", "--user=root"], check=False)
    finally:
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait()
        log.close()


def states(sweep: Path) -> list[str]:
    return [json.loads(path.read_text())["state"] for path in sorted(sweep.glob("*/status.json"))]


def test_a_worker_is_stopped_and_started_again_by_slurm(folder: Path, slurm: None, process: Callable[..., Ended]):
    words = ("train", "-m", "model=simplenet", "seed=0,1,2,3", "optimizer.lr=0.01,0.001", "train.epochs=100")
    words = (*words, "device.threads=1", "plots=false", "checkpoint.every_steps=200", "sweep.jobs=1")
    launched = ("sweep.dir=sw", "sweep.launch=slurm", "sweep.workers=2")
    driver = subprocess.Popen(
        [sys.executable, "-m", "ptrun", *words, *launched],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    )
    while "running" not in states(folder / "sw"):
        assert driver.poll() is None
        with suppress(subprocess.TimeoutExpired):
            driver.wait(0.2)
    for task in ("0", "1"):  # as before the end of its time, and as for another job
        how = ["scancel", "--batch", "--signal=USR1"] if task == "0" else ["scontrol", "requeue"]
        ids = subprocess.run(["squeue", "-h", "-r", "-o", "%i %A"], capture_output=True, text=True, check=True).stdout
        [job] = [line.split()[1] for line in ids.splitlines() if line.split()[0].endswith(f"_{task}")]
        subprocess.run([*how, job], check=True)
    out, _ = driver.communicate()
    assert driver.returncode == 0, out
    assert states(folder / "sw") == ["done"] * 8
    restarts = [json.loads(path.read_text()).get("continued") for path in (folder / "sw").glob("*/receipt.json")]
    assert any(restarts)
    assert process(*words, "sweep.dir=plain").code == 0
    tables = [(folder / sweep / "results.csv").read_text().splitlines() for sweep in ("sw", "plain")]
    assert [line.rpartition(",")[0] for line in tables[0]] == [line.rpartition(",")[0] for line in tables[1]]
