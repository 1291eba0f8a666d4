"""Lines at the bottom of a terminal that are redrawn in place while other lines scroll by above them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

Line = Sequence[tuple[str, str]]  # texts, each with its rich style


class LiveRegion:
    """The region of one terminal. It starts no thread: a process that forks must have none."""

    def __init__(self, console: Console) -> None:
        from rich.live import Live

        self._live = Live(
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            vertical_overflow="crop",
        )
        self._live.start()
        console.show_cursor(True)  # a process that is killed could not bring it back

    def show(self, lines: Sequence[Line]) -> None:
        """Draw these lines in place of the former ones; what is wider than the terminal is cut off."""
        from rich.console import Group
        from rich.text import Text

        texts = [Text.assemble(*line, no_wrap=True, overflow="crop") for line in lines]
        self._live.update(Group(*texts), refresh=True)

    def close(self) -> None:
        """Erase the region."""
        self._live.stop()
