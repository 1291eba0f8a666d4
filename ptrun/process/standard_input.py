"""Whether standard input has ended, by which a process learns that its starter is gone, also one on another machine."""

from __future__ import annotations

import os
import select

_CHUNK = 65536


def has_ended() -> bool:
    """Whether standard input is at its end; does not wait. What stands in it is thrown away."""
    try:
        while select.select([0], [], [], 0)[0]:
            if not os.read(0, _CHUNK):
                return True
    except OSError:  # it is closed; on Windows only sockets can be asked
        return os.name == "posix"
    return False
