"""The checks of `ptrun doctor`: versions, devices, whether they compute correctly and how fast, room on the disk.

The functions from `check_tensors` to `measure_copy` are also a first lesson: they show what a tensor, a gradient and a
device are. A check that fails becomes a sentence in the report, and the other checks go on.
"""

from __future__ import annotations

import functools
import os
import platform
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptrun.process.startup import loading_torch
from ptrun.terminal.format import format_bytes
from ptrun.version import __version__

if TYPE_CHECKING:
    from ptrun.device.runtime import Runtime

_NEEDED = ("torch", "torchvision", "hydra-core", "numpy", "scikit-learn", "pillow", "matplotlib", "rich", "safetensors")
_OPTIONAL = ("tensorboard", "onnx", "onnxscript", "onnxruntime")
_MAX_SECONDS = 0.35  # of one measurement after its warm-up
_MIN_DISK_BYTES = 2 << 30  # below this a warning says that checkpoints may not fit


@dataclass
class Report:
    """The results of the checks. facts: section → name → (text for people, value for programs)."""

    facts: dict[str, dict[str, tuple[str, Any]]] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def add(self, section: str, name: str, text: str, value: Any = None) -> None:
        """Add a fact; its value is the text when no other is given."""
        self.facts.setdefault(section, {})[name] = (text, text if value is None else value)

    def run(self, check: Callable[..., None], *arguments: Any) -> None:
        """Run one check. An error that it raises becomes a failure of the report."""
        try:
            check(self, *arguments)
        except Exception as error:  # noqa: BLE001 (whatever it is, the other checks still have something to say)
            name = check.__name__.replace("_", " ")
            self.failures.append(f"Could not {name}: {type(error).__name__}: {error}")


def list_versions(report: Report) -> None:
    """Versions of everything that matters, read from the installed packages without importing them."""
    report.add("versions", "ptrun", __version__)
    report.add("versions", "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    for package in (*_NEEDED, *_OPTIONAL):
        try:
            report.add("versions", package, metadata.version(package))
        except metadata.PackageNotFoundError:
            report.add("versions", package, "not installed")
            if package in _NEEDED:
                report.failures.append(
                    f"The package '{package}' is not installed. Install it with: pip install {package}"
                )


def import_torch(report: Report) -> None:
    """Import torch and torchvision, which fails for two versions that do not belong together."""
    start = time.perf_counter()
    with loading_torch():
        import torch  # noqa: F401
        import torchvision  # noqa: F401

    seconds = time.perf_counter() - start
    report.add("versions", "import torch", f"takes {seconds:.1f} s with torchvision", round(seconds, 3))


def list_devices(report: Report) -> None:
    """Every device that torch can compute on here."""
    import torch

    from ptrun.device.capabilities import describe_gpus

    cores = os.cpu_count() or 1
    threads = torch.get_num_threads()
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores
    name = _proc("cpuinfo", "model name") or platform.processor() or platform.machine()
    abilities = [torch.backends.cpu.get_cpu_capability().lower(), *_bfloat16_instructions()]
    text = f"{name}, {usable} of {cores} cores, {threads} thread{'s' if threads != 1 else ''}, {', '.join(abilities)}"
    report.add("devices", "cpu", text, {"cores": usable, "threads": threads, "capabilities": abilities})
    for device, text in describe_gpus():
        report.add("devices", device, text)


def _proc(file: str, key: str) -> str:
    """The first value of `key` in a file of Linux's /proc; "" when there is none."""
    source = Path("/proc") / file
    lines = source.read_text(encoding="utf-8", errors="replace").splitlines() if source.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), "")


def _bfloat16_instructions() -> list[str]:
    flags = f"{_proc('cpuinfo', 'flags')} {_proc('cpuinfo', 'Features')}".split()
    return [name for name in ("avx512_bf16", "amx_bf16", "bf16") if name in flags]


def check_tensors(report: Report, runtime: Runtime) -> None:
    """A tensor is an array of numbers of one type, with a shape, that lives on a device; operations run there."""
    import torch

    matrix = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], device=runtime.device)
    column_sums = matrix.sum(dim=0)
    if column_sums.tolist() != [5.0, 7.0, 9.0]:
        raise ArithmeticError(f"column sums of [[1, 2, 3], [4, 5, 6]] came out as {column_sums.tolist()}")
    kind = str(matrix.dtype).removeprefix("torch.")
    report.add("compute", "tensor", f"{kind} {list(matrix.shape)} on {matrix.device}: column sums are right", True)


