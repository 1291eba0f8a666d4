"""Full disks, folders that can't be written, and processes that want the same folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from faulty import (
    INSTANTS,
    KILLED,
    LEAN,
    Process,
    assert_equal_runs,
    checkpoints,
    done,
    latest,
    load,
    ptrun,
    refused,
    runs,
    start,
)
from PIL import Image

pytestmark = pytest.mark.faults
RUN = ("model=simplenet", "train.epochs=4", "train.batch_size=128", "device.threads=1", *LEAN)


SMALL_SHM = "mount -t tmpfs -o size={} tmpfs /dev/shm"


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return done(tmp_path_factory.mktemp("enough-space"), "train", *RUN, "-q")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB, mounted at `outputs`."""
    path = tmp_path / "outputs"
    path.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(path)], check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting a small file system is not allowed here")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


@pytest.fixture
def closed_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that can't be written, not even by root."""
    path = tmp_path / "closed"
    path.mkdir()
    if os.geteuid() != 0:
        path.chmod(0o500)
        yield path
        path.chmod(0o700)
        return
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "tmpfs", str(path)], check=False)
    if mounted.returncode != 0:
        pytest.skip("root may write anywhere")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def test_the_disk_fills_up_while_training(tmp_path: Path, whole: Path):
    """After the checkpoint of the second epoch no file grows beyond a few kilobytes."""
    settings = (*RUN, "checkpoint.every_steps=10", INSTANTS)
    ended = ptrun(tmp_path, "train", *settings, FULL_AT_BYTES="2 rename last.pt 20000")
    assert ended.code == 6, (ended.code, ended.err)
    assert "a limit of the system stops the saving of a checkpoint (File too large)" in ended.err
    run_dir = latest(tmp_path)
    assert "step-00000030.pt" in ended.err
    assert json.loads((run_dir / "status.json").read_text())["exit_code"] == 6
    assert load(run_dir / "checkpoints" / "last.pt")["progress"]["step"] == 20
    assert not list((run_dir / "checkpoints").glob(".tmp-*"))
    assert_equal_runs(done(tmp_path, "resume"), whole)


def test_a_disk_of_two_megabytes(tmp_path: Path, small_disk: Path, whole: Path):
    ended = ptrun(tmp_path, "train", *RUN, "checkpoint.every_steps=1", "checkpoint.keep=100")
    assert ended.code == 6, (ended.code, ended.err)
    assert "the disk is too full for a checkpoint" in ended.err
    assert "are free" in ended.err
    subprocess.run(["mount", "-o", "remount,size=100m", str(small_disk)], check=True)
    assert checkpoints(latest(tmp_path))
    done(tmp_path, "resume")
    assert_equal_runs(latest(tmp_path), whole)


def test_a_disk_without_any_space(tmp_path: Path, small_disk: Path):
    """Not even the first small files of a run can be written."""
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(4096))
            except OSError:
                break
    ended = ptrun(tmp_path, "train", *RUN)
    assert ended.code == 6, (ended.code, ended.err)
    assert "No space left" in ended.err or "disk is full" in ended.err


def test_no_file_can_grow(tmp_path: Path):
    """The first files of the run reach the limit of the process, before any checkpoint."""
    ended = ptrun(tmp_path, "train", *RUN, limits="ulimit -f 1")
    assert ended.code == 6, (ended.code, ended.err)


def test_a_folder_that_can_not_be_written(tmp_path: Path, closed_folder: Path):
    message = refused(tmp_path, 6, "train", *RUN, f"output_dir={closed_folder}")
    assert str(closed_folder) in message
    assert "Choose another output_dir" in message
    assert list(closed_folder.iterdir()) == []


def test_checkpoints_that_can_not_be_written(tmp_path: Path, closed_folder: Path):
    assert ptrun(tmp_path, "train", *RUN, INSTANTS, DIE_AT="1 open new step.pt").code == KILLED
    run_dir = latest(tmp_path)
    shutil.rmtree(run_dir / "checkpoints", ignore_errors=True)
    (run_dir / "checkpoints").symlink_to(closed_folder)
    message = refused(tmp_path, 6, "resume")
    assert "the checkpoint can't be written" in message
    assert "permissions" in message


def test_workers_need_no_shared_memory_of_the_system(tmp_path: Path):
    """Docker gives a container 64 MB in /dev/shm; here it is a single page."""
    own_mounts, small = ["unshare", "-m"], SMALL_SHM.format("4k")
    if subprocess.run([*own_mounts, "sh", "-c", small], check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system is not allowed here")
    pixels = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for number in range(12):
            image = Image.fromarray(pixels.integers(0, 256, (64, 64, 3), dtype=np.uint8))
            image.save(tmp_path / "photos" / label / f"{number}.png")
    settings = ("dataset=image_folder", "dataset.root=photos", "train.num_workers=2", "train.batch_size=8")
    process = Process(tmp_path, ["-m", "ptrun", "train", *RUN, *settings], {}, small, own_mounts)
    ended = process.wait()
    assert ended.code == 0, (ended.code, ended.err)
    assert "read from files by 2 workers" in ended.out
    assert '"done"' in (latest(tmp_path) / "status.json").read_text()


def test_two_processes_continue_one_run(tmp_path: Path, whole: Path):
    """One continues it. The other reports who uses the folder, or that there is nothing to continue."""
    assert ptrun(tmp_path, "train", *RUN, INSTANTS, DIE_AT="1 rename last.pt").code == KILLED
    processes = [start(tmp_path / name, "resume", str(latest(tmp_path))) for name in folders(tmp_path, 2)]
    ended = sorted((process.wait() for process in processes), key=lambda process: process.code)
    assert ended[0].code == 0, ended[0].err
    if ended[1].code != 0:
        assert ended[1].code == 2
        assert "this run folder is in use by process" in ended[1].err
    assert_equal_runs(latest(tmp_path), whole)


def folders(parent: Path, count: int) -> list[str]:
    """Working folders, so that each process has its own files for its output."""
    names = [f"from-{number}" for number in range(count)]
    for name in names:
        (parent / name).mkdir()
    return names


def test_four_starts_in_one_second(tmp_path: Path, whole: Path):
    outputs = f"output_dir={tmp_path / 'outputs'}"
    processes = [start(tmp_path / name, "train", *RUN, outputs, "-q") for name in folders(tmp_path, 4)]
    for process in processes:
        ended = process.wait()
        assert ended.code == 0, ended.err
    assert len(runs(tmp_path)) == 4
    for run_dir in runs(tmp_path):
        assert_equal_runs(run_dir, whole)
    assert latest(tmp_path) in runs(tmp_path)
