"""What a command prints: on a terminal, into a pipe, into the log, and when there is no reader."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from typing import Any

import pytest

from ptrun.terminal.console import Console, error, table
from ptrun.terminal.format import cell_width

DOCUMENT = {
    "split": "test",
    "loss": 0.1234,
    "metrics": {"rmse": 2.2, "r2": None},
    "undefined": {"r2": "all targets are equal"},
    "baselines": {"last value": {"rmse": 2.48}},
}


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Gone(io.StringIO):
    """The pipe of a reader that has left."""

    def write(self, text: str) -> int:
        raise BrokenPipeError


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")


def record(epoch: int, *, best: bool = False) -> dict[str, Any]:
    return {
        "epoch": epoch, "step": 45 * epoch, "train/loss": 0.7, "val/loss": 0.5, "val/accuracy": 0.9731, "lr": 1e-3,
        "samples_per_second": 12345.6, "data_wait_percent": 3.14, "seconds": 2.0, "best": best,
    }  # fmt: skip


def start(stream: io.StringIO, log: io.StringIO | None = None, epochs: int = 100) -> Console:
    console = Console(stream=stream, log_file=log)
    console.epoch_table_start(epochs, ("train/loss", "val/loss", "val/accuracy", "val/loss"))
    return console


def on_screen(text: str) -> list[str]:
    """What a terminal shows: colors taken away, erased lines gone."""
    text = re.sub(r"\x1b\[[\d;]*m", "", text)
    return [line.split("\r\x1b[2K")[-1] for line in text.split("\n")]


def test_plain_epoch_lines_are_aligned_without_colors() -> None:
    stream = io.StringIO()
    console = start(stream)
    console.epoch(record(1, best=True))
    console.epoch({key: value for key, value in record(2).items() if not key.startswith("val/")})
    console.epoch(record(100) | {"val/loss": float("nan")})
    header, first, second, last = stream.getvalue().splitlines()[1:]
    assert header.split() == [
        "epoch",
        "train",
        "loss",
        "val",
        "loss",
        "val",
        "accuracy",
        "lr",
        "samples/s",
        "data",
        "wait",
        "time",
        "ETA",
    ]
    assert first.split() == [
        "1/100",
        "0.7000",
        "0.5000",
        "97.31",
        "%",
        "1e-03",
        "12,346",
        "3.1",
        "%",
        "2.00",
        "s",
        "3:18",
        "★",
    ]
    assert second.split()[:4] == ["2/100", "0.7000", "-", "-"]
    assert "nan" in last
    for title, cell in (("train loss", "0.7000"), ("val accuracy", "97.31 %"), ("samples/s", "12,346")):
        assert header.index(title) + len(title) == first.index(cell) + len(cell)
    assert "\x1b" not in stream.getvalue()


def test_the_log_has_the_same_lines_without_colors_and_bar() -> None:
    plain, log, terminal, terminal_log = io.StringIO(), io.StringIO(), Terminal(), io.StringIO()
    for stream, file in ((plain, log), (terminal, terminal_log)):
        console = start(stream, file)
        console.progress(5, 10, 0.5)
        console.epoch(record(1, best=True))
        console.note("a fact")
    assert log.getvalue() == plain.getvalue() == terminal_log.getvalue()
    assert "\x1b" in terminal.getvalue()


def test_the_bar_is_drawn_on_a_terminal_only_and_vanishes() -> None:
    plain, terminal = io.StringIO(), Terminal()
    for stream in (plain, terminal):
        console = start(stream)
        console.progress(30, 120, 0.25)
        if stream is terminal:
            assert "1/100" in on_screen(terminal.getvalue())[-1]
            assert "25 %  30/120  loss 0.2500" in on_screen(terminal.getvalue())[-1]
        console.epoch(record(1))
        console.progress(1, 120, None)
        console.clear()
    assert "━" not in plain.getvalue()
    assert "━" not in "".join(on_screen(terminal.getvalue()))
    assert on_screen(terminal.getvalue())[-1] == ""


def test_work_without_a_known_total_is_counted() -> None:
    terminal = Terminal()
    console = Console(stream=terminal)
    console.work(1234, None)
    assert on_screen(terminal.getvalue())[-1].strip() == "1,234 done"
    console.work(5, 10)
    assert "50 %" in on_screen(terminal.getvalue())[-1]
    console.clear()
    assert on_screen(terminal.getvalue())[-1] == ""


def test_no_color_keeps_the_bar_and_drops_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    console = start(terminal)
    console.progress(1, 2, 0.5)
    console.epoch(record(1, best=True))
    console.warn("careful")
    assert "━" in terminal.getvalue()
    assert not re.search(r"\x1b\[[\d;]*3\d[;m]", terminal.getvalue())


@pytest.mark.parametrize("columns", [40, 60, 80, 100])
def test_a_narrow_terminal_loses_columns_and_wraps_no_line(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    terminal = Terminal()
    console = start(terminal, epochs=10)
    console.progress(1_000_000, 2_000_000, 0.5)
    bar = on_screen(terminal.getvalue())[-1]
    console.epoch(record(1, best=True))
    console.warn("a sentence that is rather long, so that it has to go on in a second line of a narrow terminal")
    lines = on_screen(terminal.getvalue())
    assert len(bar) < columns
    assert max(map(len, lines)) <= max(columns, 52)  # epoch, the two losses and the metric are always there
    assert ("samples/s" in lines[1]) == (columns >= 80)
    assert lines[2].endswith("★")


def test_an_ascii_stream_gets_ascii() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    console = Console(stream=stream)
    console.note("grüße")
    console.epoch_table_start(2, ("train/loss",))
    console.epoch(record(1, best=True))
    stream.flush()
    assert raw.getvalue().splitlines()[0] == b"  - gr??e"
    assert raw.getvalue().rstrip().endswith(b"*")


def test_quiet_prints_warnings_and_errors_only_and_logs_all(capsys: pytest.CaptureFixture[str]) -> None:
    log = io.StringIO()
    console = Console(quiet=True, log_file=log)
    console.header([("model", "convnet")], "ptrun train")
    console.epoch_table_start(1, ("train/loss",))
    console.progress(1, 2, 0.1)
    console.epoch(record(1))
    console.warn("careful")
    console.error("broken")
    console.result([("run", "outputs/x")], [("go on", "ptrun eval")], DOCUMENT)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "warning: careful\nerror: broken\n"
    assert all(word in log.getvalue() for word in ("convnet", "1/1", "careful", "broken", "outputs/x", "last value"))


def test_a_reader_that_leaves_does_not_end_the_run() -> None:
    log = io.StringIO()
    console = start(Gone(), log)
    console.progress(1, 2, 0.5)
    console.epoch(record(1))
    console.epoch(record(2))
    assert "2/100" in log.getvalue()


def test_result_shows_baselines_undefined_values_and_what_is_next() -> None:
    stream = io.StringIO()
    Console(stream=stream).result([("best epoch", "3 of 5")], [("evaluate", "ptrun eval checkpoint=a b.pt")], DOCUMENT)
    lines = stream.getvalue().splitlines()
    assert ["metric", "test", "last", "value"] in [line.split() for line in lines]
    assert ["rmse", "2.2000", "2.4800"] in [line.split() for line in lines]
    assert ["r2", "undefined", "-"] in [line.split() for line in lines]
    assert "r2 is undefined: all targets are equal" in stream.getvalue()
    assert lines[-1] == "  evaluate  ptrun eval checkpoint=a b.pt"


def test_tables_align_numbers_right_texts_left_and_wide_letters() -> None:
    stream = io.StringIO()
    table(["name", "count", "meaning"], [["日本", 5, "x"], ["abc", 12345, "a longer text"]], stream)
    assert stream.getvalue().splitlines() == ["name   count  meaning", "日本       5  x", "abc   12,345  a longer text"]
    assert cell_width("日本") == 4


def test_a_table_wraps_its_last_column_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    terminal = Terminal()
    table(["name", "meaning"], [["convnet", "two convolutions and two linear layers behind them"]], terminal)
    assert all(len(line) <= 40 for line in terminal.getvalue().splitlines())
    assert terminal.getvalue().splitlines()[2].startswith("         ")


def test_a_sentence_in_a_header_wraps_on_a_terminal_and_a_command_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    command = "ptrun predict checkpoint=outputs/latest input=photos"
    sentence = "Better than the best simple baseline by far."
    rows = [("verdict", sentence), ("next", command)]
    stream = Terminal()
    Console(stream=stream).header(rows)
    assert on_screen(stream.getvalue())[:3] == [
        "  verdict  Better than the best simple",
        "           baseline by far.",
        f"  next     {command}",
    ]
    plain = io.StringIO()
    Console(stream=plain).header(rows)
    assert plain.getvalue().splitlines()[0] == f"  verdict  {sentence}"


def test_one_problem_is_a_sentence_and_several_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    error("train.epochs is -1.")
    error([f"problem {number}" for number in range(1, 11)])
    captured = capsys.readouterr()
    lines = captured.err.splitlines()
    assert captured.out == ""
    assert lines[:3] == ["error: train.epochs is -1.", "error: 10 problems:", "   1. problem 1"]
    assert lines[-1] == "  10. problem 10"


def test_an_error_is_red_on_a_terminal_unless_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    colored, plain = Terminal(), Terminal()
    error("x", colored)
    monkeypatch.setenv("NO_COLOR", "1")
    error("x", plain)
    assert ("\x1b[1;31m" in colored.getvalue(), "\x1b" in plain.getvalue()) == (sys.platform != "win32", False)


def test_errors_tables_and_plain_lines_import_neither_rich_nor_torch() -> None:
    program = (
        "import sys; from ptrun.terminal.console import Console, error, table\n"
        "error(['a', 'b']); table(['a'], [[1]]); console = Console(); console.header([('a', 'b')])\n"
        "console.epoch_table_start(1, ('train/loss',)); console.progress(1, 2, 0.1); console.epoch({'epoch': 1})\n"
        "print([name for name in ('rich', 'torch', 'numpy', 'matplotlib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
