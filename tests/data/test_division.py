"""How the samples of each data set are divided: as ever without duplicates, groups, columns, times and folds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ptrun import catalog, registry
from ptrun.data.dataset import Data
from ptrun.data.datasets.table import table
from ptrun.data.division import find_split_column
from ptrun.data.split_settings import SplitSettings
from ptrun.data.splits import Split
from ptrun.errors import ConfigError, DataError

assert catalog.MODULES
PARTS = ("train", "val", "test")

# Recorded when each data set divided its samples by itself. Runs of that time are evaluated on the same samples.
DIGESTS = [
    ("digits", {}, "411ffb6d29e133ebc254b308d28021a5"),
    ("iris", {"splitting": SplitSettings(duplicates="apart")}, "a07de901dd40215c7d80f253ab0fc5e9"),
    ("wine", {}, "549ebf873d73ff9c0f743474cf9fba55"),
    ("breast_cancer", {}, "c4c326d7d55073390a8170468919d554"),
    ("diabetes", {}, "f90c553b5fab859d2b1e57853b6545a8"),
    ("series", {}, "cb175babeabb6def209aef306f9218ce"),
    ("table", {"path": "@t.csv", "target": "c"}, "3d490a702367d91bec7419ccc28703cc"),
    ("table", {"path": "@t.csv", "target": "y"}, "9073e5acd1fca061e979690e7e1348f3"),
    ("image_folder", {"root": "@photos"}, "ecd8d949b8928b6ab36d9076fd98290a"),
    ("arrays", {"path": "@a.npz"}, "f582460ed67d7d0815b8932be67fc68c"),
    ("arrays", {"path": "@v.npz"}, "8510d74d11adc0b23e4f9418ab50cf8f"),
    ("sequences", {"path": "@s.ts"}, "ecac2f83ffb1db0e3c9c18d4d4d75366"),
]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files without duplicates for the data sets that read some."""
    folder = tmp_path_factory.mktemp("files")
    rows = [f"{i * i},{i % 7}.5,{'abc'[i % 3]},{(i * 37) % 101 / 4}" for i in range(203)]
    (folder / "t.csv").write_text("\n".join(["a,b,c,y", *rows]) + "\n")
    for number, name in enumerate(("cat", "dog")):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(12):
            pixels = np.full((4, 5, 3), 20 * number + i, np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / name / f"{i:02}.png")
    x, y = np.arange(240.0).reshape(60, 4), np.arange(60) % 3
    np.savez(folder / "a.npz", x_train=x, y_train=y)
    np.savez(folder / "v.npz", x_train=x, y_train=y, x_val=x[:9] + 0.5, y_val=y[:9])
    lines = [",".join(str(i * j % 11 + i) for j in range(8)) + ":" + "ab"[i % 2] for i in range(40)]
    (folder / "s.ts").write_text("\n".join(["@univariate true", "@classLabel true a b", "@data", *lines]) + "\n")
    return folder


def names(split: Split) -> list[str]:
    return [split.name(i) for i in range(len(split))]


def rows(data: Data) -> dict[str, list[int]]:
    """The position in the file of each sample of a table, from 0, by part."""
    return {part: [int(name.removeprefix("row ")) - 2 for name in names(getattr(data, part))] for part in PARTS}


def write(path: Path, header: str, lines: list[str]) -> str:
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(("name", "settings", "digest"), DIGESTS)
def test_without_duplicates_all_parts_are_as_ever(
    files: Path, name: str, settings: dict[str, Any], digest: str
) -> None:
    settings = {
        key: str(files / value[1:]) if isinstance(value, str) and value[0] == "@" else value
        for key, value in settings.items()
    }
    assert registry.datasets.build(name, settings).record["rows_digest"] == digest


def test_the_pair_in_iris_stays_together_and_other_shipped_tables_have_none() -> None:
    for seed in range(8):
        data = registry.datasets.build("iris", {"splitting": SplitSettings(seed=seed)})
        assert any({101, 142} <= set(getattr(data, part).rows.tolist()) for part in PARTS)
    assert "1 (row 142 and row 101)" in data.notes[0]
    for name in ("digits", "wine", "breast_cancer", "diabetes"):
        assert registry.datasets.build(name, {}).notes == ()


