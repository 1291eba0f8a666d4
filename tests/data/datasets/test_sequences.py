"""Labeled sequences get one length and one scale; files that do not fit are explained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ptrun.data.dataset import Data
from ptrun.data.datasets.sequences import sequences
from ptrun.data.split_settings import SplitSettings
from ptrun.data.splits import TensorSplit
from ptrun.errors import DataError

HEAD = "# a comment\n@problemName Tiny\n@timeStamps false\n@classLabel true up down\n@data\n"


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def lines(count: int = 20, channels: int = 1, length: int = 5) -> list[str]:
    numbers = np.random.default_rng(0).normal(3, 2, (count, channels, length)).round(3)
    return [
        ":".join([*(",".join(map(str, c)) for c in channels), "up" if i % 2 else "down"])
        for i, channels in enumerate(numbers)
    ]


def ts(path: Path, rows: list[str]) -> str:
    return write(path, HEAD + "\n".join(rows) + "\n")


def split(data: Data, part: str = "train") -> TensorSplit:
    samples = getattr(data, part)
    assert isinstance(samples, TensorSplit)
    return samples


@pytest.mark.parametrize("channels", [1, 3])
def test_ts_file(tmp_path: Path, channels: int) -> None:
    rows = lines(channels=channels)
    data = sequences(path=ts(tmp_path / "a.ts", rows))
    assert data.spec.input_shape == (5, channels)
    assert data.spec.class_names == ("down", "up")
    train = split(data)
    assert torch.allclose(train.inputs.mean((0, 1)), torch.zeros(channels), atol=1e-5)
    assert torch.allclose(train.inputs.std((0, 1), unbiased=False), torch.ones(channels), atol=1e-5)
    row = int(train.rows[0]) - 6
    first = np.array([c.split(",") for c in rows[row].split(":")[:-1]], dtype=float).T
    restored = train.inputs[0].numpy() * np.array(data.fitted["std"]) + np.array(data.fitted["mean"])
    assert np.allclose(restored, first, atol=1e-4)


def test_shorter_ones_have_zeros_in_front_and_longer_ones_keep_their_end(tmp_path: Path) -> None:
    rows = lines()
    rows[0], rows[1] = "1,2,3:down", "1,2,3,4,5,6,7,8:up"
    data = sequences(path=ts(tmp_path / "a.ts", rows), length=5)
    by_row = {
        int(row): x
        for part in ("train", "val", "test")
        for row, x in zip(split(data, part).rows, split(data, part).inputs, strict=True)
    }
    mean, std = data.fitted["mean"][0], data.fitted["std"][0]
    assert by_row[6].tolist()[:2] == [[0, 1], [0, 1]]  # the value, and the mark of padding
    assert all(x[:, 1].sum() == 0 for row, x in by_row.items() if row != 6)
    assert data.spec.padding_channel
    assert torch.allclose(by_row[6][2:, 0] * std + mean, torch.tensor([1.0, 2, 3]), atol=1e-5)
    assert torch.allclose(by_row[7][:, 0] * std + mean, torch.tensor([4.0, 5, 6, 7, 8]), atol=1e-5)
    assert data.notes == (
        "2 classes: down (10), up (10).",
        "Sequences of 5 time steps.",
        "1 shorter sequences are padded in front with zeros, which the model passes over or sees marked.",
        "1 longer sequences keep their last 5 time steps only.",
    )


def test_wide_csv_with_and_without_header(tmp_path: Path) -> None:
    rows = [line.split(":") for line in lines()]
    named = write(tmp_path / "a.csv", "s1,s2,s3,s4,s5,Class\n" + "".join(f"{v},{c}\n" for v, c in rows))
    bare = write(tmp_path / "b.tsv", "".join(f"{c},{v}\n".replace(",", "\t") for v, c in rows))
    with_header, without = sequences(path=named), sequences(path=bare, header=False)
    assert torch.equal(split(with_header).inputs, split(without).inputs)
    assert torch.equal(with_header.train.targets, without.train.targets)


def test_empty_cells_at_the_end_are_a_shorter_sequence(tmp_path: Path) -> None:
    rows = "".join(f"{i % 2},1,{i},{'' if i == 0 else 5}\n" for i in range(12))
    data = sequences(path=write(tmp_path / "a.csv", "label,s1,s2,s3\n" + rows))
    assert "1 shorter sequences are padded in front" in " ".join(data.notes)


@pytest.mark.parametrize("filler", ["?", "NaN", ""])
def test_ts_rows_padded_at_the_end_are_shorter_sequences(tmp_path: Path, filler: str) -> None:
    rows = lines(channels=2)
    shorter = rows[0].split(":")
    cut = [",".join(values.split(",")[:3]) for values in shorter[:2]]
    padded = [f"{values},{filler},{filler}" for values in cut]
    plain = sequences(path=ts(tmp_path / "a.ts", [":".join([*cut, shorter[2]]), *rows[1:]]))
    filled = sequences(path=ts(tmp_path / "b.ts", [":".join([*padded, shorter[2]]), *rows[1:]]))
    assert torch.equal(split(plain).inputs, split(filled).inputs)
    assert plain.notes == filled.notes
    gap = padded[0].replace(cut[0], f"1,{filler},3")
    with pytest.raises(DataError, match=r"row 6, channel 1 value 2: the value is missing"):
        sequences(path=ts(tmp_path / "c.ts", [":".join([gap, *padded[1:], shorter[2]]), *rows[1:]]))
    with pytest.raises(DataError, match=r"row 6: it has no values"):
        sequences(path=ts(tmp_path / "d.ts", [f"{filler},{filler}:{filler},{filler}:up", *rows[1:]]))


def test_test_file_and_fitted(tmp_path: Path) -> None:
    rows = lines()
    path = ts(tmp_path / "a.ts", rows)
    data = sequences(path=path, test_path=ts(tmp_path / "t.ts", ["100,200,300,400,500:up"]))
    same_train = sequences(path=path, test_path=ts(tmp_path / "u.ts", ["0,0,0,0,0:up"]))
    assert data.train.fingerprint() == same_train.train.fingerprint()
    again = sequences(
        path=ts(tmp_path / "v.ts", ["100,200,300,400,500:up"]),
        fitted=data.fitted,
        splitting=SplitSettings(test_fraction=1.0, evaluating=True),
    )
    assert torch.equal(split(again, "test").inputs, split(data, "test").inputs)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (HEAD, "is empty"),
        ("1,2,3:up\n", "row 1: '1,2,3:up' stands before the @data line"),
        ("@problemName x\n", "no @data line"),
        (HEAD + "1,2:up\n1,x:up\n", "row 7, column 'value 2': 'x' is not a number"),
        (HEAD + "1,2:up\n?,2:up\n", "row 7, value 1: the value is missing"),
        (HEAD + "1,2:3,4:up\n1,2:up\n", "row 7: it has 1 channels"),
        (HEAD + "1,2:3:up\n", "row 6: its channels have different lengths"),
        (HEAD + "1,2:up\n" * 9, "only the class 'up'"),
        ("@timeStamps true\n@data\n", "time stamps are not supported"),
        ("@classLabel false\n@data\n", "no class labels"),
    ],
)
def test_bad_ts_files(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        sequences(path=write(tmp_path / "a.ts", text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("s1,s2\n1,2\n", "no columns called label, class, target"),
        ("label,s1,s2\nup,1,2\ndown,,2\n", "row 3, column 's1': the value is missing"),
        ("label,s1\nup,1\n,2\n", "row 3: the label"),
        ("label,s1\nup,1\ndown,x\n", "row 3, column 's1': 'x' is not a number"),
        ("label\nup\n", "no values beside it"),
    ],
)
def test_bad_csv_files(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        sequences(path=write(tmp_path / "a.csv", text))


def test_class_of_the_test_file_that_training_lacks(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not in the training data: 'left' \(1\), first in row 6"):
        sequences(path=ts(tmp_path / "a.ts", lines()), test_path=ts(tmp_path / "t.ts", ["1,2,3,4,5:left"]))


def test_gunpoint(shared: Callable[[str], Path]) -> None:
    folder = shared("gunpoint")
    data = sequences(path=str(folder / "GunPoint_TRAIN.ts"), test_path=str(folder / "GunPoint_TEST.ts"))
    assert (len(data.train) + len(data.val), len(data.test)) == (50, 150)
    assert data.spec.input_shape == (150, 1)
