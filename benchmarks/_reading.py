"""Reads photos or rows and does nothing with them: what `benchmarks/predict.py` compares predictions with.

python _reading.py make-photos FOLDER COUNT | photos FOLDER PROCESSES | rows FILE | pandas FILE
"""

from __future__ import annotations

import multiprocessing
import sys
from pathlib import Path


def main(what: str, name: str, number: str = "0") -> None:
    """Run one of the four."""
    if what == "make-photos":
        from images import make_photos

        make_photos(Path(name), int(number))
    elif what == "photos":
        paths = sorted(map(str, Path(name).rglob("*.jpg")))
        if int(number):
            with multiprocessing.Pool(int(number)) as pool:
                for _ in pool.imap(decode, paths, chunksize=32):
                    pass
        else:
            for path in paths:
                decode(path)
    elif what == "rows":
        from ptrun.data.formats.csv_chunks import read_chunks

        with Path(name).open(encoding="utf-8", newline="") as file:
            for _ in read_chunks(file, name, 8192):
                pass
    else:
        import pandas

        for _ in pandas.read_csv(name, chunksize=8192):
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
