"""A chunk names its inputs, and says by position which of them could not be read."""

from __future__ import annotations

import torch

from ptrun.data.inputs.source import Chunk


def test_a_chunk_without_problems_is_the_usual_one():
    chunk = Chunk(["row 2", "row 3"], torch.zeros(2, 4))
    assert not chunk.problems
    assert not chunk.columns
    assert not chunk.unusual
