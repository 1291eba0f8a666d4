"""What a command prints: header, one line per epoch, progress bar, result, tables, errors.

Every line makes sense without color (pipes, log files, encodings without special letters). rich adds the color. It is
slow to import, so it is imported for a terminal only, and never for errors and tables.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console as RichConsole
from ptrun.terminal.epoch_table import EpochTable
from ptrun.terminal.format import (
    cell_width,
    format_number,
    group_table,
    metrics_table,
    pad,
    table_lines,
)
from ptrun.terminal.live_region import LiveRegion

Segment = tuple[str, str]  # text, and the rich style it has on a terminal ("" for none)

_ASCII = str.maketrans({"★": "*", "·": "-", "…": ".", "→": ">", "━": "=", "─": "-", "−": "-", "²": "2", "×": "x"})
_BAR_CELLS = 24


def _encodable(text: str, stream: TextIO) -> str:
    """`text` with replacements for letters that the stream's encoding lacks, so that printing can't fail."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "replace").decode(encoding)
    return text


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], stream: TextIO | None = None) -> None:
    """Print an aligned table to `stream` (stdout)."""
    stream = stream or sys.stdout
    width = shutil.get_terminal_size().columns if _is_terminal(stream) else None
    for line in table_lines(columns, rows, width):
        print(_encodable(line, stream), file=stream)


def error_lines(problems: str | Sequence[str]) -> list[str]:
    """`error: SENTENCE`, or a count and a numbered list."""
    problems = [problems] if isinstance(problems, str) else list(problems)
    if len(problems) == 1:
        return [f"error: {problems[0]}"]
    digits = len(str(len(problems)))
    numbered = [f"  {number:>{digits}}. {problem}" for number, problem in enumerate(problems, start=1)]
    return [f"error: {len(problems)} problems:", *numbered]


def error(problems: str | Sequence[str], stream: TextIO | None = None) -> None:
    """Print one or several problems to `stream` (stderr)."""
    stream = stream or sys.stderr
    # The only color made by hand: an error must not wait for rich to be imported.
    colored = _is_terminal(stream) and not os.environ.get("NO_COLOR") and sys.platform != "win32"
    for line in error_lines(problems):
        text = _encodable(line, stream)
        print(text.replace("error:", "\x1b[1;31merror:\x1b[0m", 1) if colored else text, file=stream)
        colored = False


def _bar(done: int, total: int) -> list[Segment]:
    filled = round(_BAR_CELLS * min(done / total, 1.0))
    return [
        ("━" * filled, "cyan"),
        ("─" * (_BAR_CELLS - filled), "dim"),
        (f"  {100 * done // total:>3} %  {done:,}/{total:,}", ""),
    ]