def check_autograd(report: Report, runtime: Runtime) -> None:
    """Autograd against calculus: for the loss mean((X w - y)²) the gradient is 2/n Xᵀ(X w - y).

    `requires_grad` makes torch record what is computed from `weights`; `backward` walks the record in reverse
    (https://docs.pytorch.org/docs/stable/notes/autograd.html).
    """
    import torch

    inputs = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], device=runtime.device)
    targets = torch.tensor([1.0, 2.0, 3.0], device=runtime.device)
    weights = torch.tensor([0.5, -1.0], device=runtime.device, requires_grad=True)

    loss = (inputs @ weights - targets).square().mean()
    loss.backward()  # type: ignore[no-untyped-call]

    by_hand = 2 / 3 * inputs.T @ (inputs @ weights.detach() - targets)
    if weights.grad is None or not torch.allclose(weights.grad, by_hand, rtol=1e-4):
        raise ArithmeticError(f"the gradient is {weights.grad}, by hand it is {by_hand}")
    numbers = ", ".join(f"{value:.2f}" for value in weights.grad.tolist())
    report.add("compute", "autograd", f"gradient of a squared error [{numbers}] equals the one by hand", True)


def measure_matmul(report: Report, runtime: Runtime) -> None:
    """Time the product of two n x n matrices, which takes 2 n³ operations: the heart of every layer."""
    for size in (1024, 2048) if runtime.device.type == "cpu" else (2048, 8192):
        rate = _matmul_rate(runtime, size, "float32")
        report.add("compute", f"matmul {size}", f"{rate / 1e9:,.1f} GFLOP/s in float32", round(rate / 1e9, 1))


def measure_bfloat16(report: Report, runtime: Runtime) -> None:
    """bfloat16 keeps 8 of float32's 24 significant bits: half the memory, and faster where the hardware has it."""
    size = 512 if runtime.device.type == "cpu" else 4096
    try:
        ratio = _matmul_rate(runtime, size, "bfloat16") / _matmul_rate(runtime, size, "float32")
    except (RuntimeError, TypeError):
        report.add("compute", "bfloat16", "not supported on this device: stay with device.precision=fp32", 0.0)
        return
    advice = "device.precision=bf16 can pay" if ratio > 1.2 else "stay with device.precision=fp32"
    report.add("compute", "bfloat16", f"matmul {ratio:.2f} times as fast as float32: {advice}", round(ratio, 2))


def _matmul_rate(runtime: Runtime, size: int, dtype: str) -> float:
    """Floating-point operations per second."""
    import torch

    left, right = (torch.rand(size, size, device=runtime.device).to(getattr(torch, dtype)) for _ in range(2))
    return 2 * size**3 / _median_seconds(lambda: left @ right, runtime)


def measure_copy(report: Report, runtime: Runtime) -> None:
    """Time copying 64 MiB: within memory for a CPU, to and from it for a GPU; data that stay there need no copy."""
    import torch

    from ptrun.device.capabilities import uses_pinned_memory

    host, there = torch.ones(16 << 20), torch.ones(16 << 20, device=runtime.device)
    moves = {"memory copy": (there, host)}
    if runtime.device.type != "cpu":
        moves = {"copy to device": (there, host), "copy to host": (host, there)}
    if uses_pinned_memory(runtime.device):
        moves["pinned copy to device"] = (there, host.pin_memory())  # memory that can't be swapped out
    for name, (target, source) in moves.items():
        rate = host.nbytes / _median_seconds(functools.partial(target.copy_, source), runtime)
        report.add("compute", name, f"{format_bytes(rate)}/s", round(rate / 1e9, 2))


def _median_seconds(action: Callable[[], object], runtime: Runtime) -> float:
    """Median seconds of `action` over several runs.

    A GPU computes while Python goes on, so the device is synchronized before the clock is read.
    """
    times: list[float] = []
    action()  # warm-up: the first run allocates memory and chooses algorithms
    runtime.synchronize()
    while len(times) < 9 and sum(times) < _MAX_SECONDS:
        start = time.perf_counter()
        action()
        runtime.synchronize()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def measure_room(report: Report, output_dir: Path) -> None:
    """Speed and free space of the disk where runs are written, and free memory."""
    folder = next(path for path in (output_dir, *output_dir.absolute().parents) if path.is_dir())
    free = shutil.disk_usage(folder).free
    report.add("room", "disk", f"{format_bytes(free)} free in {folder}", free)
    if free < _MIN_DISK_BYTES:
        report.warnings.append(f"Only {format_bytes(free)} are free in {folder}: checkpoints may not fit.")
    rate = _disk_rate(folder)
    report.add("room", "disk write", f"{format_bytes(rate)}/s, synced", round(rate / 1e6))
    memory = [_memory_info(key) for key in ("MemAvailable", "MemTotal")]
    if all(memory):
        report.add("room", "memory", f"{format_bytes(memory[0])} of {format_bytes(memory[1])} free", memory[0])


def _disk_rate(folder: Path) -> float:
    """Bytes per second of writing 32 MiB, until they are on the disk (fsync)."""
    block = os.urandom(32 << 20)
    with tempfile.TemporaryFile(dir=folder) as file:
        start = time.perf_counter()
        file.write(block)
        file.flush()
        os.fsync(file.fileno())
        return len(block) / (time.perf_counter() - start)


def _memory_info(key: str) -> int:
    """Bytes that Linux counts as `key`; 0 elsewhere."""
    return 1024 * int(_proc("meminfo", key).removesuffix(" kB") or 0)
