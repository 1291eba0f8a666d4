"""Numbers, durations and tables as text."""

from __future__ import annotations

from typing import Any

import pytest

from ptrun.terminal.format import (
    cell_width,
    format_bytes,
    format_learning_rate,
    format_metric,
    format_number,
    format_seconds,
    group_table,
    is_fraction,
    metric_title,
    metrics_table,
    pad,
    table_lines,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.7, "0.7000"), (12.3456, "12.346"), (1234.56, "1,234.6"), (123456.7, "123,457"), (5e-05, "5.000e-05"),
     (0.0, "0"), (float("nan"), "nan"), (None, "-"), (1234567, "1,234,567"),
     (True, "True"), ("text", "text"), (-2.5, "-2.5000")],
)  # fmt: skip
def test_format_number(value: object, text: str) -> None:
    assert format_number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(1e-3, "1e-03"), (3.1623e-4, "3.16e-04"), (0.1, "0.1"), (0.0, "0"), (0.05, "0.05"), (None, "-")]
)
def test_format_learning_rate(value: object, text: str) -> None:
    assert format_learning_rate(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.421, "0.42 s"), (12.34, "12.3 s"), (245, "4:05"), (3723, "1:02:03"), (300000, "3d 11h")]
)
def test_format_seconds(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("num_bytes", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (870, "870 bytes"),
        (999.6, "1 kB"),
        (12_340, "12.3 kB"),
        (999_600, "1 MB"),
        (4.56e6, "4.56 MB"),
        (123_456_789, "123 MB"),
        (1.234e9, "1.23 GB"),
        (2e12, "2,000 GB"),
    ],
)
def test_format_bytes(num_bytes: float, text: str) -> None:
    assert format_bytes(num_bytes) == text


def test_fractions_are_in_percent() -> None:
    assert format_metric("val/accuracy", 0.97314) == "97.31 %"
    assert format_metric("rmse", 0.97314) == "0.9731"
    costs = {"parameters": 4810.0, "training_seconds": 75.0, "peak_memory_bytes": 4.5e8}
    assert [format_metric(name, value) for name, value in costs.items()] == ["4,810", "1:15", "450 MB"]
    assert all(
        map(is_fraction, ("accuracy", "balanced_accuracy", "f1_macro", "val/precision_weighted", "top5_accuracy"))
    )
    assert not any(map(is_fraction, ("loss", "roc_auc", "log_loss", "r2", "mae")))


def test_metric_titles_write_acronyms_large() -> None:
    assert [metric_title(name) for name in ("roc_auc", "log_loss", "rmse", "r2")] == [
        "ROC AUC",
        "Log loss",
        "RMSE",
        "R²",
    ]


def test_wide_letters_take_two_cells() -> None:
    assert cell_width("日本") == 4
    assert pad("日本", 6) == "日本  "
    assert pad("ab", 4, right=True) == "  ab"


def test_a_table_aligns_numbers_to_the_right_and_wraps_its_last_column() -> None:
    assert table_lines(["n", "word"], [[1, "a"], [12345, "bc"]]) == ["     n  word", "     1  a", "12,345  bc"]
    lines = table_lines(["key", "meaning"], [["lr", "step size of the optimizer, per step"]], width=32)
    assert lines[1:] == ["lr   step size of the optimizer,", "     per step"]


def test_a_metrics_table_has_the_baselines_and_a_note_for_what_is_undefined() -> None:
    document = {
        "split": "test",
        "loss": 0.5,
        "metrics": {"accuracy": 0.9, "r2": None},
        "undefined": {"r2": "all targets are equal"},
        "baselines": {"most frequent class": {"accuracy": 0.1}},
    }
    columns, rows, notes = metrics_table(document)
    assert columns == ["metric", "test", "most frequent class"]
    assert rows == [["loss", "0.5000", "-"], ["accuracy", "90.00 %", "10.00 %"], ["r2", "undefined", "-"]]
    assert notes == ["r2 is undefined: all targets are equal"]
    document = {"undefined": {"recall_macro": "no sample of a", "f1_macro": "no sample of a", "r2": "equal"}}
    notes = metrics_table(document)[2]
    assert notes == ["recall_macro, f1_macro are undefined: no sample of a", "r2 is undefined: equal"]


def per_group(count: int) -> dict[str, Any]:
    groups = {
        f"store{i}": {"num_samples": 1000 + i, "metrics": {"rmse": float(-i % count), "r2": None}} for i in range(count)
    }
    return {"per_group": {"column": "store", "groups": groups}}


def test_results_by_group():
    assert group_table(per_group(2)) == (
        ["store", "samples", "rmse", "r2"],
        [["store0", "1,000", "0", "-"], ["store1", "1,001", "1.0000", "-"]],
    )
    _, rows = group_table(per_group(30))
    assert [row[0] for row in rows[:2]] == ["store0", "store29"]
    assert rows[5][0] == "..."
    assert (len(rows), rows[-1][0]) == (11, "store1")
