"""Lines at the bottom of a terminal are drawn anew in their place, and others go above them."""

from __future__ import annotations

import io
import threading

import pytest

from ptrun.terminal.console import Console


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "20")


def test_lines_take_the_place_of_the_former_ones_and_vanish(capsys: pytest.CaptureFixture[str]):
    terminal = Terminal()
    console = Console(stream=terminal)
    threads = threading.active_count()
    console.live_lines([[("one", "")], [("two [x]", "bold")]])
    console.live_lines([[("three, which is wider than the terminal", "")]])
    assert terminal.getvalue().count("\x1b[2K") == 2  # both lines erased
    assert "three, which is wide" in terminal.getvalue()
    assert "than the" not in terminal.getvalue()
    console.text("above")
    assert terminal.getvalue().rindex("above") < terminal.getvalue().rindex("three")
    assert threading.active_count() == threads  # a process with another thread can't be forked safely
    console.error("broken")
    before = terminal.getvalue()
    console.clear()
    assert terminal.getvalue() == before  # the error has cleared them
    assert before.rpartition("three")[2].count("\x1b[2K") == 1
    assert "broken" in capsys.readouterr().err


def test_without_a_terminal_there_are_none():
    stream = io.StringIO()
    console = Console(stream=stream)
    console.live_lines([[("one", "")]])
    assert (stream.getvalue(), console.is_live) == ("", False)
    assert not Console(quiet=True).is_live
