"""Keeps a process light: the garbage collector rests while it starts, torch's compiler is not imported unasked, freed memory is kept.

Invariant: all of these only save time. Where torch changed, the compiler is imported as ever.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import sys
from collections.abc import Iterator

# Methods of torch.optim.Optimizer that import torch._dynamo, one to two seconds, when first called, only to say
# that it must not trace them (torch/_compile.py, `_disable_dynamo`). They keep that word on the wrapped function.
_GUARDED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
_MARK = "__dynamo_disable"
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h: M_TRIM_THRESHOLD and M_MMAP_THRESHOLD


@contextlib.contextmanager
def resting_collector() -> Iterator[None]:
    """No garbage collection inside, where modules are imported and nothing is garbage; what they made is never looked at again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


def keep_freed_memory() -> None:
    """Let the C library keep memory that tensors give back, instead of returning it to the system after each use.

    A batch of photos takes 40 MB, and being given as many pages anew costs more time than its arithmetic. Only glibc
    has these settings (`man mallopt`); elsewhere nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        # Older ones take no more than 32 MiB for the first; setting the second alone would make things worse.
        if mallopt(_MMAP_THRESHOLD, 2**30) or mallopt(_MMAP_THRESHOLD, 2**25):
            mallopt(_TRIM_THRESHOLD, 2**30)


@contextlib.contextmanager
def without_compiler() -> Iterator[None]:
    """Inside, making and saving an optimizer does not import torch's compiler."""
    from torch.optim import Optimizer

    marked = []
    if "torch._dynamo" not in sys.modules:
        for name in _GUARDED:
            original = getattr(getattr(Optimizer, name, None), "__wrapped__", None)
            if original is not None and not hasattr(original, _MARK):
                setattr(original, _MARK, original)
                marked.append(original)
    try:
        yield
    finally:
        for original in marked:
            delattr(original, _MARK)
