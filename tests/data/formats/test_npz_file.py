"""The arrays of a file and their roles; pickled objects are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ptrun.data.formats.npz_file import arrays_by_role, load_arrays
from ptrun.errors import DataError

ONE = np.ones(1)


def test_roles_and_arrays_without_one():
    by_role, notes = arrays_by_role(Path("a.npz"), {"X_train": ONE, "train_labels": ONE, "mean": ONE})
    assert by_role == {("x", "train"): "X_train", ("y", "train"): "train_labels"}
    assert notes == ["Not used: the arrays mean of a.npz."]
    with pytest.raises(DataError, match="x_train and y_train are missing"):
        arrays_by_role(Path("a.npz"), {})


def test_objects_are_refused(tmp_path: Path):
    np.savez(tmp_path / "a.npz", x=np.array([object()]))
    with pytest.raises(DataError, match="it holds Python objects"):
        load_arrays(tmp_path / "a.npz")
