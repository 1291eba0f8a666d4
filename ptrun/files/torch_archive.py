"""The zip archives that torch.save writes: finds damage, and says why torch.load refuses one."""

from __future__ import annotations

import re
import zipfile

# What zipfile raises for damage: its own error, and others for impossible names, offsets and flags.
ZIP_DAMAGES = (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError)

_FOLDER_ATTRIBUTE = 0x10  # of MS-DOS, in the attributes of a record


def damaged_record(archive: zipfile.ZipFile) -> str | None:
    """The name of a record whose CRC-32 does not match, or None. Raises one of ZIP_DAMAGES."""
    for record in archive.infolist():
        # zipfile does not check a folder, and torch gives a tensor of uninitialized memory for it: one flipped bit.
        if record.external_attr & _FOLDER_ATTRIBUTE:
            raise zipfile.BadZipFile(f"its record '{record.filename}' is marked as a folder")
    return archive.testzip()


def why_refused(error: Exception) -> str:
    """Why torch.load refused a file, without torch's advice to run the code in it."""
    text = str(error) or type(error).__name__
    if not text.startswith("Weights only load failed"):
        return text.splitlines()[0]
    name = re.search(r"GLOBAL (\S+)", text)
    if name is None:
        return "it holds more than tensors and plain data"
    return f"it names {name[1]}, which is neither a tensor nor plain data"
