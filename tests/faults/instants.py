"""A plugin that numbers the instants of a run and ends its process at one of them, as `kill -9` would.

An instant is the call of a module (such as `train SimpleNet` or `eval Linear`), or a file below `outputs` being opened
for writing, renamed, linked or removed (such as `rename last.pt`). Python's audit events and a torch hook report them.
So no code of ptrun is replaced, and a run with this plugin computes the same numbers as without it.

DIE_AT="3 rename last.pt"  die just before the third instant whose name starts with that ("30" alone: the 30th of all)
STOP_AT="4 train SimpleNet"   stop in the fourth step, as by Ctrl-Z, until SIGCONT
DIE_AT_BYTES="2 rename last.pt 50000"   from that instant on, die when a file grows beyond 50,000 bytes: within a write
FULL_AT_BYTES="2 rename last.pt 50000"  the same, but the write fails, as on a full disk
INSTANTS=FILE              write the names to this file
"""

from __future__ import annotations

import ctypes
import os
import re
import resource
import signal
import sys
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_forward_pre_hook

_KINDS = ("DIE_AT", "STOP_AT", "DIE_AT_BYTES", "FULL_AT_BYTES")
_kind = next((kind for kind in _KINDS if kind in os.environ), "")
_number, _, _name = os.environ.get(_kind, "0").partition(" ")
_limit = 0
if "BYTES" in _kind:
    _name, _, _size = _name.rpartition(" ")
    _limit = int(_size)
_notes = os.open(os.environ["INSTANTS"], os.O_WRONLY | os.O_CREAT, 0o600) if "INSTANTS" in os.environ else None
libc = ctypes.CDLL(None)  # signal.signal works in the main thread only, and another thread writes checkpoints
_process = os.getpid()  # data workers inherit the hooks, which must do nothing there
_count = 0


def _instant(name: str) -> None:
    if os.getpid() != _process:
        return
    if _notes is not None:
        os.write(_notes, f"{name}\n".encode())
    if not name.startswith(_name):
        return
    global _count
    _count += 1
    if _count == int(_number):
        _act()


def _act() -> None:
    if not _limit:
        os.kill(_process, signal.SIGKILL if _kind == "DIE_AT" else signal.SIGSTOP)
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_limit, _limit))
    if _kind == "DIE_AT_BYTES":  # Python ignores this signal, so that the write fails instead
        libc.signal(int(signal.SIGXFSZ), ctypes.c_void_p(None))


def _file_event(event: str, arguments: tuple[Any, ...]) -> None:
    kind = {"open": "open", "os.rename": "rename", "os.link": "link", "os.remove": "remove"}.get(event)
    if kind is None or (kind == "open" and not (arguments[2] or 0) & (os.O_WRONLY | os.O_RDWR)):
        return
    path = str(arguments[1] if kind in ("rename", "link") else arguments[0])
    if "outputs" in path.split(os.sep):
        plain = re.sub(r"\.tmp-[0-9a-f]+-", "new ", os.path.basename(path))
        _instant(f"{kind} {re.sub(r'step-[0-9]+', 'step', plain)}")


def _call(module: nn.Module, inputs: Any) -> None:
    _instant(f"{'train' if module.training else 'eval'} {type(module).__name__}")


sys.addaudithook(_file_event)
register_module_forward_pre_hook(_call)
