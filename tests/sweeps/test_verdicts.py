"""The comparisons of a sweep are judged by its runs: as claimed, the opposite, or undecided."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import job_row

from ptrun.sweeps.verdicts import FILE, measured, report, verdicts
from ptrun.terminal.console import Console

TEXT = "a=1 > a=2"


def judge(folder: Path, values: dict[str, tuple[float | None, ...]], *compare: str, by: str | None = None) -> list[str]:
    """The verdicts on a sweep whose configurations have these values, one for each seed."""
    (folder / "sweep.json").write_text(json.dumps({"compare": list(compare), "compare_by": by}))
    rows = [
        {**job_row(f"{settings} seed={seed}", value), "job": f"{settings}-{seed}"}
        for settings, group in values.items()
        for seed, value in enumerate(group)
    ]
    return verdicts(folder, rows)


@pytest.mark.parametrize(
    ("second", "text", "judgement"),
    [
        ((0.80, 0.82, 0.83), TEXT, "holds"),
        ((0.80, 0.82, 0.83), "a=1 < a=2", "does not hold, the opposite is true"),
        ((0.95, 0.90, 0.91), TEXT, "is undecided, because the difference may be chance"),
    ],
)
def test_the_three_verdicts(tmp_path: Path, second: tuple[float, ...], text: str, judgement: str):
    (sentence,) = judge(tmp_path, {"a=1": (0.90, 0.92, 0.94), "a=2": second}, text)
    assert sentence.startswith(f"{text} {judgement}: ")


def test_the_numbers_are_in_the_sentence(tmp_path: Path):
    (sentence,) = judge(tmp_path, {"a=1": (0.90, 0.92, 0.94), "a=2": (0.80, 0.82, 0.83)}, TEXT)
    assert sentence == (
        "a=1 > a=2 holds: val accuracy 92.00 ± 2.00 % against 81.67 ± 1.53 %, higher by 10.33 points, "
        "95 % interval 8.90 to 11.77 (3 pairs of runs, paired t-test)."
    )


def test_of_several_configurations_the_best_counts(tmp_path: Path):
    values: dict[str, tuple[float | None, ...]] = {
        "a=1 b=1": (0.90, 0.92, 0.91), "a=1 b=2": (0.3, 0.4, 0.5), "a=2 b=1": (0.80, 0.81, 0.84),
    }  # fmt: skip
    (sentence,) = judge(tmp_path, values, TEXT)
    assert sentence.startswith("a=1 > a=2 holds: val accuracy 91.00 ± 1.00 % (a=1 b=1, the best of 2) against 81.67 ±")


def test_what_can_not_be_judged_yet(tmp_path: Path):
    (sentence,) = judge(tmp_path, {"a=1": (0.9, 0.8), "a=2": (None, None)}, TEXT)
    assert sentence == "a=1 > a=2 is open: no run with a=2 has a result yet."
    (sentence,) = judge(tmp_path, {"a=1": (0.9,), "a=2": (0.8,)}, TEXT)
    assert sentence.endswith("One run decides nothing: sweep.seeds=3 makes three.")
    assert judge(tmp_path, {"a=1": (0.9,), "a=2": (0.8,)}) == []


def test_another_metric_than_the_monitored_one(tmp_path: Path):
    row: dict[str, Any] = {**job_row("a=1 seed=0", 0.9), "job": "0"}
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "metrics.jsonl").write_text('{"train/loss": 2.0}\n{"train/loss": 0.5}\n')
    (train,) = measured(tmp_path, [row], "train/loss")
    assert (train["monitor"], train["value"], train["higher_is_better"]) == ("train/loss", 0.5, False)
    (test,) = measured(tmp_path, [row], "test/accuracy")
    assert (test["value"], test["higher_is_better"]) == (row["test"]["accuracy"], True)
    (absent,) = measured(tmp_path, [row], "test/r2")
    assert absent["value"] is None
    assert measured(tmp_path, [row], None) == [row]


def test_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    judge(tmp_path, {}, TEXT)
    report(tmp_path, [job_row("a=1 seed=0", 0.9)], Console())
    assert "a=1 > a=2 is open: no run with a=2 has a result yet." in capsys.readouterr().out
    assert (tmp_path / FILE).read_text().startswith("a=1 > a=2 is open")