class Console:
    """Prints one command's lines on stdout, and the same lines without color into `log_file` (train.log).

    `quiet` silences stdout; warnings then go to stderr, and the log stays complete. `stream` replaces stdout.
    """

    def __init__(self, quiet: bool = False, log_file: TextIO | None = None, stream: TextIO | None = None) -> None:
        self._stream = None if quiet else stream or sys.stdout
        self._log = log_file
        self._live = self._stream is not None and _is_terminal(self._stream)
        self._rich: RichConsole | None = None
        self._bar_visible = False
        self._region: LiveRegion | None = None
        self._epochs = EpochTable(0, ())

    @property
    def is_live(self) -> bool:
        """Whether stdout is a terminal, where lines can be redrawn."""
        return self._live

    @property
    def width(self) -> int | None:
        """Cells of a line on a terminal; None where lines may have any length."""
        return shutil.get_terminal_size().columns if self._live else None

    def header(self, rows: Sequence[tuple[str, str]], title: str = "") -> None:
        """Print two columns: names and values (model, data, device, run folder, ...)."""
        if title:
            self._emit((title, "bold"))
        width = max((cell_width(name) for name, _ in rows), default=0)
        for name, value in rows:
            label = f"  {pad(name, width)}  "
            # Sentences are wrapped; paths and commands stay on one line, so that they can be copied.
            lines = self._wrapped(label + value, " " * cell_width(label)) if value.endswith(".") else [label + value]
            self._emit((label, "cyan"), (lines[0][len(label) :], ""))
            for line in lines[1:]:
                self._emit((line, ""))

    def note(self, text: str) -> None:
        """Print a sentence about something that was found out or decided."""
        for line in self._wrapped(f"  · {text}", "    "):
            self._emit((line, "dim"))

    def warn(self, text: str) -> None:
        """Print a warning; on stderr when quiet."""
        if self._stream is None:
            print(_encodable(f"warning: {text}", sys.stderr), file=sys.stderr)
        for line in self._wrapped(f"  warning: {text}", "    "):
            self._emit((line, "yellow"))

    def text(self, line: str = "") -> None:
        """Print one line as it is."""
        self._emit((line, ""))

    def event(self, line: str) -> None:
        """Print one line on something that live lines show, where these are not drawn."""
        if not self._live:
            self.text(line)

    def epoch_table_start(self, epochs: int, metric_keys: Sequence[str], start_epoch: int = 0) -> None:
        """Begin the table of epochs: their number, the keys of a record to show, how many epochs are done already."""
        room = shutil.get_terminal_size().columns if self._live else None
        self._epochs = EpochTable(epochs, metric_keys, start_epoch, room)
        self._emit(("", ""))
        if self._epochs.shown_every > 1:
            self.note(f"One line for every {self._epochs.shown_every} epochs, or each second; metrics.csv has all.")
        self._emit((self._epochs.title, "bold"))

    def epoch(self, record: Mapping[str, Any], *, is_last: bool = False) -> None:
        """Print one line for a record of `metrics.jsonl`; of very many epochs, only some have a line."""
        line = self._epochs.line(record, is_last=is_last)
        if line is None:
            return
        best = record.get("best") is True
        self._emit((line if best else line.rstrip(), ""), ("  ★" if best else "", "bold green"))

    def progress(self, done: int, total: int, loss: float | None = None) -> None:
        """Redraw the progress bar of the running epoch; does nothing where stdout is no terminal."""
        if not self._live or total <= 0:
            return
        parts: list[Segment] = [
            (f"  {self._epochs.next_number}  ", "dim"),
            *_bar(done, total),
            ("" if loss is None else f"  loss {format_number(float(loss))}", ""),
        ]
        self._show(parts, erasable=True)

    def work(self, done: int, total: int | None) -> None:
        """Redraw the bar of work other than training, or a count without a total. Does nothing without a terminal."""
        if self._live and total != 0:
            bar = [(f"{done:,} done", "dim")] if total is None else _bar(done, total)
            self._show([("  ", ""), *bar], erasable=True)

    def live_lines(self, lines: Sequence[Sequence[Segment]]) -> None:
        """Draw lines at the bottom in place of the former ones; other lines go above them. `clear` erases them."""
        if not self._live:
            return
        fitting = [[(self._fit(text), style) for text, style in line] for line in lines]
        try:
            self._region = self._region or LiveRegion(self._styled())
            self._region.show(fitting)
            self._flush()
        except OSError:  # the terminal has gone
            self._stream, self._live, self._region = None, False, None

    def clear(self) -> None:
        """Erase the progress bar or the live lines. Call this after an exception, too, to leave the terminal clean."""
        if self._region is not None:
            with contextlib.suppress(OSError):
                self._region.close()
            self._region = None
        if not self._bar_visible:
            return
        from rich.control import Control
        from rich.segment import ControlType

        with contextlib.suppress(OSError):
            self._styled().control(Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2)))
            self._flush()
        self._bar_visible = False

    def result(
        self,
        rows: Sequence[tuple[str, str]],
        next_commands: Sequence[tuple[str, str]],
        document: Mapping[str, Any] | None = None,
    ) -> None:
        """Print the final block: rows, the metrics of a `metrics.json`, what to type next as (purpose, command)."""
        self.text()
        self.header(rows, "Result")
        if document is not None:
            self.text()
            self.metrics(document)
        if next_commands:
            self.text()
            self.header(next_commands, "Next")

    def metrics(self, document: Mapping[str, Any]) -> None:
        """Print the tables of an evaluation's `metrics.json`."""
        columns, rows, notes = metrics_table(document)
        self.table(columns, rows)
        for note in notes:
            self.note(note)
        if document.get("per_group"):
            self.text()
            self.table(*group_table(document))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Print an aligned table, indented like everything else."""
        width = None if self.width is None else self.width - 2
        for number, line in enumerate(table_lines(columns, rows, width)):
            self._emit(("  " + line, "bold" if number == 0 else ""))

    def error(self, problems: str | Sequence[str]) -> None:
        """Print problems on stderr and into the log."""
        self.clear()
        error(problems)
        for line in error_lines(problems):
            self._write_log(line)

    def _wrapped(self, text: str, indent: str) -> list[str]:
        if not self._live:
            return [text]
        width = max(20, shutil.get_terminal_size().columns)
        return textwrap.wrap(text, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)

    def _emit(self, *segments: Segment) -> None:
        """Print one line made of `segments`, and write it to the log."""
        self._write_log("".join(text for text, _ in segments))
        self._show(segments)

    def _show(self, segments: Sequence[Segment], *, erasable: bool = False) -> None:
        """Print one line. An erasable one is cut to the terminal's width, because only one line can be erased."""
        if self._stream is None:
            return
        try:
            if self._region is None or erasable:
                self.clear()
            if self._live:
                self._print_styled(segments, erasable)
            else:
                print(self._fit("".join(text for text, _ in segments)), file=self._stream)
            self._flush()
        except OSError:  # the terminal or the reader of the pipe has gone, which is no reason to end training
            self._stream, self._live, erasable = None, False, False
        self._bar_visible = erasable

    def _print_styled(self, segments: Sequence[Segment], erasable: bool) -> None:
        from rich.text import Text

        line = Text.assemble(*((self._fit(text), style) for text, style in segments))
        if erasable:
            line.truncate(max(1, shutil.get_terminal_size().columns - 1))
        self._styled().print(line, end="" if erasable else "\n", soft_wrap=True)

    def _write_log(self, line: str) -> None:
        if self._log is not None:
            print(_encodable(line, self._log), file=self._log, flush=True)

    def _fit(self, text: str) -> str:
        return _encodable(text, self._stream) if self._stream is not None else text

    def _flush(self) -> None:
        if self._stream is not None:
            self._stream.flush()

    def _styled(self) -> RichConsole:
        if self._rich is None:
            from rich.console import Console as RichConsole

            self._rich = RichConsole(file=self._stream, highlight=False, markup=False, emoji=False)
        return self._rich
