"""Windows of a series never look ahead; parts, gaps and targets follow the settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from ptrun.data.dataset import Data, check_targets
from ptrun.data.datasets.series import series
from ptrun.data.split_settings import SplitSettings
from ptrun.data.splits import WindowSplit
from ptrun.errors import ConfigError, DataError


def write(path: Path, values: np.ndarray, times: list[str] | None = None, names: str = "a,b") -> str:  # type: ignore[type-arg]
    times = times or [str(np.datetime64("2020-01-01") + np.timedelta64(i, "D")) for i in range(len(values))]
    lines = [f"{time},{','.join(map(str, row))}" for time, row in zip(times, values, strict=True)]
    path.write_text("\n".join([f"date,{names}", *lines]) + "\n", encoding="utf-8")
    return str(path)


def walk(count: int = 200) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(0).normal(size=(count, 2)).cumsum(axis=0).round(3)


def part(data: Data, name: str) -> WindowSplit:
    split = getattr(data, name)
    assert isinstance(split, WindowSplit)
    return split


def error_of(data: Data, forecast: torch.Tensor) -> float:
    return float((forecast - data.test.targets).square().mean().sqrt()) * data.spec.target_std[0]


def test_embedded_series_and_its_published_baselines() -> None:
    data = series()
    assert data.spec.input_shape == (30, 1)
    assert len(data.test) == 730
    rmse = {name: error_of(data, forecast) for name, forecast in data.baselines().items()}
    assert rmse["last value"] == pytest.approx(2.48, abs=0.005)
    assert rmse["same time last season (365 rows)"] == pytest.approx(3.73, abs=0.005)
    assert rmse["ridge on the window"] == pytest.approx(2.21, abs=0.01)


def test_windows_are_followed_by_their_targets(tmp_path: Path) -> None:
    values = walk()
    data = series(path=write(tmp_path / "a.csv", values), window=7, horizon=3, targets=["b"])
    mean, std = np.array(data.fitted["mean"]), np.array(data.fitted["std"])
    assert data.spec.target_names == ("b +1", "b +2", "b +3")
    for name in ("train", "val", "test"):
        split = part(data, name)
        for i in (0, len(split) - 1):
            start = int(split.starts[i])
            assert np.allclose(split.read(i).numpy() * std + mean, values[start : start + 7], atol=1e-4)
            assert np.allclose(
                split.targets[i].numpy() * std[1] + mean[1], values[start + 7 : start + 10, 1], atol=1e-4
            )


@pytest.mark.parametrize("targets", ["auto", ["b"]])
def test_windows_and_targets_are_views_of_the_series(tmp_path: Path, targets: str | list[str]) -> None:
    data = series(path=write(tmp_path / "a.csv", walk(2000)), window=100, horizon=50, targets=targets)
    split = part(data, "train")
    assert split.read(3).untyped_storage().data_ptr() == split.values.untyped_storage().data_ptr()
    assert split.targets.nbytes > 10 * split.values.nbytes
    assert split.targets.untyped_storage().nbytes() <= split.values.nbytes


def test_a_batch_of_windows_is_the_samples_one_by_one_also_around_gaps(tmp_path: Path) -> None:
    values = walk().astype(object)
    values[50, 1] = values[139, 1] = values[199, 1] = "NA"
    data = series(
        path=write(tmp_path / "a.csv", values), window=7, horizon=3, targets=["b", "a"], missing="forward_fill"
    )
    for name in ("train", "val", "test"):
        split = part(data, name)
        chosen = torch.tensor([len(split) - 1, 0, 5, 5])
        assert torch.equal(split.gather(chosen), torch.stack([split.read(int(i)) for i in chosen]))
        for i in chosen.tolist():
            start = int(split.starts[i]) + split.window
            assert torch.equal(split.targets[i], split.values[start : start + 3].flip(1).flatten())


def test_a_bad_target_far_behind_is_found_and_named(tmp_path: Path) -> None:
    data = series(path=write(tmp_path / "a.csv", walk(3000)), window=7, horizon=3)
    part(data, "train").values[2000, 1] = float("nan")
    with pytest.raises(
        DataError, match=r"rows 1998 to 2000 of the train split has the target .*nan.*; expected a finite"
    ):
        check_targets(data, may_be_empty=False)


def test_parts_follow_each_other_in_time(tmp_path: Path) -> None:
    data = series(path=write(tmp_path / "a.csv", walk()), window=7, horizon=3)
    first = {name: int(part(data, name).starts[0]) + 7 for name in ("train", "val", "test")}
    last = {name: int(part(data, name).starts[-1]) + 7 + 3 for name in ("train", "val", "test")}
    assert first == {"train": 7, "val": 140, "test": 160}
    assert last == {"train": 140, "val": 160, "test": 200}


def test_later_rows_change_nothing_in_train(tmp_path: Path) -> None:
    values = walk()
    settings = {"window": 7, "horizon": 3, "calendar": True}
    data = series(path=write(tmp_path / "a.csv", values), **settings)  # type: ignore[arg-type]
    values[140:] += 1000
    changed = series(path=write(tmp_path / "b.csv", values), **settings)  # type: ignore[arg-type]
    train, again = part(data, "train"), part(changed, "train")
    all_windows = torch.arange(len(train))
    assert data.fitted == changed.fitted
    assert torch.equal(train.gather(all_windows), again.gather(all_windows))
    assert torch.equal(train.targets, again.targets)


@pytest.mark.parametrize("horizon", [1, 3, 400])
def test_baselines_do_not_look_ahead(tmp_path: Path, horizon: int) -> None:
    values = walk(3000)
    bounds = {"train_rows": [0, 1500], "val_rows": [1500, 2000], "test_rows": [2000, 3000], "horizon": horizon}
    path = write(tmp_path / "a.csv", values)
    data = series(path=path, season=365, **bounds)  # type: ignore[arg-type]
    first = int(part(data, "test").starts[0]) + 30
    values[first:] += 1000
    changed = series(path=write(tmp_path / "b.csv", values), season=365, **bounds)  # type: ignore[arg-type]
    assert len(data.baselines()) == 3
    for name, forecast in data.baselines().items():
        assert torch.equal(forecast[0], changed.baselines()[name][0]), name


def test_explicit_rows_of_a_published_convention(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", walk())
    data = series(path=path, window=10, horizon=4, train_rows=[0, 100], val_rows=[100, 150], test_rows=[150, 190])
    assert [len(part(data, name)) for name in ("train", "val", "test")] == [100 - 13, 50 - 3, 40 - 3]
    assert data.record["rows"]["test"] == [150, 190]


def test_given_rows_are_the_rows_that_each_part_sees(tmp_path: Path) -> None:
    values = np.arange(400.0).reshape(200, 2)  # row i holds 2 i and 2 i + 1: a value names its row
    rows = {"train_rows": [0, 100], "val_rows": [100, 150], "test_rows": [150, 190]}
    data = series(path=write(tmp_path / "a.csv", values), window=10, horizon=4, **rows)  # type: ignore[arg-type]
    assert data.fitted["mean"] == values[:100].mean(axis=0).tolist()
    assert data.fitted["std"] == values[:100].std(axis=0).tolist()
    mean, std = data.fitted["mean"][0], data.fitted["std"][0]

    def rows_of(scaled: torch.Tensor) -> list[int]:
        return ((scaled * std + mean) / 2).round().int().unique().tolist()

    for name, seen, forecast in (
        ("train", (0, 96), (10, 100)),
        ("val", (90, 146), (100, 150)),
        ("test", (140, 186), (150, 190)),
    ):
        split = part(data, name)
        assert rows_of(split.gather(torch.arange(len(split)))[:, :, 0]) == list(range(*seen)), name
        assert rows_of(split.targets[:, 0::2]) == list(range(*forecast)), name
        assert (split.starts.diff() == 1).all(), name


def test_calendar_adds_inputs_but_no_targets(tmp_path: Path) -> None:
    hours = [
        str(np.datetime64("2020-01-01T00") + np.timedelta64(i, "h")).replace("T", " ") + ":00:00+01:00"
        for i in range(200)
    ]
    data = series(path=write(tmp_path / "a.csv", walk(), hours), calendar=True)
    assert data.spec.feature_names[2:] == ("day of year sin", "day of year cos", "hour of day sin", "hour of day cos")
    assert data.spec.num_outputs == 2
    hour = part(data, "train").values[:, 4]
    assert torch.allclose(hour[6:200:24], torch.ones(9), atol=1e-6)
    assert any("24 rows" in name for name in data.baselines())


def test_fitted_scaler_is_reused(tmp_path: Path) -> None:
    values = walk()
    data = series(path=write(tmp_path / "a.csv", values))
    again = series(
        path=write(tmp_path / "b.csv", values * 2),
        fitted=data.fitted,
        splitting=SplitSettings(test_fraction=1.0, evaluating=True),
    )
    mean, std = np.array(data.fitted["mean"]), np.array(data.fitted["std"])
    assert np.allclose(part(again, "test").values.numpy(), (values * 2 - mean) / std, atol=1e-4)
    assert len(again.test) == 170


def test_missing_cells(tmp_path: Path) -> None:
    values = walk().astype(object)
    values[50, 1] = values[139, 1] = "NA"
    path = write(tmp_path / "a.csv", values)
    with pytest.raises(DataError, match=r"row 52, column 'b': the value is missing\. Set dataset\.missing"):
        series(path=path)
    forward = series(path=path, missing="forward_fill")
    assert any(
        "filled with the value before: 2. Windows that would forecast one are left out" in note
        for note in forward.notes
    )
    mean, std = forward.fitted["mean"][1], forward.fitted["std"][1]
    assert float(part(forward, "train").values[50, 1]) * std + mean == pytest.approx(values[49, 1], abs=1e-3)
    train = part(forward, "train")
    forecast_rows = (train.starts + train.window).tolist()
    assert 50 not in forecast_rows
    assert 139 not in forecast_rows
    assert 51 in forecast_rows


def test_text_columns_are_left_out_and_unsorted_rows_refused(tmp_path: Path) -> None:
    values = walk().astype(object)
    values[:, 0] = "text"
    data = series(path=write(tmp_path / "a.csv", values))
    assert data.spec.feature_names == ("b",)
    assert "Left out (no numbers in it): a." in data.notes
    days = [str(np.datetime64("2020-01-01") - np.timedelta64(i % 90, "D")) for i in range(100)]
    with pytest.raises(DataError, match=r"row 3, column 'date': '2019-12-31' is earlier than the row before"):
        series(path=write(tmp_path / "b.csv", walk(100), days))


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"columns": ["c"]}, DataError, r"dataset\.columns: .*no column 'c'"),
        ({"columns": ["a"], "targets": ["b"]}, ConfigError, "'b' is not among dataset.columns"),
        ({"time_column": "tme"}, DataError, "no column 'tme'"),
        ({"window": 300}, DataError, "too few for a window of 300 rows"),
        ({"horizon": 30}, DataError, "The val part has 20 rows"),
        ({"missing": "drop"}, ConfigError, "error or forward_fill"),
        ({"season": 0}, ConfigError, "dataset.season"),
        ({"train_rows": [0, 100]}, ConfigError, "give all of train_rows"),
        ({"train_rows": [0, 100], "val_rows": [90, 150], "test_rows": [150, 200]}, ConfigError, "val_rows"),
        (
            {"train_rows": [0, 32], "val_rows": [32, 50], "test_rows": [50, 99], "horizon": 3},
            DataError,
            "The train part has 32 rows, too few",
        ),
        (
            {"train_rows": [0, 99], "val_rows": [99, 101], "test_rows": [110, 199], "horizon": 3},
            DataError,
            "The val part has 2 rows, too few",
        ),
        ({"train_rows": [0, 100], "val_rows": [100, 150], "test_rows": [150, 300]}, DataError, "has 200 rows"),
        ({"time_column": "a", "columns": ["b"], "calendar": True}, ConfigError, "dataset.calendar"),
    ],
)
def test_mistakes_are_explained(
    tmp_path: Path, settings: dict[str, object], error: type[Exception], message: str
) -> None:
    values = walk()
    values[:, 0] = np.arange(200)
    with pytest.raises(error, match=message):
        series(path=write(tmp_path / "a.csv", values), **settings)  # type: ignore[arg-type]


def test_text_among_numbers_is_named(tmp_path: Path) -> None:
    values = walk().astype(object)
    values[3, 1] = "x"
    with pytest.raises(DataError, match="row 5, column 'b': 'x' is not a number"):
        series(path=write(tmp_path / "a.csv", values))


def test_ett_repeats_the_published_row(shared: Callable[[str], Path]) -> None:
    data = series(
        path=str(shared("ett") / "ETTh1.csv"),
        window=96,
        horizon=96,
        train_rows=[0, 8640],
        val_rows=[8640, 11520],
        test_rows=[11520, 14400],
    )
    assert [len(part(data, name)) for name in ("train", "val", "test")] == [8449, 2785, 2785]
    off = data.baselines()["last value"] - data.test.targets
    assert float(off.square().mean()) == pytest.approx(1.295, abs=0.002)
    assert float(off.abs().mean()) == pytest.approx(0.713, abs=0.001)


# Files as people write them.


def test_several_series_in_one_file(tmp_path: Path) -> None:
    days = [str(np.datetime64("2020-01-01") + np.timedelta64(i, "D")) for i in range(100)]
    lines = [
        f"{day};{shop};{level + i / 10:.1f}".replace(".", ",") for i, day in enumerate(days) for shop, level in SHOPS
    ]
    path = tmp_path / "a.csv"
    path.write_text("\n".join(["day;shop;sales", *lines]))
    data = series(path=str(path), window=5, horizon=2)
    assert data.spec.feature_names == ("sales",)
    assert data.fitted["group"] == ["shop"]
    assert "2 series in one file" in data.notes[0]
    mean, std = data.fitted["mean"][0], data.fitted["std"][0]
    for name in ("train", "val", "test"):
        windows = torch.stack([part(data, name).read(i) for i in range(len(part(data, name)))]) * std + mean
        assert float((windows.amax(dim=1) - windows.amin(dim=1)).max()) < 1
        assert len(windows) % 2 == 0
    assert data.record["rows"]["test"] == {"7": [80, 100], "9": [180, 200]}
    again = series(
        path=str(path),
        window=5,
        horizon=2,
        fitted=data.fitted,
        splitting=SplitSettings(test_fraction=1.0, evaluating=True),
    )
    assert len(again.test) == 2 * (100 - 6)
    assert data.groups is not None
    assert (data.groups.column, list(data.groups.names)) == ("shop", ["7", "9"])
    assert [np.bincount(data.groups.of[name]).tolist() for name in ("val", "test")] == [[9, 9], [19, 19]]


SHOPS = ((7, 100), (9, 900))


def test_newest_first_is_the_same_as_oldest_first(tmp_path: Path) -> None:
    values = walk(100)
    days = [(np.datetime64("2023-01-02") + np.timedelta64(i, "D")).item().strftime("%d/%m/%Y") for i in range(100)]
    ascending = series(path=write(tmp_path / "a.csv", values, days), window=5)
    descending = series(path=write(tmp_path / "b.csv", values[::-1], days[::-1]), window=5)
    assert descending.test.fingerprint() == ascending.test.fingerprint()
    assert "newest row stood first" in descending.notes[0]


def test_no_window_crosses_a_gap_unless_that_is_wanted(tmp_path: Path) -> None:
    hours = [str(np.datetime64("2024-01-01T00") + np.timedelta64(i, "h")) + ":00" for i in range(210)]
    del hours[60:70]
    path = write(tmp_path / "a.csv", walk(200), hours)
    data = series(path=path, window=5)
    assert all(not start <= 59 < start + 5 for start in part(data, "train").starts.tolist())
    assert any("after 2024-01-03T11:00 (row 61)" in note for note in data.notes)
    assert len(series(path=path, window=5, gaps="ignore").train) == len(data.train) + 5


def test_the_seasonal_forecast_does_not_look_across_a_gap(tmp_path: Path) -> None:
    hours = [str(np.datetime64("2024-01-01T00") + np.timedelta64(i, "h")) + ":00" for i in range(210)]
    del hours[150:160]
    path = write(tmp_path / "a.csv", walk(200), hours)
    assert not any("season" in name for name in series(path=path, window=5).baselines())
    assert any("24 rows" in name for name in series(path=path, window=5, gaps="ignore").baselines())


def test_the_empty_beginning_is_left_out(tmp_path: Path) -> None:
    values = walk(100).astype(object)
    values[:9, 1] = ""
    path = write(tmp_path / "a.csv", values)
    data = series(path=path, window=5, missing="forward_fill")
    assert len(part(data, "train").values) == 91
    assert any("no value yet: 9" in note for note in data.notes)
    with pytest.raises(DataError, match=r"row 2, column 'b'.*dataset\.train_rows that start later"):
        series(path=path, window=5, missing="forward_fill", train_rows=[0, 50], val_rows=[50, 70], test_rows=[70, 99])


def test_dates_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    days = [f"day {i}" for i in range(200)]
    with pytest.raises(DataError, match="row 2, column 'date': 'day 0' is not a date"):
        series(path=write(tmp_path / "a.csv", walk(), days))
    assert series(path=str(tmp_path / "a.csv"), time_column=None).notes[0].startswith("No time column found")
