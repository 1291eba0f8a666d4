"""Splits give the same samples one by one and in batches, name them, and have fingerprints of their content."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ptrun.data.splits import (
    FileSplit,
    InMemorySplit,
    PreparedSplit,
    TensorSplit,
    WindowSplit,
    first_readable,
    readable,
    skips_bad_samples,
)
from ptrun.errors import DataError

TENSORS = TensorSplit(torch.arange(12).float().view(4, 3), torch.tensor([0, 1, 1, 0]), torch.tensor([8, 2, 5, 7]))
SERIES = torch.arange(20).float().view(10, 2)
WINDOWS = WindowSplit(SERIES, torch.arange(5), 3, 2, torch.tensor([1]))


def read_named(path: str) -> Tensor:
    if path.startswith("bad"):
        raise DataError(f"{path} is damaged.")
    return torch.full((2,), float(path[1:]))


FILES = FileSplit(["f0", "bad", "f2"], torch.tensor([0, 1, 0]), read_named, [10, 20, 30], "list.csv", [2, 3, 4])


@pytest.mark.parametrize("split", [TENSORS, WINDOWS], ids=["tensors", "windows"])
def test_a_batch_is_the_samples_one_by_one(split: InMemorySplit) -> None:
    indices = torch.tensor([3, 0, 3])
    assert isinstance(split, InMemorySplit)
    assert torch.equal(split.gather(indices), torch.stack([split.read(int(i)) for i in indices]))
    assert torch.equal(split.to(torch.device("cpu")).gather(indices), split.gather(indices))
    assert len(split) == len(split.targets)


def test_names_lead_to_the_source() -> None:
    assert TENSORS.name(1) == "row 2"
    assert WINDOWS.name(0) == "rows 3 to 4"
    assert replace(WINDOWS, horizon=1).name(0) == "row 3"
    assert FILES.name(2) == "f2"


def test_targets_of_windows_follow_them() -> None:
    assert WINDOWS.targets.tolist() == [[7, 9], [9, 11], [11, 13], [13, 15], [15, 17]]
    with_gap = replace(WINDOWS, starts=torch.tensor([0, 1, 4]))
    assert with_gap.targets.tolist() == [[7, 9], [9, 11], [15, 17]]
    assert replace(WINDOWS, starts=torch.arange(0)).targets.shape == (0, 2)


def test_windows_are_views() -> None:
    assert WINDOWS.read(2).untyped_storage().data_ptr() == SERIES.untyped_storage().data_ptr()
    assert WINDOWS.num_bytes() == SERIES.nbytes + WINDOWS.starts.nbytes


def test_fingerprints_follow_the_content() -> None:
    shorter = TensorSplit(TENSORS.inputs[:3], TENSORS.targets[:3], TENSORS.rows[:3])
    reordered = TensorSplit(TENSORS.inputs.flip(0), TENSORS.targets.flip(0), TENSORS.rows.flip(0))
    prints = [split.fingerprint() for split in (TENSORS, shorter, reordered, WINDOWS, FILES)]
    prints.append(replace(FILES, sizes=[10, 20, 31]).fingerprint())
    prints.append(replace(FILES, decode="scaled").fingerprint())
    assert len(set(prints)) == len(prints)
    assert replace(TENSORS, rows=TENSORS.rows + 1).fingerprint() == TENSORS.fingerprint()
    assert PreparedSplit(FILES, torch.neg).fingerprint() == FILES.fingerprint()


def test_an_unreadable_file_is_named_with_its_row_in_the_list() -> None:
    with pytest.raises(DataError, match=r"bad is damaged\. It is named in list\.csv, row 3\."):
        FILES.read(1)
    with pytest.raises(DataError, match=r"^bad is damaged\.$"):
        replace(FILES, rows=()).read(1)


def test_bad_samples_are_passed_over_only_where_training_skips_them() -> None:
    skipping = replace(FILES, on_bad_sample="skip")
    assert [float(sample[0]) for sample in readable(skipping, range(3))] == [0, 2]
    with pytest.raises(DataError, match="bad is damaged"):
        list(readable(FILES, range(3)))
    assert skips_bad_samples(skipping)
    assert skips_bad_samples(PreparedSplit(skipping, torch.neg))
    assert not skips_bad_samples(FILES)
    assert not skips_bad_samples(TENSORS)


def test_first_readable() -> None:
    only_bad = FileSplit(["bad"], torch.tensor([0]), read_named, on_bad_sample="skip")
    assert first_readable([only_bad, FILES]).tolist() == [0, 0]
    with pytest.raises(DataError, match="no sample can be read"):
        first_readable([only_bad])


def test_a_prepared_split_applies_the_fixed_transforms() -> None:
    prepared = PreparedSplit(TENSORS, torch.neg)
    assert torch.equal(prepared.read(2), -TENSORS.read(2))
    assert torch.equal(prepared.targets, TENSORS.targets)
    assert (prepared.name(1), len(prepared)) == ("row 2", 4)
