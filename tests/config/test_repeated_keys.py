"""A setting that is given twice with different values is told, and refused in a sweep."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support import Ended, train

from ptrun.config import repeated_keys
from ptrun.errors import ConfigError

Call = Callable[..., Ended]


def test_the_last_one_counts_and_a_sentence_says_so(ptrun: Call, folder: Path):
    words = ("train.max_steps=1", "seed=1", "+seed=2", "seed=3", "device.threads=1", "device.threads=1")
    ended = ptrun("train", *words, "--cfg", "job", "--package", "seed")
    assert ended.err == "note: seed is given 3 times: seed=1, then +seed=2, then seed=3. The last one counts.\n"
    assert ended.out.splitlines()[-1] == "3"
    assert ptrun("train", *words, "-q").err == ""


def test_other_commands_say_so_too(ptrun: Call, folder: Path):
    run = train("train.max_steps=1", "model=simplenet", "device.threads=1", quiet=True).run_dir
    ended = ptrun("eval", str(run), "train.batch_size=64", "train.batch_size=32")
    assert ended.code == 0, ended.err
    assert ended.err.startswith("note: train.batch_size is given twice: train.batch_size=64, then train.batch_size=32.")


@pytest.mark.parametrize("words", [("seed=0,1", "seed=2,3"), ("seed=0,1", "seed=2"), ("seed=0", "++seed=range(2,4)")])
def test_a_sweep_is_refused(ptrun: Call, folder: Path, words: tuple[str, str]):
    ended = ptrun("train", "-m", *words, "sweep.dir=sw")
    assert ended.code == 2
    assert f"error: seed is given twice: {words[0]} and {words[1]}. Give it once; several values" in ended.err
    assert "note" not in ended.err
    assert not (folder / "sw").exists()


def test_a_setting_of_the_sweep_itself_is_no_axis(ptrun: Call, folder: Path):
    words = ("seed=0,1", "train.max_steps=1", "model=simplenet", "sweep.jobs=1", "sweep.jobs=2", "sweep.dir=sw")
    ended = ptrun("train", "-m", *words, "plots=false")
    assert ended.code == 0, ended.err
    assert "note: sweep.jobs is given twice: sweep.jobs=1, then sweep.jobs=2. The last one counts." in ended.err


def test_the_words_of_an_error_can_be_typed():
    with pytest.raises(ConfigError, match=r"by commas: seed=0,1,2,3\."):
        repeated_keys.refuse(["seed=0,1", "model=convnet", "seed=2,3", "model=convnet"])
