"""Which columns tell the rows of a table apart."""

from __future__ import annotations

from ptrun.data.features.kinds import ColumnSettings, decide_kinds
from ptrun.data.features.row_samples import identity_columns, possible_groups, row_keys
from ptrun.data.formats.csv_file import CsvFile
from ptrun.data.split_settings import SplitSettings

ROWS = 40
FILE = CsvFile(
    "t.csv",
    {
        "id": [str(i) for i in range(ROWS)],
        "size": [("1", "1.0", "2")[i % 3] for i in range(ROWS)],
        "town": ["ab"[i % 2] for i in range(ROWS)],
        "note": [f"note {i}" for i in range(ROWS)],
    },
    range(2, ROWS + 2),
)


def test_running_numbers_and_free_texts_tell_nothing_apart() -> None:
    kinds = decide_kinds(FILE, list(FILE.columns), ColumnSettings())
    names = identity_columns(FILE, kinds)
    assert names == ["size", "town"]
    keys = row_keys(FILE, names)
    assert keys is not None
    assert len(set(keys.tolist())) == 4  # 1 and 1.0 are one number
    assert row_keys(FILE, []) is None


def test_ids_that_repeat_are_proposed_as_groups() -> None:
    file = CsvFile("t.csv", {"site_id": ["ab"[i % 2] for i in range(ROWS)], "paid": ["1"] * ROWS}, range(ROWS))
    kinds = decide_kinds(file, list(file.columns), ColumnSettings())
    (note,) = possible_groups(file, kinds, SplitSettings(column=None))
    assert "split.group=site_id keeps the rows of each together" in note
    assert possible_groups(file, kinds, SplitSettings(group="site_id", column=None)) == []
