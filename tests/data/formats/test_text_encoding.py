"""Text files of spreadsheets: UTF-16 is read as UTF-8 is; others are refused with a command that converts them."""

from __future__ import annotations

import codecs
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from support import Ended, train

import ptrun as package
from ptrun.data.formats.csv_chunks import read_file_chunks
from ptrun.data.formats.csv_file import LARGE_BYTES, read_csv
from ptrun.data.formats.ts_file import read_ts
from ptrun.data.inputs.images import find_images
from ptrun.errors import DataError

Call = Callable[..., Ended]
NAMES = ("Müller", "Özil", "Žižek €")
TEXT = "größe,name,y\n" + "".join(f"{i / 8},{NAMES[i % 2]},{i / 8 + i % 2}\n" for i in range(120))
UTF_16 = [codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be")]


@pytest.mark.parametrize("content", UTF_16, ids=["little-endian", "big-endian"])
def test_training_evaluation_and_prediction_read_utf_16(ptrun: Call, folder: Path, content: bytes):
    """As a spreadsheet saves it: `Unicode text`, with tabs and the line ends of Windows."""
    (folder / "utf8.csv").write_text(TEXT, encoding="utf-8")
    (folder / "utf16.txt").write_bytes(content)
    tabs = codecs.BOM_UTF16_LE + TEXT.replace(",", "\t").replace("\n", "\r\n").encode("utf-16-le")
    (folder / "tabs.txt").write_bytes(tabs)
    words = ("dataset=table", "dataset.target=y", "model=simplenet", "train.max_steps=3", "device.threads=1")
    runs = [train(*words, f"dataset.path={name}", quiet=True) for name in ("utf8.csv", "utf16.txt")]
    assert runs[0].value == runs[1].value
    run = str(runs[0].run_dir)
    results = [package.eval(run, f"dataset.path={name}", quiet=True).metrics for name in ("utf8.csv", "tabs.txt")]
    assert results[0] == results[1]
    for name in ("utf8.csv", "utf16.txt", "tabs.txt"):
        assert ptrun("predict", run, name, f"output={name}.csv").code == 0
    utf8, *others = [(folder / f"{name}.csv").read_bytes() for name in ("utf8.csv", "utf16.txt", "tabs.txt")]
    assert others == [utf8, utf8]


def test_long_files_lists_and_sequences(folder: Path):
    rows = "".join(f"{i},{NAMES[i % 3]},{i / 4}\n" for i in range(LARGE_BYTES // 24))
    (folder / "utf8.csv").write_text("größe,name,y\n" + rows, encoding="utf-8")
    (folder / "utf16.csv").write_text("größe,name,y\n" + rows, encoding="utf-16")
    assert (folder / "utf16.csv").stat().st_size > LARGE_BYTES
    utf8, utf16 = read_csv(folder / "utf8.csv"), read_csv(folder / "utf16.csv")
    assert list(utf8.rows) == list(utf16.rows)
    assert [list(utf8[name]) for name in utf8.columns] == [list(utf16[name]) for name in utf16.columns]
    chunks = [list(read_file_chunks(folder / f"{name}.csv", 1000)) for name in ("utf8", "utf16")]
    assert [list(chunk.file["name"]) for chunk in chunks[0]] == [list(chunk.file["name"]) for chunk in chunks[1]]
    (folder / "list.txt").write_text("Müller.png\n", encoding="utf-16")
    assert [Path(path).name for path in find_images(["list.txt"], "auto")[0]] == ["Müller.png"]
    (folder / "a.ts").write_text("@classLabel true ä ö\n@data\n1,2,3:ä\n4,5,6:ö\n", encoding="utf-16")
    assert read_ts(folder / "a.ts").labels == ["ä", "ö"]


@pytest.mark.parametrize("name", ["größe 1.csv", "list.txt", "a.ts"])
def test_another_encoding_is_refused_with_a_command_that_works(folder: Path, name: str):
    path = folder / name
    path.write_text(TEXT, encoding="cp1252")
    read = {".csv": read_csv, ".txt": lambda path: find_images([str(path)], "auto"), ".ts": read_ts}[path.suffix]
    with pytest.raises(DataError, match=r"is not UTF-8 text .* Save it as UTF-8, in Excel as 'CSV UTF-8'") as caught:
        read(path)
    command = re.search(r"type: (iconv .*) \(CP1252", str(caught.value))
    assert command is not None
    if shutil.which("iconv"):
        subprocess.run(["sh", "-c", command[1]], check=True)
        assert (folder / f"{path.stem}-utf8{path.suffix}").read_text(encoding="utf-8") == TEXT
