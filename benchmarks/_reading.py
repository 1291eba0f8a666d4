"""Reads photos or rows and does nothing with them: what `benchmarks/predict.py` compares predictions with.

python _reading.py make-photos FOLDER COUNT | photos FOLDER PROCESSES | csv FILE | rows FILE | pandas FILE
"""

from __future__ import annotations

import csv
import multiprocessing
import sys
from pathlib import Path


def main(what: str, name: str, number: str = "0") -> None:
    """Run one of the five."""
    path = Path(name)
    if what == "make-photos":
        from images import make_photos

        make_photos(path, int(number))
    elif what == "photos":
        read_photos(path, int(number))
    else:
        {"csv": read_by_csv_module, "rows": read_by_ptrun, "pandas": read_by_pandas}[what](path)


def read_photos(folder: Path, processes: int) -> None:
    """Decode and scale all photos below a folder, in so many processes; 0: in this one."""
    paths = sorted(map(str, folder.rglob("*.jpg")))
    if not processes:
        for path in paths:
            decode(path)
        return
    with multiprocessing.Pool(processes) as pool:
        for _ in pool.imap(decode, paths, chunksize=32):
            pass


def read_by_csv_module(path: Path) -> None:
    """Read a table by the csv module, and its numbers by float()."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        numeric = [i for i, column in enumerate(next(reader)) if column.startswith("x")]
        for row in reader:
            for i in numeric:
                float(row[i])


def read_by_ptrun(path: Path) -> None:
    """Read a table as `ptrun predict` does, without reading its numbers."""
    from ptrun.data.formats.csv_chunks import read_file_chunks

    for _ in read_file_chunks(path, 8192):
        pass


def read_by_pandas(path: Path) -> None:
    """Read a table by pandas, with its numbers."""
    import pandas

    for _ in pandas.read_csv(path, chunksize=8192):
        pass


def decode(path: str) -> None:
    """Decode a JPEG and scale it, as a worker does."""
    import torch
    from torchvision.transforms.v2 import functional

    from ptrun.data.formats.image_file import ImageReader

    torch.set_num_threads(1)
    functional.resize(ImageReader(3)(path), [224, 224], antialias=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
