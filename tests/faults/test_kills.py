"""A run that is killed at any instant and continued ends with the bits and files of an uninterrupted one.

PTRUN_KILLS sets how many random instants are tried.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
from faulty import (
    ACCURACY_ALONE,
    INSTANTS,
    KILLED,
    NO_PLOTS,
    assert_equal_runs,
    checkpoints,
    done,
    latest,
    ptrun,
    refused,
    runs,
)

pytestmark = pytest.mark.faults
KILLS = int(os.environ.get("PTRUN_KILLS", "30"))
RUN = (
    "model=regularized",
    "transform=basic",
    "train.epochs=4",
    "train.batch_size=128",
    "train.ema_decay=0.9",
    "checkpoint.keep_best=2",  # else a small state is written once a second at most
    "device.threads=1",
    ACCURACY_ALONE,
)  # 10 steps per epoch; batch norm, dropout, augmentation, averaged weights
EVERY_STEP = ("checkpoint.every_steps=1", NO_PLOTS)


@dataclass(frozen=True)
class Reference:
    """An uninterrupted run, and the names of its instants in order."""

    run_dir: Path
    instants: tuple[str, ...]

    def __repr__(self) -> str:
        return self.run_dir.name


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reference]:
    """The run with a checkpoint after each epoch, and with one after each step."""
    references = {}
    for name, cadence in (("epoch", ()), ("step", EVERY_STEP)):
        folder = tmp_path_factory.mktemp(f"each-{name}")
        run_dir = done(folder, "train", *RUN, *cadence, INSTANTS, "-q", INSTANTS=str(folder / "instants"))
        references[name] = Reference(run_dir, tuple((folder / "instants").read_text().splitlines()))
    return references


def kill_and_continue(folder: Path, instant: str, *more: str) -> Path:
    """Die at an instant and continue with `resume=auto`; returns the finished run folder."""
    ended = ptrun(folder, "train", *RUN, *more, INSTANTS, DIE_AT=instant)
    assert ended.code == KILLED, (ended.code, ended.err)
    return done(folder, "train", *RUN, *more, "resume=auto")


def test_the_cadence_changes_no_bit(whole: dict[str, Reference]):
    assert_equal_runs(whole["epoch"].run_dir, whole["step"].run_dir)


def test_the_instants_are_those_of_a_run(whole: dict[str, Reference]):
    """If these names change, the tests below no longer die where they should."""
    names = whole["step"].instants
    assert {
        "train Regularized",
        "eval Regularized",
        "open new step.pt",
        "rename step.pt",
        "rename last.pt",
        "rename best.pt",
    } <= set(names)
    assert names.count("rename last.pt") == 40
    assert names.count("train Regularized") == 40


@pytest.mark.parametrize("number", range(KILLS))
def test_killed_at_a_random_instant(tmp_path: Path, whole: dict[str, Reference], number: int):
    """Instants of the whole process: from making the run folder to the last plot."""
    draw = random.Random(number)
    cadence = draw.choice(["epoch", "step"])
    names = whole[cadence].instants
    instant = draw.randrange(1, len(names) - 1)  # the last one renames status.json, after which the run is done
    more = EVERY_STEP if cadence == "step" else ()
    ended = ptrun(tmp_path, "train", *RUN, *more, INSTANTS, DIE_AT=str(instant))
    assert ended.code == KILLED, (ended.code, ended.err)
    run_dir = done(tmp_path, "train", *RUN, *more, "resume=auto")
    assert_equal_runs(run_dir, whole["epoch"].run_dir)
    assert all((path / "resolved.yaml").exists() == (path == run_dir) for path in runs(tmp_path))


def test_killed_before_the_run_knew_its_configuration(tmp_path: Path, whole: dict[str, Reference]):
    """Nothing was done that could be continued."""
    assert ptrun(tmp_path, "train", *RUN, INSTANTS, DIE_AT="1 rename resolved.yaml").code == KILLED
    assert "no run there is unfinished" in refused(tmp_path, 4, "resume")
    assert_equal_runs(done(tmp_path, "train", *RUN, "resume=auto"), whole["epoch"].run_dir)


@pytest.mark.parametrize(
    "instant",
    [
        "2 rename resolved.yaml",
        "2 rename receipt.json",
        "25 open new step.pt",
        "25 rename step.pt",
        "1 link new best.pt",
        "2 rename best.pt",
        "25 link new last.pt",
        "25 rename last.pt",
        "40 rename last.pt",
        "25 remove step",
        "60 eval",
    ],
)
def test_killed_at(tmp_path: Path, whole: dict[str, Reference], instant: str):
    """Around a checkpoint being published, one after each step, and within a validation."""
    assert sum(name.startswith(instant.partition(" ")[2]) for name in whole["step"].instants) >= int(instant.split()[0])
    run_dir = kill_and_continue(tmp_path, instant, *EVERY_STEP)
    assert_equal_runs(run_dir, whole["epoch"].run_dir)
    assert len(runs(tmp_path)) == 1


@pytest.mark.parametrize("instant", ["3 open new step.pt", "3 rename last.pt", "2 remove step"])
def test_killed_between_two_epochs(tmp_path: Path, whole: dict[str, Reference], instant: str):
    """The epoch is in metrics.jsonl, but not yet or only just in a checkpoint."""
    run_dir = kill_and_continue(tmp_path, instant)
    assert_equal_runs(run_dir, whole["epoch"].run_dir)


@pytest.mark.parametrize("percent", [10, 90])
def test_killed_within_a_write(tmp_path: Path, whole: dict[str, Reference], percent: int):
    """The system ends the process when a file reaches a size that only a checkpoint has, so a part of it is left.

    The next process removes it, but no files of others. The files have the mode of the user's umask.
    """
    size = checkpoints(whole["step"].run_dir)[0].stat().st_size * percent // 100
    dies = f"15 rename last.pt {size}"
    ended = ptrun(tmp_path, "train", *RUN, *EVERY_STEP, INSTANTS, limits="umask 027", DIE_AT_BYTES=dies)
    assert ended.code == -signal.SIGXFSZ, ended.err
    folder = latest(tmp_path) / "checkpoints"
    [part] = folder.glob(".tmp-*")
    assert part.stat().st_size == size
    assert {path.stat().st_mode & 0o777 for path in checkpoints(folder.parent)} == {0o640}
    foreign = [folder / "notes.txt", folder / "mine.pt", folder.parent / "plan.md"]
    for path in foreign:
        path.write_text("not ours")
    assert_equal_runs(done(tmp_path, "resume"), whole["epoch"].run_dir)
    assert [path.read_text() for path in foreign] == ["not ours"] * 3


def test_killed_three_times_within_one_epoch(tmp_path: Path, whole: dict[str, Reference]):
    arguments = ["train", *RUN, *EVERY_STEP, INSTANTS, "resume=auto"]
    # A continued process first points last.pt to the checkpoint whose publication was interrupted: one more rename.
    for more, step in ((13, 13), (3, 15), (4, 18)):
        assert ptrun(tmp_path, *arguments, DIE_AT=f"{more} rename last.pt").code == KILLED
        assert checkpoints(latest(tmp_path))[-1].name == f"step-{step:08d}.pt"
    assert_equal_runs(done(tmp_path, *arguments), whole["epoch"].run_dir)
    assert len(runs(tmp_path)) == 1


def test_a_copied_run_folder_goes_on_elsewhere(tmp_path: Path, whole: dict[str, Reference]):
    first = tmp_path / "first"
    first.mkdir()
    assert ptrun(first, "train", *RUN, *EVERY_STEP, INSTANTS, DIE_AT="25 rename last.pt").code == KILLED
    moved = Path(shutil.copytree(latest(first), tmp_path / "moved"))
    shutil.rmtree(first)
    ended = ptrun(tmp_path, "resume", str(moved))
    assert ended.code == 0, ended.err
    assert_equal_runs(moved, whole["epoch"].run_dir)
