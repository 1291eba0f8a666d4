"""How the text of a file is encoded: UTF-8, or UTF-16 where the file begins with its mark."""

from __future__ import annotations

import codecs
import shlex
from pathlib import Path

_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_OTHER_FILES = {  # first bytes → what such a file is
    b"\x1f\x8b": "is compressed by gzip",
    b"PK\x03\x04": "is an Excel workbook or another zip archive",
}


def encoding_of(path: Path) -> str:
    """The encoding to open a text file with: UTF-16 for the `Unicode text` of spreadsheets. Raises OSError."""
    with path.open("rb") as file:
        return "utf-16" if file.read(2) in _MARKS else "utf-8-sig"


def not_decodable(source: str | Path, error: UnicodeDecodeError) -> str:
    """A sentence on a file that is no text, or a text in another encoding, and how it becomes UTF-8."""
    what = next((words for head, words in _OTHER_FILES.items() if error.object.startswith(head)), None)
    if what is not None:
        return f"{source} {what}. Save it as UTF-8 CSV."
    path = Path(source)
    command = f"iconv -f CP1252 -t UTF-8 {shlex.quote(str(path))} > {shlex.quote(f'{path.stem}-utf8{path.suffix}')}"
    how = f" or type: {command} (CP1252 is the encoding of Windows in Western Europe)" if path.is_file() else ""
    return (
        f"{source} is not UTF-8 text ({error.reason} at byte {error.start}). Save it as UTF-8, in Excel as "
        f"'CSV UTF-8'{how}."
    )
