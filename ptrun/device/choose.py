"""Chooses the device and sets threads and determinism."""

from __future__ import annotations

import os

import torch

from ptrun.device.runtime import Runtime
from ptrun.device.threads import set_threads
from ptrun.errors import ConfigError

_MAX_THREADS_PER_CORE = 4  # so that a mistyped number does not start thousands


def make_runtime(
    *,
    name: str,
    index: int,
    precision: str,
    compile: str,
    channels_last: bool | str,
    fused: bool,
    threads: int | str,
    deterministic: bool,
) -> Runtime:
    """Choose the device and set threads and determinism. Raises ConfigError for a device that is not there."""
    device, decisions = _choose_device(name, index)
    wanted_threads = None if isinstance(threads, str) else threads
    max_threads = _MAX_THREADS_PER_CORE * (os.cpu_count() or 1)
    if wanted_threads is not None and wanted_threads > max_threads:
        raise ConfigError(
            f"device.threads: {wanted_threads} is more than {_MAX_THREADS_PER_CORE} for each core of this machine. "
            f"Use at most {max_threads}, or auto."
        )
    set_threads(wanted_threads)
    if deterministic:
        # cuBLAS reads this once, when CUDA starts (docs.pytorch.org/docs/stable/notes/randomness.html).
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
    if deterministic != torch.are_deterministic_algorithms_enabled():
        # Only on a change: the call imports torch's compiler, which takes two seconds.
        torch.use_deterministic_algorithms(deterministic)
    if device.type == "cuda":
        # torch starts CUDA at its first use. Resetting the peak of memory does not start it, and fails before.
        torch.cuda.init()  # type: ignore[no-untyped-call]  # torch has no hints there
        torch.cuda.set_device(device)  # events and graphs use the streams of the current device
        torch.cuda.reset_peak_memory_stats(device)
    scaler = torch.amp.GradScaler(device.type) if precision == "fp16" else None
    return Runtime(
        device=device,
        precision=precision,
        channels_last=None if isinstance(channels_last, str) else channels_last,
        threads=wanted_threads,
        compile=compile,
        fused=fused,
        scaler=scaler,
        decisions=tuple(decisions),
    )


def _choose_device(name: str, index: int) -> tuple[torch.device, list[tuple[str, str, str]]]:
    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    if name == "auto":
        chosen = "cuda" if cuda else "mps" if mps else "cpu"
        device = torch.device(chosen, index) if chosen == "cuda" else torch.device(chosen)
        return device, [("device", "auto", chosen)]
    if name == "cuda" and not cuda:
        raise ConfigError(
            "device: 'cuda' was asked for, but torch finds no CUDA device here (`ptrun doctor` says what there is). "
            "Use device=auto or device=cpu."
        )
    if name == "cuda" and index >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise ConfigError(
            f"device.index: there is no CUDA device {index}; this machine has {count}, numbered from 0 to {count - 1}."
        )
    if name == "mps" and not mps:
        raise ConfigError(
            "device: 'mps' was asked for, but this is no Apple computer with a GPU that torch can use. "
            "Use device=auto or device=cpu."
        )
    return (torch.device("cuda", index) if name == "cuda" else torch.device(name)), []
