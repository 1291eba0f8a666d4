"""Which epochs have a line in the printed table."""

from __future__ import annotations

from ptrun.terminal.epoch_table import EpochTable


def shown(epochs: int, done: int, slow: int = 0) -> list[str]:
    """The epochs that have a line, of a run that ends after `done` epochs, of which the epoch `slow` takes long."""
    table = EpochTable(epochs, ("val/loss",))
    lines = [
        table.line({"epoch": number, "seconds": 2.0 if number == slow else 0.01}, is_last=number == done)
        for number in range(1, done + 1)
    ]
    return [line.split()[0].partition("/")[0] for line in lines if line is not None]


def test_up_to_a_hundred_epochs_have_a_line_each():
    assert shown(100, 100) == [str(number) for number in range(1, 101)]


def test_of_more_the_first_and_the_last_and_slow_ones_and_some_have_a_line():
    assert shown(500, 33, slow=15) == ["1", "2", "3", "10", "15", "20", "30", "33"]
    assert len(shown(667, 667)) < 50