# Equal samples.


def repeated(path: Path, times: int = 3, label: str = "yn") -> str:
    """110 different rows, each several times; the last copies of the first five rows have the other label."""
    lines = [f"{i * i},{i / 7:.3f},{label[i % 2]}" for i in range(110)]
    return write(path, "p,q,y", lines * times)


def test_equal_rows_stay_together_and_are_told(tmp_path: Path) -> None:
    data = table(path=repeated(tmp_path / "a.csv"), target="y")
    parts = {part: {row % 110 for row in positions} for part, positions in rows(data).items()}
    assert not parts["train"] & parts["test"]
    assert not parts["train"] & parts["val"]
    assert not parts["val"] & parts["test"]
    assert [len(data.train), len(data.val), len(data.test)] == [234, 30, 66]
    assert any(
        n.startswith("Rows that have the same inputs as an earlier one: 220 (row 112 and row 2") for n in data.notes
    )
    apart = table(path=str(tmp_path / "a.csv"), target="y", splitting=SplitSettings(duplicates="apart"))
    assert {row % 110 for row in rows(apart)["test"]} & {row % 110 for row in rows(apart)["train"]}


def test_an_evaluation_has_the_same_parts(tmp_path: Path) -> None:
    """Also when a column is left out that is constant in training: it tells rows apart all the same."""
    lines = [f"{i % 40},{'x' if i else 'z'},{'yn'[i % 2]}" for i in range(80)]
    path = write(tmp_path / "a.csv", "p,q,y", lines)
    data = table(path=path, target="y")
    again = table(path=path, target="y", fitted=data.fitted, splitting=SplitSettings(evaluating=True))
    assert rows(again)["test"] == rows(data)["test"]


def test_rows_with_other_labels_are_told(tmp_path: Path) -> None:
    lines = [f"{i * i},{'yn'[i % 2]}" for i in range(60)] + ["0,n", "1,n"]
    data = table(path=write(tmp_path / "a.csv", "p,y", lines), target="y")
    assert any(
        "Rows that have the same inputs as an earlier one, but another target: 1 (row 62 and row 2)." in n
        for n in data.notes
    )


def test_rows_of_a_test_file_that_were_trained_on_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "p,y", [f"{i * i},{'yn'[i % 2]}" for i in range(60)])
    test_path = write(tmp_path / "t.csv", "p,y", ["9.0,n", "2,y"])
    data = table(path=path, test_path=test_path, target="y")
    assert len(data.test) == 2
    assert any("1 rows of test stand in train too" in n and f"row 2 of {test_path} and row 5" in n for n in data.notes)


def test_too_few_different_rows_name_the_way_out(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "p,q,y", [f"{i % 2},{i // 2 % 2},{'yn'[i % 2]}" for i in range(40)])
    with pytest.raises(DataError, match=r"'n' \(2\).*Identical rows count once here.*split\.duplicates=apart"):
        table(path=path, target="y")


def test_equal_images_arrays_and_sequences_stay_together(tmp_path: Path) -> None:
    built = {
        "image_list": {"path": write(tmp_path / "l.csv", "path,label", [])},
        "arrays": {"path": str(tmp_path / "a.npz")},
        "sequences": {"path": str(tmp_path / "s.csv")},
    }
    lines, copies = [], []
    for i in range(40):
        Image.fromarray(np.full((4, 4, 3), i, np.uint8)).save(tmp_path / f"{i}.png")
        (tmp_path / f"copy{i}.png").write_bytes((tmp_path / f"{i}.png").read_bytes())
        lines += [f"{i}.png,{'ab'[i % 2]}", f"./{i}.png,{'ab'[i % 2]}", f"copy{i}.png,{'ab'[i % 2]}"]
        copies += [i] * 3
    write(tmp_path / "l.csv", "path,label", lines)
    x = np.array(copies, np.float64)[:, None] ** [1, 2]
    np.savez(tmp_path / "a.npz", x_train=x, y_train=np.array(copies) % 2)
    write(tmp_path / "s.csv", "label,t0,t1", [f"{'ab'[i % 2]},{i * i},{i}" for i in copies])
    for name, settings in built.items():
        data = registry.datasets.build(name, settings)
        parts = [{float(getattr(data, part).read(i).sum()) for i in range(len(getattr(data, part)))} for part in PARTS]
        assert [len(getattr(data, part)) for part in PARTS] == [84, 12, 24], name
        assert not parts[0] & parts[2], name
        assert any("the same as an earlier one" in note for note in data.notes), name


