"""Keeps a process light while it starts: the garbage collector rests, and torch's compiler is not imported unasked.

Invariant: both only save time. Where torch changed, the compiler is imported as ever.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator

# Methods of torch.optim.Optimizer that import torch._dynamo, one to two seconds, when first called, only to say
# that it must not trace them (torch/_compile.py, `_disable_dynamo`). They keep that word on the wrapped function.
_GUARDED = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
_MARK = "__dynamo_disable"


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
