"""A chunk names its inputs, and says by position which of them could not be read."""

from __future__ import annotations

import torch

from ptrun.data.inputs.source import Chunk, RowNames


def test_a_chunk_without_problems_is_the_usual_one():
    chunk = Chunk(["row 2", "row 3"], torch.zeros(2, 4))
    assert not chunk.problems
    assert not chunk.columns
    assert not chunk.unusual
    assert chunk.readable == [0, 1]


def test_problems_are_sentences_with_the_name_of_the_input():
    chunk = Chunk(["a.png", "b.png", "c.png"], torch.zeros(1, 4), {0: "a.png is empty.", 2: "it has 2 cells"})
    assert chunk.readable == [1]
    assert chunk.problem_sentence(0) == "a.png is empty."
    assert chunk.problem_sentence(2) == "c.png: it has 2 cells."


def test_names_of_rows_are_texts():
    names = RowNames(range(2, 9))
    assert (len(names), names[0], names[-1]) == (7, "row 2", "row 8")
    assert names[:2] == ["row 2", "row 3"]
    assert names == [f"row {i}" for i in range(2, 9)]
