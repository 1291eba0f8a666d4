"""Only what is needed is imported; run as processes of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import ROOT

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


@pytest.mark.parametrize("optimizer", ["adamw", "sgd", "rmsprop"])
def test_training_leaves_the_compiler_and_torchvision_out(folder: Path, optimizer: str):
    code, names = imported(folder, "train", "train.max_steps=1", f"optimizer={optimizer}", "--quiet")
    assert code == 0
    assert "torch" in names
    assert not names & {"torch._dynamo", "torchvision", "sympy"}


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
