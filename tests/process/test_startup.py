"""Only what is needed is imported; run as processes of their own."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import ROOT
from torch.optim import Optimizer

from ptrun.errors import ConfigError
from ptrun.process import startup

PROBE = """
import sys
from ptrun.cli.main import main
code = main(sys.argv[1:])
heavy = {"torch", "torch._dynamo", "torchvision", "sympy", "matplotlib", "sklearn", "numpy", "hydra"}
print("IMPORTED", code, *sorted(heavy & set(sys.modules)))
"""


def imported(folder: Path, *arguments: str) -> tuple[int, set[str]]:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder), "OMP_NUM_THREADS": "1"},
        check=True,
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("IMPORTED"))
    _, code, *names = line.split()
    return int(code), set(names)


@pytest.mark.parametrize("arguments", [("--help",), ("list",), ("list", "models", "convnet")])
def test_help_and_lists_need_neither_torch_nor_hydra(folder: Path, arguments: tuple[str, ...]):
    assert imported(folder, *arguments) == (0, set())


def test_a_mistake_is_answered_before_torch(folder: Path):
    code, names = imported(folder, "train", "model=convnt")
    assert code == 2
    assert "torch" not in names


def test_a_model_that_does_not_fit_the_file_is_answered_before_torch_and_numpy(folder: Path):
    np.savez(folder / "vectors.npz", x_train=np.zeros((20, 5)), y_train=np.arange(20) % 2)
    code, names = imported(folder, "train", "dataset=arrays", "dataset.path=vectors.npz", "model=convnet")
    assert code == 2
    assert not names & {"torch", "numpy"}


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="a terminal of Unix")
@pytest.mark.parametrize("verb", ["eval", "export", "predict", "resume", "verify"])
def test_a_terminal_shows_that_torch_is_loaded(folder: Path, verb: str):
    """On standard error, so that no output is changed, and without a trace in the end."""
    (folder / "run").mkdir()
    words = {"export": ["checkpoint=run", "format=onnx"], "predict": ["checkpoint=run", "input=run"]}.get(verb, ["run"])
    terminal, child_terminal = os.openpty()
    command = [sys.executable, "-m", "ptrun", verb, *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=child_terminal, check=False
    )
    os.close(child_terminal)
    shown = os.read(terminal, 100_000).decode()
    os.close(terminal)
    assert done.returncode != 0  # the folder is no run
    line, spaces, others = shown.split("\r", maxsplit=2)
    assert (line, spaces) == ("Loading torch ...", " " * len(line))
    assert "Loading" not in others + done.stdout.decode()
    piped = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert "Loading" not in piped.stdout + piped.stderr


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "rmsprop"])
def test_training_leaves_the_compiler_and_torchvision_out(folder: Path, optimizer: str):
    code, names = imported(folder, "train", "train.max_steps=1", f"optimizer={optimizer}", "--quiet")
    assert code == 0
    assert "torch" in names
    assert not names & {"torch._dynamo", "torchvision", "sympy"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a setting of glibc")
def test_freed_memory_is_used_again():
    program = (
        "import resource, torch; from ptrun.process.startup import keep_freed_memory; keep_freed_memory()\n"
        "def faults(): return resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "torch.ones(10_000_000); before = faults()\n"
        "for _ in range(20): torch.ones(10_000_000)\n"
        "print(faults() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT)}
    )
    assert int(done.stdout) < 100_000  # twenty passes over 40 MB touch twice as many pages


def wrapped_methods() -> dict[str, object]:
    """The functions below the wrappers of torch.optim.Optimizer, by method."""
    return {name: getattr(getattr(Optimizer, name), "__wrapped__", None) for name in startup._WRAPPED_METHODS}


def test_this_torch_wraps_the_methods_that_would_import_the_compiler():
    """When this fails, torch has changed, and `without_compiler` only costs the time that it was to save."""
    assert all(callable(function) for function in wrapped_methods().values())


def test_a_torch_that_does_not_wrap_its_methods_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch):
    for name, function in wrapped_methods().items():
        monkeypatch.setattr(Optimizer, name, function)
    monkeypatch.delattr(Optimizer, "add_param_group")
    monkeypatch.delitem(sys.modules, "torch._dynamo", raising=False)
    before = dict(vars(Optimizer))
    with startup.without_compiler():
        assert dict(vars(Optimizer)) == before


def test_the_methods_are_put_back(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delitem(sys.modules, "torch._dynamo", raising=False)
    functions = [function for function in wrapped_methods().values() if not hasattr(function, startup._KEPT_WRAPPER)]
    with startup.without_compiler():
        assert all(hasattr(function, startup._KEPT_WRAPPER) for function in functions)
    assert not any(hasattr(function, startup._KEPT_WRAPPER) for function in functions)


def test_the_garbage_collector_is_on_again_afterwards():
    assert gc.isenabled()
    with startup.resting_collector():
        assert not gc.isenabled()
    assert gc.isenabled()
    gc.disable()
    try:
        with startup.resting_collector():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize("rank", ["RANK", "LOCAL_RANK"])
def test_one_of_several_processes_is_refused(monkeypatch: pytest.MonkeyPatch, rank: str):
    for name in ("WORLD_SIZE", "RANK", "LOCAL_RANK"):
        monkeypatch.delenv(name, raising=False)
    startup.refuse_ranks()
    monkeypatch.setenv("WORLD_SIZE", "2")
    startup.refuse_ranks()  # set by something else: no launcher gave this process a rank
    monkeypatch.setenv(rank, "1")
    with pytest.raises(ConfigError, match="torchrun started 2 processes"):
        startup.refuse_ranks()
    monkeypatch.setenv("WORLD_SIZE", "1")
    startup.refuse_ranks()
