"""An output in a folder that can't be made is a sentence, before any work."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support import Ended, train

from ptrun.errors import ResourceError
from ptrun.files.writable import make_writable

Call = Callable[..., Ended]


def test_a_folder_is_made_and_left_empty(tmp_path: Path):
    make_writable(tmp_path / "a" / "b", "output")
    make_writable(tmp_path / "a" / "b", "output")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_what_is_no_folder_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(ResourceError, match=rf"^output: nothing can be written to the folder {folder} \("):
            make_writable(folder, "output")


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short training on digits."""
    folder = tmp_path_factory.mktemp("runs")
    return train("model=simplenet", "train.max_steps=1", f"output_dir={folder}", quiet=True).run_dir


@pytest.mark.parametrize(
    ("words", "setting"),
    [
        ("export RUN format=safetensors output=file/a.safetensors", "output"),
        ("predict RUN a.npy output=file/a.csv", "output"),
        ("publish RUN file/a.pt", "file/a.pt"),
        ("train -m seed=0,1 sweep.dir=file/sweep", "sweep.dir"),
        ("train output_dir=file/runs", "file/runs"),
        ("eval RUN output_dir=file/runs", "file/runs"),
    ],
)
def test_commands_say_so(folder: Path, run_dir: Path, ptrun: Call, words: str, setting: str):
    import numpy as np

    np.save("a.npy", np.zeros((2, 8, 8), np.uint8))
    (folder / "file").write_text("mine")
    ended = ptrun(*words.replace("RUN", str(run_dir)).split())
    assert ended.code == ResourceError.exit_code, ended.err
    assert ended.err.startswith(f"error: {setting}"), ended.err
    assert len(ended.err.splitlines()) == 1, ended.err
    assert (folder / "file").read_text() == "mine"
