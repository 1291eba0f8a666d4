"""Remarks of exporters are kept from the user inside, and nothing is changed afterwards."""

from __future__ import annotations

import logging
import sys
import warnings

import pytest

from ptrun.export.quiet import quiet


def test_warnings_and_log_records_are_ignored_inside_only(caplog: pytest.LogCaptureFixture):
    with quiet():
        warnings.warn("a remark", FutureWarning, stacklevel=1)
        logging.getLogger().warning("advice")
    assert not caplog.records
    with pytest.warns(FutureWarning):
        warnings.warn("a remark", FutureWarning, stacklevel=1)
    logging.getLogger().warning("advice")
    assert [record.message for record in caplog.records] == ["advice"]


def test_what_is_printed_inside_is_dropped(capsys: pytest.CaptureFixture[str]):
    with quiet():
        print("a graph")
        print("a graph", file=sys.stderr)
    print("after")
    assert tuple(capsys.readouterr()) == ("after\n", "")


def test_errors_pass_and_leave_no_trace():
    with pytest.raises(ValueError, match="x"), quiet():
        raise ValueError("x")
    assert logging.root.manager.disable == logging.NOTSET
