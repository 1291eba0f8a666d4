"""Sequences in long form, a row for each time step, are the same data set as in other forms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from ptrun.data.dataset import Data
from ptrun.data.datasets.sequences import sequences
from ptrun.data.features.wide_sequences import read_sequences
from ptrun.data.splits import TensorSplit
from ptrun.errors import DataError

HEAD = "@problemName Tiny\n@timeStamps false\n@classLabel true up down\n@data\n"


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def lines(channels: int = 1) -> list[str]:
    """The lines of a .ts file: 20 sequences of 5 time steps."""
    numbers = np.random.default_rng(0).normal(3, 2, (20, channels, 5)).round(3)
    return [
        ":".join([*(",".join(map(str, c)) for c in channels), "up" if i % 2 else "down"])
        for i, channels in enumerate(numbers)
    ]


def split(data: Data, part: str = "train") -> TensorSplit:
    samples = getattr(data, part)
    assert isinstance(samples, TensorSplit)
    return samples


def long_form(rows: list[str], *, shuffled: bool = False) -> list[str]:
    cells = []
    for i, row in enumerate(rows):
        *channels, label = row.split(":")
        steps = zip(*(values.split(",") for values in channels), strict=True)
        cells += [f"s{i},{step},{','.join(values)},{label}" for step, values in enumerate(steps)]
    order = np.random.default_rng(1).permutation(len(cells)) if shuffled else range(len(cells))
    return [cells[i] for i in order]


@pytest.mark.parametrize("header", ["case_id,time,x,y,label", "sequence,step,x,y,class"])
def test_long_form_gives_the_same_data_set(tmp_path: Path, header: str) -> None:
    rows = lines(channels=2)
    rows[3] = "1,2,3:4,5,6:down"
    of_ts = sequences(path=write(tmp_path / "a.ts", HEAD + "\n".join(rows)))
    of_csv = sequences(path=write(tmp_path / "a.csv", "\n".join([header, *long_form(rows)])))
    for part in ("train", "val", "test"):
        assert torch.equal(split(of_ts, part).inputs, split(of_csv, part).inputs)
        assert torch.equal(split(of_ts, part).targets, split(of_csv, part).targets)
    id_name, time_name, *_ = header.split(",")
    note = f"20 sequences in long form, told apart by '{id_name}', in the order of '{time_name}'; channels: 'x', 'y'."
    assert note in of_csv.notes


def test_long_form_in_any_order_of_its_rows(tmp_path: Path) -> None:
    rows = lines()
    ordered, shuffled = (
        sequences(path=write(tmp_path / f"{name}.csv", "\n".join(["id,when,x,label", *cells])))
        for name, cells in (("a", long_form(rows)), ("b", long_form(rows, shuffled=True)))
    )
    everything = [
        sorted(x.flatten().tolist() for part in ("train", "val", "test") for x in restored(data, part))
        for data in (ordered, shuffled)
    ]
    assert np.allclose(everything[0], everything[1], atol=1e-4)


def restored(data: Data, part: str) -> torch.Tensor:
    return split(data, part).inputs * torch.tensor(data.fitted["std"]) + torch.tensor(data.fitted["mean"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("s1,2,", "s1,1,", r"row \d+: the sequence 's1' has the time '1' \(column 'time'\) twice"),
        (",down", ",up", r"row 3: the label \(column 'label'\) of the sequence 's0' is 'down', but 'up' in its first"),
        ("s0,0,", "s0,0,,", r"row 2"),
    ],
)
def test_long_form_that_does_not_fit(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = "\n".join(["id,time,x,label", *long_form(lines())])
    with pytest.raises(DataError, match=message):
        sequences(path=write(tmp_path / "a.csv", text.replace(old, new, 1)))


def test_rows_of_several_sequences_in_turn_keep_their_order(tmp_path: Path) -> None:
    numbers = np.random.default_rng(0).normal(size=(3, 30)).round(3)
    cells = [f"s{i},{numbers[i, step]},{'ab'[i % 2]}" for step in range(30) for i in range(3)]
    path = Path(write(tmp_path / "a.csv", "\n".join(["id,x,label", *cells])))
    read = read_sequences(path, "auto", "auto", "auto", "auto")
    assert np.array_equal(np.array(read.values)[..., 0], numbers)
    cells[7] = "s1,,b"
    path = Path(write(tmp_path / "b.csv", "\n".join(["id,x,label", *cells])))
    with pytest.raises(DataError, match="row 9, column 'x': the value is missing"):
        read_sequences(path, "auto", "auto", "auto", "auto")


def test_an_id_that_does_not_repeat_is_no_long_form(tmp_path: Path) -> None:
    rows = "".join(f"{100 + 7 * i},{i % 2},{i},{i + 1}\n" for i in range(12))
    path = write(tmp_path / "a.csv", "id,label,s1,s2\n" + rows)
    assert sequences(path=path).spec.input_shape == (2, 1)
    with pytest.raises(DataError, match=r"dataset.id_column: .* has no column 'ID'. It has: id, label"):
        sequences(path=path, id_column="ID")


def test_labels_of_sequences_to_predict_are_passed_over(tmp_path: Path) -> None:
    text = "\n".join(["id,time,x,label", *long_form(lines())]).replace(",down", ",up", 1)
    read = read_sequences(Path(write(tmp_path / "a.csv", text)), "auto", "auto", "auto", "auto", trained={})
    assert read.labels == ["?"] * 20
    assert read.values[0].shape == (5, 1)
