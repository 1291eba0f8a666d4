"""The console shows what matters, and a log file shows the same without colors."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from support import Ended, newest_run

from ptrun.device.runtime import Runtime
from ptrun.engine.running_loss import RunningLoss
from ptrun.runs import display
from ptrun.runs.display import epoch_bar, preparation_bar
from ptrun.terminal.console import Console

CPU = Runtime(torch.device("cpu"))
Call = Callable[..., Ended]


def test_header_table_and_result_are_shown(folder: Path, ptrun: Call):
    out = ptrun("train", "train.epochs=2").out
    assert re.search(r"best +epoch \d of 2 \(val/loss \d\.\d+\)", out)
    for words in (
        "342,282 parameters", "1,259 train, 179 val, 359 test", "image 1×8×8 → 10 classes", "cpu", "outputs/", "epoch",
        "train loss", "val accuracy", "ETA", "★", "best", "accuracy", "most frequent class",
        "batches of 32, seed 0", "predictions.csv", "ptrun show checkpoint=outputs/",
    ):  # fmt: skip
        assert words in out, words
    assert "\x1b[" not in out
    log = (newest_run(folder) / "train.log").read_text(encoding="utf-8")
    assert "342,282 parameters" in log
    assert "\x1b[" not in log


def test_quiet_prints_nothing(ptrun: Call):
    ended = ptrun("train", "model=simplenet", "train.epochs=1", "--quiet")
    assert (ended.code, ended.out, ended.err) == (0, "", "")


def test_frozen_weights_and_missing_checkpoints_are_said(ptrun: Call):
    out = ptrun("train", "model=simplenet", "train.epochs=1", "checkpoint=none").out
    assert "none are saved (checkpoint=none)" in out
    assert "ptrun eval checkpoint=" not in out


def test_long_work_is_announced_once():
    stream = io.StringIO()
    on_progress = preparation_bar(Console(stream=stream))
    for done in range(4):
        on_progress("caching 3 images", done, 3)
    assert [line.strip() for line in stream.getvalue().splitlines()] == ["· Caching 3 images."]


def test_the_bar_is_for_terminals():
    stream = io.StringIO()
    on_batch = epoch_bar(Console(stream=stream))
    for done in range(1000):
        on_batch(done, 1000, RunningLoss(CPU))
    assert stream.getvalue() == ""


def test_the_bar_shows_the_loss_so_far(monkeypatch: pytest.MonkeyPatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(display, "_REDRAW_SECONDS", 0.0)
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    on_batch = epoch_bar(Console(stream=stream))
    on_batch(1, 4, RunningLoss(CPU))
    assert "25 %  1/4" in stream.getvalue()
    assert "loss" not in stream.getvalue()
    on_batch(2, 4, RunningLoss(CPU, loss_sum=3.0, samples=2))
    assert "loss 1.5" in stream.getvalue()
