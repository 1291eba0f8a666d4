"""Errors: exit codes, and the phrases that messages share."""

from __future__ import annotations

import pytest

from ptrun import errors
from ptrun.errors import ConfigError, did_you_mean, first_line, is_out_of_memory, join_words


def test_exit_codes_are_distinct_and_stay():
    codes = {
        errors.Pruned: 0,
        errors.ExportError: 1,
        errors.ConfigError: 2,
        errors.DataError: 3,
        errors.CheckpointError: 4,
        errors.DivergedError: 5,
        errors.ResourceError: 6,
        errors.Interrupted: 75,
    }
    assert {kind: kind.exit_code for kind in codes} == codes
    assert set(errors.PtrunError.__subclasses__()) == set(codes)


def test_a_config_error_holds_each_problem():
    assert ConfigError("one.").problems == ("one.",)
    assert ConfigError(f"{n}." for n in range(2)).problems == ("0.", "1.")
    assert str(ConfigError(["a.", "b."])) == "a.\nb."


def test_the_nearest_word_is_suggested_and_none_when_all_are_far():
    assert did_you_mean("covnet", ["convnet", "lstm"]) == " Did you mean 'convnet'?"
    assert did_you_mean("xyz", ["convnet", "lstm"]) == ""


def test_a_long_list_is_cut_and_counted():
    assert join_words(["a", "b", "c"]) == "a, b, c"
    assert join_words(map(str, range(30)), limit=3) == "0, 1, 2 and 27 more"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_out_of_memory_is_recognized(error: Exception, expected: bool):
    assert is_out_of_memory(error) is expected


def test_the_first_line_of_an_error():
    assert first_line(ValueError("\n  a reason. \n details")) == "a reason"
    assert first_line(ValueError()) == "ValueError"
