"""New sequences are prepared one by one; one of another kind is reported in its place."""

from __future__ import annotations

import numpy as np

from ptrun.data.formats.ts_file import Sequences
from ptrun.data.inputs.sequences import NewSequences

FITTED = {"mean": [1.0], "std": [2.0], "length": 3}


def test_short_long_and_wrong_sequences():
    values = [np.array([[3.0]]), np.arange(5.0)[:, None], np.zeros((3, 2)), np.ones((3, 1))]
    source = NewSequences(Sequences("s.ts", values, ["?"] * 4, [4, 5, 6, 7]), FITTED, batch_size=3)
    first, second = source.chunks(0)
    assert first.names == ["row 4", "row 5", "row 6"]
    assert first.inputs[..., 0].tolist() == [[0.0, 0.0, 1.0], [0.5, 1.0, 1.5]]
    assert "row 6: it has 2 channels" in first.problems[2]
    assert second.inputs[..., 0].tolist() == [[0.0, 0.0, 0.0]]
    (alone,) = source.chunks(3)
    assert alone.names == second.names
    by_two = list(NewSequences(source.sequences, FITTED, batch_size=2).chunks(0))
    assert [list(chunk.problems) for chunk in by_two] == [[], [0]]


def test_other_lengths_are_counted_and_a_bad_number_is_reported_in_its_place():
    values = [np.ones((1, 1)), np.ones((4, 1)), np.ones((3, 1)), np.full((3, 1), np.nan)]
    (chunk,) = NewSequences(Sequences("s.ts", values, ["?"] * 4, [4, 5, 6, 7]), FITTED, batch_size=8).chunks(0)
    assert chunk.problems == {3: "it holds a number that is non-finite (NaN or infinite)"}
    assert len(chunk.inputs) == 3
    assert chunk.unusual == {
        "a sequence longer than 3 time steps, of which the model reads the last": 1,
        "a sequence shorter than 3 time steps, padded in front": 1,
    }
