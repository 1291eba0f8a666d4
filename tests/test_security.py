"""Neither a configuration nor a checkpoint can run code."""

from __future__ import annotations

import io
import pickle
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support import Ended

from ptrun.checkpoint import store
from ptrun.errors import CheckpointError

Call = Callable[..., Ended]
COPY = "{_target_: shutil.copyfile, src: victim.txt, dst: stolen.txt}"
LOGGING = "{version: 1, handlers: {h: {%s}}, root: {handlers: [h]}}"
FSMONITOR = "{GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: core.fsmonitor, GIT_CONFIG_VALUE_0: 'touch stolen.txt; false'}"


@pytest.fixture
def victim(folder: Path) -> Path:
    (folder / "victim.txt").write_text("secret")
    return folder


@pytest.mark.parametrize(
    "override",
    [
        f"+hydra.callbacks.x={COPY}",
        f"hydra.launcher={COPY}",
        f"hydra.sweeper={COPY}",
        f"hydra.job_logging={LOGGING % '(): shutil.copyfile, src: victim.txt, dst: stolen.txt'}",
        f"+hydra.job.env_set={FSMONITOR}",
        f"hydra.job_logging={LOGGING % 'class: logging.FileHandler, filename: stolen.txt, mode: w'}",
        f"hydra.job_logging={LOGGING % 'class: evilmod.X'}",
        "hydra.searchpath=[file:///tmp]",
        "hydra.sweeper._target_=hydra._internal.utils.os.system",
        f"+hydra.sweeper.sampler={COPY}",
        "+hydra.sweeper.sampler=${model}",
        f"+model.x={COPY}",
        f"optimizer.lr={COPY}",
        f"+x={COPY}",
        f"transform=basic transform.train=[{COPY}]",
    ],
)
@pytest.mark.parametrize("multirun", [(), ("-m",)])
def test_no_override_runs_code(victim: Path, ptrun: Call, override: str, multirun: tuple[str, ...]):
    words = [override] if not override.startswith("transform") else override.split(" ", 1)
    ended = ptrun("train", *words, *multirun)
    assert ended.code == 2, ended
    assert not (victim / "stolen.txt").exists()
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("section", ["hydra:\n  callbacks:\n    x: ", "model: "])
def test_no_file_runs_code(victim: Path, ptrun: Call, section: str):
    (victim / "conf" / "experiment").mkdir(parents=True)
    (victim / "conf" / "experiment" / "evil.yaml").write_text(f"# @package _global_\n{section}{COPY}\n")
    for words in (("train",), ("train", "-m"), ("show",)):
        ended = ptrun(*words, "experiment=evil")
        assert ended.code == 2
        assert "code to run" in ended.err
    assert not (victim / "stolen.txt").exists()


@pytest.mark.parametrize(
    "nested",
    [
        "callbacks:\n    x: ${label}",
        "sweeper:\n    params: ${label}",
        "launcher: ${label}",
        "job:\n    env_set: {A: b}",
    ],
)
def test_a_reference_does_not_hide_code(victim: Path, ptrun: Call, nested: str):
    (victim / "conf" / "experiment").mkdir(parents=True)
    (victim / "conf" / "experiment" / "evil.yaml").write_text(
        f"# @package _global_\nlabel: {COPY}\nhydra:\n  {nested}\n"
    )
    for flag in ((), ("-m",)):
        assert ptrun("train", "experiment=evil", *flag).code == 2
    assert not (victim / "stolen.txt").exists()


def test_git_runs_nothing_for_us(victim: Path, ptrun: Call, monkeypatch: pytest.MonkeyPatch):
    subprocess.run(["git", "init", "-q"], check=True)
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "touch stolen.txt; false")
    assert ptrun("train", "train.epochs=1", "-q").code == 0
    assert not (victim / "stolen.txt").exists()


def test_an_alias_bomb_is_refused_at_once(folder: Path, ptrun: Call):
    (folder / "conf" / "experiment").mkdir(parents=True)
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    (folder / "conf" / "experiment" / "bomb.yaml").write_text("\n".join(lines))
    start = time.perf_counter()
    ended = ptrun("show", "experiment=bomb")
    assert ended.code == 2
    assert "aliases" in ended.err
    assert time.perf_counter() - start < 5


class _Payload:
    def __reduce__(self):
        return (open, ("stolen.txt", "w"))


def test_a_pickle_in_a_checkpoint_is_refused(folder: Path):
    torch.save({"format": 1, "model": {}, "x": _Payload()}, "evil.pt")
    (folder / "raw.pt").write_bytes(pickle.dumps(_Payload()))
    for name in ("evil.pt", "raw.pt"):
        with pytest.raises(CheckpointError):
            store.load(Path(name))
    assert not (folder / "stolen.txt").exists()


def test_a_small_file_cannot_claim_a_large_tensor(folder: Path):
    torch.save({"format": 1, "model": {"w": torch.zeros(1).expand(10**12)}}, "huge.pt")
    with pytest.raises(CheckpointError, match="less data"):
        store.load(Path("huge.pt"))


def test_compressed_records_are_refused(folder: Path):
    buffer = io.BytesIO()
    torch.save({"format": 1, "model": {"w": torch.zeros(1000)}}, buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile("small.pt", "w", zipfile.ZIP_DEFLATED) as target:
        for record in source.infolist():
            target.writestr(record.filename, source.read(record), zipfile.ZIP_DEFLATED)
    with pytest.raises(CheckpointError, match="compressed"):
        store.load(Path("small.pt"))


@pytest.mark.slow
def test_plugins_named_in_a_checkpoint_are_not_imported(folder: Path, ptrun: Call):
    (folder / "mine.py").write_text("from pathlib import Path\nPath('ran.txt').write_text('x')\n")
    assert ptrun("train", "plugins=[mine.py]", "train.epochs=1").code == 0
    (folder / "ran.txt").unlink()
    import sys

    for name in [name for name in sys.modules if name.startswith("ptrun_plugin_")]:
        del sys.modules[name]
    assert ptrun("eval", "checkpoint=outputs/latest").code == 0
    assert not (folder / "ran.txt").exists()


def test_secrets_are_not_written_down(folder: Path, ptrun: Call, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_SECRET", "hunter2")
    assert ptrun("train", "label=${oc.env:MY_SECRET}", "train.epochs=1", "-q").code == 0
    run_dir = (folder / "outputs" / "latest").resolve()
    for name in ("config.yaml", "resolved.yaml"):
        assert "hunter2" not in (run_dir / name).read_text()
        assert "oc.env:MY_SECRET" in (run_dir / name).read_text()
