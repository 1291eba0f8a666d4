"""Reads photos or tables and does nothing with them: what `predict.py` and `read_table.py` compare ptrun with.

python _reading.py make-photos FOLDER COUNT | photos FOLDER PROCESSES | photos-pillow FOLDER PROCESSES
python _reading.py make-wide FILE ROWS
python _reading.py csv FILE | rows FILE | pandas FILE | pandas-whole FILE | pyarrow FILE | columns FILE | table FILE
"""

from __future__ import annotations

import csv
import multiprocessing
import sys
from collections.abc import Callable
from pathlib import Path


def main(what: str, name: str, number: str = "0") -> None:
    """Run one of them."""
    path = Path(name)
    if what == "make-photos":
        from images import make_photos

        make_photos(path, int(number))
    elif what == "photos":
        read_photos(decode, path, int(number))
    elif what == "photos-pillow":
        read_photos(decode_by_pillow, path, int(number))
    elif what == "make-wide":
        make_wide(path, int(number))
    else:
        READERS[what](path)


def read_photos(decode: Callable[[str], None], folder: Path, processes: int) -> None:
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
    """Decode a JPEG and scale it, as a worker of ptrun does."""
    import torch
    from torchvision.transforms.v2 import functional

    from ptrun.data.formats.image_file import ImageReader

    torch.set_num_threads(1)
    functional.resize(ImageReader(3)(path), [224, 224], antialias=True)


def decode_by_pillow(path: str) -> None:
    """Decode a JPEG and scale it, as most training scripts do."""
    from PIL import Image

    with Image.open(path) as image:
        image.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)


def make_wide(path: Path, rows: int) -> None:
    """Write a table of 499 columns of numbers and one to predict."""
    import numpy as np
    import pyarrow
    from pyarrow import csv as arrow_csv

    numbers = np.random.default_rng(0).normal(size=(rows, 499)).round(6)
    columns = {f"x{i}": numbers[:, i] for i in range(499)}
    arrow_csv.write_csv(pyarrow.table({**columns, "y": numbers[:, 0] + numbers[:, 1]}), path)


def read_by_pyarrow(path: Path) -> None:
    """Read a table by pyarrow, with its numbers."""
    from pyarrow import csv as arrow_csv

    arrow_csv.read_csv(path)


def read_whole_by_pandas(path: Path) -> None:
    """Read a table by pandas at once, with its numbers."""
    import pandas

    pandas.read_csv(path)


def read_columns(path: Path) -> None:
    """Read a table as training does, with its numbers."""
    import numpy as np

    from ptrun.data.formats.csv_file import read_csv

    file = read_csv(path)
    np.column_stack([file[name].floats for name in file.columns])


def read_table(path: Path) -> None:
    """Make the data set of a table: what each column is, the parts, the scaling."""
    from ptrun import catalog, registry  # noqa: F401
    from ptrun.config.compose import Composer
    from ptrun.config.load import load_config

    config = load_config(Composer(), ["dataset=table", f"dataset.path={path}", "dataset.target=y"]).config
    registry.datasets.build("table", config.dataset.settings)


READERS = {
    "csv": read_by_csv_module,
    "rows": read_by_ptrun,
    "pandas": read_by_pandas,
    "pandas-whole": read_whole_by_pandas,
    "pyarrow": read_by_pyarrow,
    "columns": read_columns,
    "table": read_table,
}


if __name__ == "__main__":
    main(*sys.argv[1:])
