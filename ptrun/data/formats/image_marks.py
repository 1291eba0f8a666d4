"""Tells from the first and last bytes of an image file whether it looks whole, without decoding it.

Files that were cut off, are empty or hold something else do not. Whether an odd one is damaged, decoding tells: an
image may be followed by other data.
"""

from __future__ import annotations

import os
import struct

_HEAD_BYTES = 16
_TAIL_BYTES = 64
_PNG_END = b"IEND\xaeB`\x82"


def looks_whole(path: str) -> bool:
    """Whether a file begins and ends as an image does; False also for formats without an end mark, such as TIFF."""
    try:
        with open(path, "rb") as file:
            head = file.read(_HEAD_BYTES)
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            tail = file.read()
    except OSError:
        return False
    if head.startswith(b"\xff\xd8"):
        return tail.rstrip(b"\0").endswith(b"\xff\xd9")
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return tail.endswith(_PNG_END)
    if head.startswith((b"GIF87a", b"GIF89a")):
        return tail.endswith(b";")
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return bool(struct.unpack_from("<I", head, 4)[0] + 8 == size)
    return head[:2] == b"BM" and len(head) == _HEAD_BYTES and bool(struct.unpack_from("<I", head, 2)[0] == size)
