"""The result of `ptrun.predict` can be read, as text and in a notebook."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import ptrun


def test_a_result_shows_its_counts_and_first_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("dataset=iris", "train.max_steps=2", "plots=false", "device.threads=1")
    run = ptrun.train(*words, quiet=True).run_dir
    np.save("new.npy", np.ones((30, 4)))
    predicted = ptrun.predict(run, "new.npy", output="new.csv", quiet=True)
    label = next(iter(predicted.tally.labels))
    assert repr(predicted) == f"Predicted(30 of 30 inputs, {label} 30; file new.csv)"
    html = predicted._repr_html_()
    assert html.count("<tr>") == 6  # the header and five rows
    assert f"<td>row 0</td><td>{label}</td>" in html
    assert "... and 25 more" in html
    array = ptrun.predict(run, "new.npy", output="p.npy", quiet=True)
    assert "<td>30</td><td>0</td><td>p.npy</td>" in array._repr_html_()
