"""What a process does at its start: faster imports, freed memory that is kept, and no training under torchrun."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import sys
from collections.abc import Iterator

from ptrun.errors import ConfigError

# The first call of each of these methods of torch.optim.Optimizer imports torch._dynamo, which takes one to two
# seconds, only to wrap the method so that the compiler does not trace it. The wrapped function is kept in an attribute
# of the original one (torch/_compile.py, `_disable_dynamo`).
_WRAPPED_METHODS = ("add_param_group", "zero_grad", "state_dict", "load_state_dict")
_KEPT_WRAPPER = "__dynamo_disable"
_LOADING = "Loading torch ..."
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h


def refuse_ranks() -> None:
    """Raise ConfigError in one of several processes of torchrun, each of which would train a whole run of its own."""
    ranks = os.environ.get("WORLD_SIZE", "")
    if ranks.isdecimal() and int(ranks) > 1 and {"RANK", "LOCAL_RANK"} & os.environ.keys():
        raise ConfigError(
            f"torchrun started {ranks} processes (WORLD_SIZE={ranks}), but ptrun trains in one process, on one device. "
            "Start it without torchrun: ptrun train ..."
        )


@contextlib.contextmanager
def resting_collector() -> Iterator[None]:
    """Turn the garbage collector off inside, where modules are imported.

    Imports make many objects and no garbage. `gc.freeze` keeps later collections from looking at these objects.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


@contextlib.contextmanager
def loading_torch() -> Iterator[None]:
    """Inside, torch and what needs it are imported, which takes seconds: a terminal shows that until it is done.

    The line goes to standard error, and is removed at the end. Where standard error is no terminal, nothing is shown.
    """
    is_shown = "torch" not in sys.modules and sys.stderr is not None and sys.stderr.isatty()
    if is_shown:
        print(_LOADING, end="", file=sys.stderr, flush=True)
    try:
        with resting_collector():
            yield
    finally:
        if is_shown:
            print(f"\r{' ' * len(_LOADING)}\r", end="", file=sys.stderr, flush=True)


def keep_freed_memory() -> None:
    """Let the C library keep the memory of freed tensors, instead of returning it to the system after each use.

    A batch of photos takes 40 MB, and the system clears each page that it hands out again, which takes longer than the
    batch's arithmetic. Only glibc has these settings (`man mallopt`); elsewhere nothing happens.
    """
    with contextlib.suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        # Older versions accept at most 32 MiB for the first. Setting only the second would make things worse.
        if mallopt(_M_MMAP_THRESHOLD, 2**30) or mallopt(_M_MMAP_THRESHOLD, 2**25):
            mallopt(_M_TRIM_THRESHOLD, 2**30)


@contextlib.contextmanager
def without_compiler() -> Iterator[None]:
    """Inside, making and saving an optimizer does not import torch's compiler.

    The methods look as if they were wrapped already. A version of torch that lacks these methods or does not wrap them
    is left as it is, and then imports its compiler.
    """
    from torch.optim import Optimizer

    changed = []
    if "torch._dynamo" not in sys.modules:
        for name in _WRAPPED_METHODS:
            original = getattr(getattr(Optimizer, name, None), "__wrapped__", None)
            if original is not None and not hasattr(original, _KEPT_WRAPPER):
                setattr(original, _KEPT_WRAPPER, original)
                changed.append(original)
    try:
        yield
    finally:
        for original in changed:
            delattr(original, _KEPT_WRAPPER)
