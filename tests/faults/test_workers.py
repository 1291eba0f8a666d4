"""The number of data workers, before and after a kill, changes no bit of a run on augmented image files."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from faulty import (
    INSTANTS,
    KILLED,
    LEAN,
    assert_equal_runs,
    checkpoints,
    children,
    done,
    latest,
    ptrun,
    refused,
    runs,
    start,
)
from PIL import Image

pytestmark = pytest.mark.faults
WORKERS = (0, 2, 4)
TRANSFORMS = (
    "[{random_resized_crop:{size:[10,10]}},{horizontal_flip:{}},{color_jitter:{brightness:0.4}},"
    "{random_erasing:{p:0.5}},{normalize:{mean:half,std:half}}]"
)
RUN = (
    "model=regularized",
    "transform=basic",
    f"transform.train={TRANSFORMS}",
    "transform.eval=[{resize:{size:[10,10]}},{normalize:{mean:half,std:half}}]",
    "train.epochs=2",
    "train.batch_size=2",
    "device.threads=1",
    "checkpoint.every_steps=3",
    *LEAN,
)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Photos of two classes, 21 of them to train on: ten batches of two, and one left over."""
    root = tmp_path_factory.mktemp("data") / "photos"
    pixels = np.random.default_rng(0)
    for label in ("cat", "dog"):
        (root / label).mkdir(parents=True)
        for number in range(16 if label == "cat" else 15):
            Image.fromarray(pixels.integers(0, 256, (14, 12, 3), dtype=np.uint8)).save(root / label / f"{number}.png")
    return f"dataset.root={root}"


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory, data: str) -> Path:
    folder = tmp_path_factory.mktemp("never-killed")
    return done(folder, "train", *RUN, "dataset=image_folder", data, "train.num_workers=0", "-q")


@pytest.fixture(scope="session")
def killed(tmp_path_factory: pytest.TempPathFactory, data: str) -> dict[int, Path]:
    """For each number of workers a folder with a run that died within its second epoch."""
    folders = {}
    for workers in WORKERS:
        folders[workers] = folder = tmp_path_factory.mktemp(f"killed-{workers}")
        settings = (*RUN, "dataset=image_folder", data, f"train.num_workers={workers}", INSTANTS)
        ended = ptrun(folder, "train", *settings, DIE_AT="6 rename last.pt")  # steps 3, 6, 9, 10, 12, 15
        assert ended.code == KILLED, ended.err
    return folders


@pytest.mark.parametrize("before", WORKERS)
@pytest.mark.parametrize("after", WORKERS)
def test_workers_before_and_after(
    tmp_path: Path, data: str, whole: Path, killed: dict[int, Path], before: int, after: int
):
    shutil.copytree(killed[before] / "outputs", tmp_path / "outputs", symlinks=True)
    assert_equal_runs(done(tmp_path, "resume", f"train.num_workers={after}"), whole)
    assert len(runs(tmp_path)) == 1


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc")
def test_a_killed_worker_ends_the_run_which_goes_on(tmp_path: Path, data: str, whole: Path):
    settings = (*RUN, "dataset=image_folder", data, "train.num_workers=2", INSTANTS)
    # The second batch of the second epoch is being computed; those after the sixth are not requested yet.
    process = start(tmp_path, "train", *settings, STOP_AT="12 train Regularized")
    process.wait_until_stopped()
    for worker in children(process.popen.pid):
        os.kill(worker, signal.SIGKILL)
    os.kill(process.popen.pid, signal.SIGCONT)
    ended = process.wait()
    assert ended.code == 6, ended.err
    assert "A data worker died: it was killed" in ended.err
    # The workers may have computed up to the sixth batch of the epoch, and a checkpoint follows each third step.
    assert checkpoints(latest(tmp_path))[-1].name in ("step-00000012.pt", "step-00000015.pt")
    assert '"failed"' in (latest(tmp_path) / "status.json").read_text()
    assert_equal_runs(done(tmp_path, "resume"), whole)


def test_a_photo_that_breaks_while_the_run_is_stopped(tmp_path: Path, data: str, killed: dict[int, Path]):
    """Resuming checks the data again and names the photo; it works when the photo is restored."""
    shutil.copytree(killed[0] / "outputs", tmp_path / "outputs", symlinks=True)
    root = Path(shutil.copytree(data.partition("=")[2], tmp_path / "photos"))
    whole_photo = (root / "cat" / "0.png").read_bytes()
    (root / "cat" / "0.png").write_bytes(whole_photo[: len(whole_photo) // 2])
    settings = (f"dataset.root={root}", "--allow-change", "dataset.root")
    assert "cat/0.png is damaged" in refused(tmp_path, 3, "resume", *settings)
    (root / "cat" / "0.png").write_bytes(whole_photo)
    assert ptrun(tmp_path, "resume", *settings).code == 0


def test_the_photos_are_gone(tmp_path: Path, data: str, whole: Path):
    """As when a network disk is lost: an error message, and `resume` works when they are back."""
    root = Path(data.partition("=")[2])
    settings = (*RUN, "dataset=image_folder", data, "train.num_workers=0", INSTANTS)
    process = start(tmp_path, "train", *settings, STOP_AT="12 train Regularized")
    process.wait_until_stopped()
    away = root.rename(tmp_path / "away")
    try:
        os.kill(process.popen.pid, signal.SIGCONT)
        ended = process.wait()
    finally:
        away.rename(root)
    assert ended.code == 3, ended.err
    assert str(root) in ended.err
    assert checkpoints(latest(tmp_path))[-1].name == "step-00000012.pt"
    assert_equal_runs(done(tmp_path, "resume"), whole)


def test_an_additional_photo_is_reported(tmp_path: Path, data: str, killed: dict[int, Path]):
    shutil.copytree(killed[0] / "outputs", tmp_path / "outputs", symlinks=True)
    root = Path(shutil.copytree(data.partition("=")[2], tmp_path / "photos"))
    shutil.copy(root / "cat" / "0.png", root / "cat" / "more.png")
    settings = (f"dataset.root={root}", "--allow-change", "dataset.root")
    ended = ptrun(tmp_path, "resume", *settings)
    assert ended.code == 0, ended.err
    assert "The data are not those the run began with" in ended.out
