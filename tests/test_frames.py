"""Few of our own functions lie between the command line and torch: counted from a real stack."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from support import ROOT

# The plugin counts the functions of ptrun on the stack, from ptrun.cli.main.main on, at the first call of three places:
# the `step` of an optimizer of torch, a fused kernel, and the forward pass of a model (which counts itself).
PLUGIN = """
import json, sys, torch
from pathlib import Path
import ptrun
from ptrun.models.simplenet import SimpleNet

PACKAGE = str(Path(ptrun.__file__).parent)
COUNTS = {}

def count(place, own):
    if place in COUNTS:
        return
    frame, names = sys._getframe(2), []
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(PACKAGE):
            names.append(f"{Path(code.co_filename).stem}.{code.co_name}")
        frame = frame.f_back
    names = names[: names.index("main.main") + 1] if "main.main" in names else names
    COUNTS[place] = len(names) + own
    Path("frames.json").write_text(json.dumps({**COUNTS, f"{place} names": names}))

def watched(place, function, own=0):
    def call(*arguments, **keywords):
        count(place, own)
        return function(*arguments, **keywords)
    return call

torch.optim.RMSprop.step = watched("step", torch.optim.RMSprop.step.__wrapped__)
torch._fused_sgd_ = watched("kernel", torch._fused_sgd_)
TRAINING = SimpleNet.forward
SimpleNet.forward = lambda self, x: (count("forward", 1) if self.training else None, TRAINING(self, x))[1]
"""


def frames(folder: Path, *overrides: str) -> dict[str, int]:
    (folder / "spy.py").write_text(PLUGIN, encoding="utf-8")
    command = ["train", "plugins=[spy.py]", "train.max_steps=3", "plots=false", "-q", *overrides]
    program = "import sys; from ptrun.cli.main import main; sys.exit(main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    counts: dict[str, int] = json.loads((folder / "frames.json").read_text(encoding="utf-8"))
    return counts


def test_from_the_command_line_to_the_optimizer_and_to_the_model(folder: Path):
    counts = frames(folder, "optimizer=rmsprop", "model=simplenet", "device.compile=none")
    assert counts["step"] <= 6, counts
    assert counts["forward"] <= 8, counts


def test_from_the_command_line_to_a_fused_kernel(folder: Path):
    counts = frames(folder, "optimizer=sgd", "optimizer.momentum=0.9")
    assert counts["kernel"] <= 7, counts
