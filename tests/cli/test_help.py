"""The overview: it fits on a screen, and each of its examples names a command that exists."""

from __future__ import annotations

from collections.abc import Callable

from support import Ended

from ptrun.cli.help import HELP
from ptrun.cli.main import VERBS

Call = Callable[..., Ended]


def test_the_overview_fits_on_a_screen_and_shows_every_verb(ptrun: Call):
    lines = ptrun().out.splitlines()
    assert lines == ptrun("--help").out.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 120
    examples = [line.split("   ")[0].split() for line in lines if line.startswith("  ptrun ")]
    assert len(examples) >= 10
    assert {words[1] for words in examples} == set(VERBS)


def test_exit_codes_are_those_of_the_errors():
    from ptrun import errors

    classes = [value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, Exception)]
    codes = HELP[HELP.index("Exit codes") :]
    assert all(f" {kind.exit_code} " in codes for kind in classes if kind is not errors.PtrunError)
