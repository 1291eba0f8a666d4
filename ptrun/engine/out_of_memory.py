"""Turns an out-of-memory error into a sentence: in which phase, with which batch, at which peak, and what to try."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ptrun.device.runtime import Runtime
from ptrun.errors import ResourceError, is_out_of_memory
from ptrun.terminal.format import format_bytes

ADVICE = {
    "training": "Try train.on_oom=halve (each batch is computed in parts, the optimizer sees all of it), a smaller "
    "train.batch_size with train.grad_accumulation, device.precision=bf16, or a smaller model. The last checkpoint is "
    "good: `ptrun resume RUN train.on_oom=halve` goes on from it.",
    "evaluation": "Try a smaller train.eval_batch_size. It changes no result.",
}


@contextmanager
def explain_out_of_memory(phase: str, work: str, batch_size: int, runtime: Runtime) -> Iterator[None]:
    """Inside, an out-of-memory error becomes a ResourceError that names the phase; work: a key of ADVICE."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        peak = format_bytes(runtime.peak_memory_bytes())
        setting = "train.batch_size" if work == "training" else "train.eval_batch_size"
        raise ResourceError(
            f"Out of memory in {phase}, with batches of {batch_size} ({setting}) on {runtime.name()}, {peak} "
            f"taken at the peak: {_first_sentence(error)} {ADVICE[work]}"
        ) from error


def _first_sentence(error: BaseException) -> str:
    """Torch's own sentence, without its advice on allocator settings."""
    lines = str(error).strip().splitlines()
    return lines[0].split(". ")[0].rstrip(".") + "." if lines else ""
