"""The zip archives that torch.save writes: damage, and why torch.load refuses one."""

from __future__ import annotations

import re
import zipfile

# What zipfile raises for damage: beside its own error, one for names, offsets and flags that can't be (encrypted, a later version).
ZIP_DAMAGES = (zipfile.BadZipFile, OSError, EOFError, ValueError, RuntimeError)


_FOLDER = 0x10  # of the attributes of MS-DOS, in a record of a zip file


def damaged_record(archive: zipfile.ZipFile) -> str | None:
    """The name of a record whose checksum does not match, or None. Raises one of ZIP_DAMAGES."""
    for record in archive.infolist():
        if record.external_attr & _FOLDER:  # one flipped bit, with which torch gives a tensor of whatever was in memory
            raise zipfile.BadZipFile(f"its record '{record.filename}' is marked as a folder")
    return archive.testzip()


def why_refused(error: Exception) -> str:
    """Why torch.load refused a file, without torch's advice to run the code in it."""
    text = str(error) or type(error).__name__
    if not text.startswith("Weights only load failed"):
        return text.splitlines()[0]
    found = re.search(r"GLOBAL (\S+)", text)
    return (
        f"it names {found[1]}, which is neither a tensor nor plain data"
        if found
        else "it holds more than tensors and plain data"
    )
