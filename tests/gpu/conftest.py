"""Every test here needs a CUDA device; without one it is skipped. Run them with `pytest -m gpu`.

The last changes to ptrun/engine/capture/cuda_graph.py and to these tests have not been run on a GPU.
benchmarks/README.md says what has.
"""

from __future__ import annotations

import os

import pytest
import torch

# cuBLAS reads this when it starts, which may be before a run of this process asks for deterministic kernels.
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@pytest.fixture(autouse=True)
def _needs_cuda() -> None:
    if not torch.cuda.is_available():
        pytest.skip("torch finds no CUDA device here")