# Groups.


def patients(path: Path) -> str:
    """30 patients with 4 rows each, and 5 rows of nobody."""
    lines = [f"p{i // 4},{i * i},{'yn'[i // 4 % 2]}" for i in range(120)] + [f",{-i},y" for i in range(1, 6)]
    return write(path, "patient,size,y", lines)


@pytest.mark.parametrize("name", ["auto", "group"])
def test_groups_are_not_torn_and_are_no_input(tmp_path: Path, name: str) -> None:
    path = patients(tmp_path / "a.csv")
    data = table(path=path, target="y", splitting=SplitSettings(name, group="patient"))
    parts = [{row // 4 for row in positions if row < 120} for positions in rows(data).values()]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 30
    assert data.spec.feature_names == ("size",)
    assert "by group: 35 values of 'patient', each in one part" in data.record["how"]
    assert any("Rows without a group in 'patient', each divided by itself: 5." in note for note in data.notes)


@pytest.mark.parametrize("seed", range(5))
def test_groups_and_equal_rows_are_joined(tmp_path: Path, seed: int) -> None:
    lines = [f"p{i // 4},{i * i},{'yn'[i // 4 % 2]}" for i in range(120)]
    lines[4] = f"p1,{0},n"  # a row of patient 1 that equals one of patient 0
    path = write(tmp_path / "a.csv", "patient,size,y", lines)
    data = table(path=path, target="y", splitting=SplitSettings(group="patient", seed=seed))
    assert any(set(range(8)) <= set(positions) for positions in rows(data).values())


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"group": "patent"}, DataError, r"split\.group: .*no column 'patent'\. Did you mean 'patient'"),
        ({"group": "y"}, DataError, r"split\.group=y: There are 2 groups; at least 3"),
        ({"group": "patient", "folds": 40}, DataError, r"35 groups; at least 40 are needed for split\.folds=40"),
        ({"name": "time"}, DataError, r"split=time: .*no column of dates.*split\.time_column=COLUMN"),
        ({"name": "time", "time_column": "day"}, DataError, r"split\.time_column: .*no column 'day'"),
        ({"name": "column"}, DataError, r"split=column: no column is called like a split"),
        ({"column": "patient"}, DataError, r"split\.column=patient: 'p0', 'p1', .*names no part, first in row 2"),
        ({"name": "folders"}, ConfigError, "split=folders: these data come without parts"),
        ({"folds": 500}, DataError, r"split\.folds is 500, but there are 125 samples"),
    ],
)
def test_mistakes_are_explained(tmp_path: Path, settings: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        table(path=patients(tmp_path / "a.csv"), target="y", splitting=SplitSettings(**settings))


def test_data_without_columns_say_so() -> None:
    with pytest.raises(ConfigError) as error:
        registry.datasets.build("wine", {}, splitting=SplitSettings(group="grower", column="part"))
    assert len(error.value.problems) == 2
    with pytest.raises(ConfigError, match="a series is divided by time"):
        registry.datasets.build("series", {}, splitting=SplitSettings("random"))
    with pytest.raises(ConfigError, match="a series has no folds"):
        registry.datasets.build("series", {}, splitting=SplitSettings(folds=5))


# Columns and times.


WORDS = {"train": ("train", "Training"), "val": ("valid", "dev"), "test": ("TEST", "test")}


def marked(path: Path, column: str = "split", parts: tuple[str, ...] = PARTS) -> str:
    lines = [f"{i * i},{WORDS[parts[i % len(parts)]][i % 2]},{'yn'[i // 3 % 2]}" for i in range(60)]
    return write(path, f"size,{column},y", lines)


def test_a_column_says_the_parts(tmp_path: Path) -> None:
    data = table(path=marked(tmp_path / "a.csv", "which"), target="y", splitting=SplitSettings(column="which"))
    assert {part: {row % 3 for row in positions} for part, positions in rows(data).items()} == {
        "train": {0},
        "val": {1},
        "test": {2},
    }
    assert data.spec.feature_names == ("size",)
    assert data.record["how"] == "by the column 'which'"


def test_a_column_that_is_called_split_is_found(tmp_path: Path) -> None:
    data = table(path=marked(tmp_path / "a.csv"), target="y")
    assert data.record["how"] == "by the column 'split'"
    without = table(path=str(tmp_path / "a.csv"), target="y", splitting=SplitSettings(column=None))
    beside = table(path=str(tmp_path / "a.csv"), test_path=str(tmp_path / "a.csv"), target="y")
    assert beside.record["method"] == "stratified val, given test"
    assert without.record["method"] == "stratified"
    columns = {"split": ["train", "test", "perhaps"], "part": ["front", "rear", "front"], "set": ["train"] * 3}
    assert find_split_column(columns, SplitSettings()).column is None


def test_a_part_without_a_cell_is_cut_from_train(tmp_path: Path) -> None:
    data = table(path=marked(tmp_path / "a.csv", parts=("train", "test")), target="y")
    assert len(data.test) == 30
    assert (len(data.train), len(data.val)) == (27, 3)
    assert {row % 2 for row in rows(data)["val"]} == {0}
    assert "val cut from train at random" in data.record["how"]


def test_the_latest_rows_are_tested(tmp_path: Path) -> None:
    """Rows in any order; those of one day are in one part."""
    days = [(i * 37) % 100 for i in range(200)]
    lines = [f"2024-{1 + day // 28:02}-{1 + day % 28:02},{i * i},{'yn'[i % 2]}" for i, day in enumerate(days)]
    data = table(path=write(tmp_path / "a.csv", "day,size,y", lines), target="y", splitting=SplitSettings("time"))
    spans = [sorted({days[row] for row in positions}) for positions in rows(data).values()]
    assert spans == [list(range(70)), list(range(70, 80)), list(range(80, 100))]
    assert "test 2024-03-25 to 2024-04-16" in data.record["how"]


# Folds.


def test_each_sample_is_tested_once_with_all_classes() -> None:
    folds = [registry.datasets.build("wine", {}, splitting=SplitSettings(folds=5, fold=fold)) for fold in range(5)]
    tested = [name for data in folds for name in names(data.test)]
    assert len(tested) == len(set(tested)) == 178
    for fold, data in enumerate(folds):
        assert len(data.test) in (35, 36)
        assert not set(names(data.test)) & {*names(data.train), *names(data.val)}
        assert len(data.val) == 18
        counts = data.record["class_counts"].values()
        assert all(count["test"] in (9, 10, 11, 12, 14, 15) and count["val"] for count in counts)
        assert (data.record["folds"], data.record["fold"]) == (5, fold)


def test_copies_are_in_one_fold_and_small_classes_are_told(tmp_path: Path) -> None:
    lines = [f"{i * i},{'yn'[i % 2]}" for i in range(100)] + ["-7,odd", "-8,odd"]
    path = write(tmp_path / "a.csv", "size,y", lines * 2)
    folds = [table(path=path, target="y", splitting=SplitSettings(folds=5, fold=fold)) for fold in range(5)]
    tested = [{row % 102 for row in rows(data)["test"]} for data in folds]
    assert sum(map(len, tested)) == 102
    assert all(len(data.test) in range(38, 45) for data in folds)
    assert any("Fewer samples than the 5 folds" in n and "'odd' (2)" in n for n in folds[0].notes)


def test_folds_do_not_go_with_parts_that_come_with_the_data(files: Path) -> None:
    with pytest.raises(ConfigError, match=r"split\.folds=5: .*come with val \(the array x_val\)"):
        registry.datasets.build("arrays", {"path": str(files / "v.npz")}, splitting=SplitSettings(folds=5))


def test_folders_of_parts_are_put_together_for_folds(tmp_path: Path, files: Path) -> None:
    for part, numbers in (("train", range(8)), ("test", range(8, 12))):
        for name in ("cat", "dog"):
            (tmp_path / part / name).mkdir(parents=True)
            for i in numbers:
                (tmp_path / part / name / f"{i:02}.png").write_bytes(
                    (files / "photos" / name / f"{i:02}.png").read_bytes()
                )
    folds = [
        registry.datasets.build("image_folder", {"root": str(tmp_path)}, splitting=SplitSettings(folds=4, fold=fold))
        for fold in range(4)
    ]
    assert len({name for data in folds for name in names(data.test)}) == 24
    data = registry.datasets.build("image_folder", {"root": str(tmp_path)}, splitting=SplitSettings("folders"))
    assert len(data.test) == 8
    assert data.record["how"].startswith("test is folders; val is cut from train at random")


def test_images_of_one_folder_and_of_one_time(tmp_path: Path, files: Path) -> None:
    rows_of_list = []
    for number, source in enumerate(sorted((files / "photos").rglob("*.png"))):
        target = tmp_path / "photos" / source.parent.name / f"visit{number % 6}" / source.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
        rows_of_list.append(f"{target},{source.parent.name},2024-01-{number % 12 + 1:02}")
    by_folder = SplitSettings(group="folder")
    data = registry.datasets.build("image_folder", {"root": str(tmp_path / "photos")}, splitting=by_folder)
    folders = [{Path(name).parent for name in names(getattr(data, part))} for part in PARTS]
    assert sum(map(len, folders)) == len(set.union(*folders)) == 12
    with pytest.raises(DataError, match=r"no column 'patient'\. What images have"):
        registry.datasets.build(
            "image_folder", {"root": str(tmp_path / "photos")}, splitting=SplitSettings(group="patient")
        )
    path = write(tmp_path / "l.csv", "path,label,day", rows_of_list)
    data = registry.datasets.build("image_list", {"path": path}, splitting=SplitSettings("time"))
    assert [len(data.train), len(data.val), len(data.test)] == [16, 2, 6]
    assert data.record["how"].endswith("val 2024-01-09 to 2024-01-09, test 2024-01-10 to 2024-01-12")


def test_arrays_and_lists_of_images_have_groups_and_columns(tmp_path: Path, files: Path) -> None:
    x, sites = np.arange(120.0).reshape(60, 2), np.array([f"s{i // 5}" for i in range(60)])
    which = np.array([("Train", "dev", "Test")[i % 3] for i in range(60)])
    np.savez(tmp_path / "a.npz", x_train=x, y_train=np.arange(60) % 2, site=sites, which=which)
    settings = {"path": str(tmp_path / "a.npz")}
    data = registry.datasets.build("arrays", settings, splitting=SplitSettings(group="site"))
    groups = [{int(name.split()[1]) // 5 for name in names(getattr(data, part))} for part in PARTS]
    assert sum(map(len, groups)) == len(set.union(*groups)) == 12
    assert not any("Not used" in note and "site" in note for note in data.notes)
    data = registry.datasets.build("arrays", settings, splitting=SplitSettings(column="which"))
    assert [len(data.train), len(data.val), len(data.test)] == [20, 20, 20]
    with pytest.raises(DataError, match=r"split\.group: .* has no array 'sight'\. Did you mean 'site'"):
        registry.datasets.build("arrays", settings, splitting=SplitSettings(group="sight"))
    images = sorted((files / "photos").rglob("*.png"))
    lines = [f"{path},{path.parent.name},p{i // 2},{which[i]}" for i, path in enumerate(images)]
    path = write(tmp_path / "l.csv", "path,label,patient,split", lines)
    data = registry.datasets.build("image_list", {"path": path})
    assert data.record["how"] == "by the column 'split'"
    assert len(data.test) == 8
    data = registry.datasets.build("image_list", {"path": path}, splitting=SplitSettings(group="patient"))
    patients_of = [{images.index(Path(name)) // 2 for name in names(getattr(data, part))} for part in PARTS]
    assert sum(map(len, patients_of)) == len(set.union(*patients_of)) == 12
