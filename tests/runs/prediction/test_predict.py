"""`ptrun predict` gives new inputs, without labels, the numbers that an evaluation with labels reports."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from support import ROOT, Ended, newest_evaluation, newest_run

Call = Callable[..., Ended]


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, names: list[str], rows: list[list[object]]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return path


def evaluated(folder: Path, ptrun: Call, *overrides: str) -> list[dict[str, str]]:
    ended = ptrun("eval", "checkpoint=outputs/latest", "plots=false", *overrides)
    assert ended.code == 0, ended.err
    return read(newest_evaluation(folder) / "predictions.csv")


def train(ptrun: Call, *overrides: str) -> None:
    ended = ptrun("train", "train.epochs=1", "device.threads=1", "-q", *overrides)
    assert ended.code == 0, ended.err


def flowers(count: int, seed: int = 0) -> list[list[object]]:
    """Rows of a length, a colour and a kind."""
    rng = np.random.default_rng(seed)
    lengths = rng.normal(5, 2, count)
    return [
        ["" if i % 17 == 0 else f"{length:.3f}", "red" if i % 3 else "blue", "tall" if length > 5 else "short"]
        for i, length in enumerate(lengths)
    ]


def photos(folder: Path, count: int, *, classes: bool = True) -> Path:
    rng = np.random.default_rng(1)
    for i in range(count):
        kind = ("dark", "light")[i % 2]
        place = folder / kind if classes else folder
        place.mkdir(parents=True, exist_ok=True)
        pixels = rng.integers(0, 128, (12, 12, 3)) + 127 * (i % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(place / f"{i:03}.png")
    return folder


@pytest.mark.slow
def test_photos(ptrun: Call, folder: Path):
    photos(folder / "photos", 40)
    train(ptrun, "dataset=image_folder", "dataset.root=photos", "model=convnet", "transform=auto")
    photos(folder / "labeled", 23)
    labeled = evaluated(folder, ptrun, "dataset.root=labeled")
    by_path = {os.path.relpath(row["sample"], folder): row for row in labeled}
    ended = ptrun("predict", "checkpoint=outputs/latest", "input=labeled", "train.num_workers=2")
    assert ended.code == 0, ended.err
    rows = read(folder / "labeled-predictions.csv")
    assert [row["input"] for row in rows] == sorted(str(p) for p in Path("labeled").rglob("*.png"))
    assert {row["input"]: (row["label"], row["probability"]) for row in rows} == {
        path: (row["predicted"], row["confidence"]) for path, row in by_path.items()
    }
    assert all(row["problem"] == "" for row in rows)


def test_rows_of_a_table(ptrun: Call, folder: Path):
    write(folder / "a.csv", ["length", "colour", "kind"], flowers(300))
    train(ptrun, "dataset=table", "dataset.path=a.csv", "dataset.target=kind")
    new = flowers(90, seed=5)
    write(folder / "labeled.csv", ["length", "colour", "kind"], new)
    write(folder / "new.csv", ["colour", "id", "length"], [[row[1], f"n{i}", row[0]] for i, row in enumerate(new)])
    want = evaluated(folder, ptrun, "dataset.path=labeled.csv")
    assert ptrun("predict", "outputs/latest", "new.csv", "what=probabilities", "keep=[id]").code == 0
    rows = sorted(read(folder / "new-predictions.csv"), key=lambda row: row["input"])
    want.sort(key=lambda row: row["sample"])
    assert [row["input"] for row in rows] == [row["sample"] for row in want]
    for name in ("prob_short", "prob_tall"):
        assert [row[name] for row in rows] == [row[name] for row in want]
    assert {row["id"] for row in rows} == {f"n{i}" for i in range(90)}


def test_a_file_without_a_header_line_and_the_target(ptrun: Call, folder: Path):
    rng = np.random.default_rng(0)
    # The last column is no input, so that every input has a column, also where the target is taken for one.
    rows = [[i % 2, f"{rng.normal(i % 2):.3f}", f"{rng.normal(5):.3f}", f"{rng.normal(9):.3f}", 7] for i in range(90)]
    write(folder / "a.csv", list(map(str, rows[0])), rows[1:])
    write(folder / "new.csv", list(map(str, rows[0][1:])), [row[1:] for row in rows[1:]])
    write(folder / "short.csv", list(map(str, rows[0][2:])), [row[2:] for row in rows[1:]])
    train(ptrun, "dataset=table", "dataset.path=a.csv", "dataset.target='column 1'")
    for name in ("a", "new"):
        assert ptrun("predict", "outputs/latest", f"{name}.csv", "what=logits", f"output={name}.npy").code == 0
    assert np.load("a.npy").tolist() == np.load("new.npy").tolist()
    ended = ptrun("predict", "outputs/latest", "short.csv")
    assert ended.code == 3
    assert "row 1: it has 3 cells, but 5 columns are expected" in ended.out + ended.err


def test_a_checkpoint_that_does_not_know_the_number_of_columns(ptrun: Call, folder: Path):
    """One of an earlier version: the width is that of the inputs, or what is assumed is said."""
    rows = [[i % 2, f"{i / 9:.3f}", f"{(i * 7 % 11) / 3:.3f}", f"{(i * 5 % 13) / 3:.3f}"] for i in range(90)]
    write(folder / "a.csv", list(map(str, rows[0])), rows[1:])
    write(folder / "new.csv", list(map(str, rows[0][1:])), [row[1:] for row in rows[1:]])
    train(ptrun, "dataset=table", "dataset.path=a.csv", "dataset.target='column 1'")
    content = torch.load("outputs/latest/checkpoints/best.pt", weights_only=True)
    del content["fitted"]["dataset"]["num_columns"]
    torch.save(content, "old.pt")
    for name in ("a", "new"):
        assert ptrun("predict", "old.pt", f"{name}.csv", "what=logits", f"output={name}.npy").code == 0
    assert np.load("a.npy").tolist() == np.load("new.npy").tolist()
    said = ptrun("predict", "old.pt", "a.csv").out
    assert "It is assumed that this file has them all, also 'column 1', the one to predict." in said
    assert "\"dataset.columns=['column 2','column 3','column 4',...]\"" in said
    assert "assumed" not in ptrun("predict", "old.pt", "new.csv", "output=b.csv").out
    columns = "dataset.columns=['column 2','column 3','column 4']"
    assert ptrun("predict", "old.pt", "new.csv", columns, "what=logits", "output=named.npy").code == 0
    assert np.load("named.npy").tolist() == np.load("a.npy").tolist()


def test_kept_columns_never_take_the_place_of_predictions(ptrun: Call, folder: Path):
    rows = [[*row, "text"] for row in flowers(100)]
    write(folder / "a.csv", ["length", "colour", "label", "probability"], rows)
    train(ptrun, "dataset=table", "dataset.path=a.csv", "dataset.target=label", "dataset.ignore=[probability]")
    assert ptrun("predict", "outputs/latest", "a.csv", "keep=all").code == 0
    for given, row in zip(rows, read(folder / "a-predictions.csv"), strict=True):
        assert (row["input_label"], row["input_probability"]) == (given[2], "text")
        assert row["label"] in ("short", "tall")
        assert 0 < float(row["probability"]) <= 1


def test_numbers_have_their_own_units(ptrun: Call, folder: Path):
    rows = [[row[0], row[1], 3000 + 7 * float(row[0] or 4)] for row in flowers(200)]
    write(folder / "a.csv", ["length", "colour", "price"], rows)
    train(ptrun, "dataset=table", "dataset.path=a.csv", "dataset.target=price")
    want = {row["sample"]: row["predicted_price"] for row in evaluated(folder, ptrun, "dataset.path=a.csv")}
    assert ptrun("predict", "outputs/latest", "a.csv", "output=p.jsonl").code == 0
    records = map(json.loads, (folder / "p.jsonl").read_text().splitlines())
    got = {record["input"]: record["price"] for record in records}
    assert {name: float(value) for name, value in want.items()} == pytest.approx(got, rel=1e-6)
    assert 2900 < got["row 2"] < 3200


def test_a_forecast_begins_after_the_end_of_the_file(ptrun: Call, folder: Path):
    def line(i: int) -> list[object]:
        return [str(np.datetime64("2024-02-01") + i), f"{np.sin(i / 5) + i / 100:.4f}", f"{np.cos(i / 5):.4f}"]

    write(folder / "a.csv", ["date", "x", "y"], [line(i) for i in range(150)])
    settings = ("dataset=series", "dataset.path=a.csv", "dataset.window=12", "dataset.horizon=3", "model=nlinear")
    train(ptrun, *settings)
    ended = ptrun("predict", "outputs/latest", "a.csv")
    assert ended.code == 0, ended.err
    rows = read(folder / "a-predictions.csv")
    assert [(row["step"], row["time"]) for row in rows] == [
        ("1", "2024-06-30"),
        ("2", "2024-07-01"),
        ("3", "2024-07-02"),
    ]
    # The same numbers as those of an evaluation of a file that goes on: its only window ends where the first file does.
    write(folder / "longer.csv", ["date", "x", "y"], [line(i) for i in range(153)])
    (want,) = evaluated(
        folder,
        ptrun,
        "dataset.path=longer.csv",
        "dataset.train_rows=[0,100]",
        "dataset.val_rows=[100,150]",
        "dataset.test_rows=[150,153]",
    )
    for step, row in enumerate(rows, start=1):
        assert row["x"] == want[f"predicted_x +{step}"]
        assert row["y"] == want[f"predicted_y +{step}"]


def test_rolling_forecasts_are_those_of_an_evaluation(ptrun: Call, folder: Path):
    lines = [[i, f"{np.sin(i / 4):.4f}"] for i in range(120)]
    write(folder / "a.csv", ["t", "x"], lines)
    train(ptrun, "dataset=series", "dataset.path=a.csv", "dataset.window=10", "dataset.time_column=t", "model=nlinear")
    assert ptrun("predict", "outputs/latest", "a.csv", "rolling=true").code == 0
    rows = {row["input"]: row for row in read(folder / "a-predictions.csv")}
    assert len(rows) == 111
    assert rows["row 120"]["time"] == "120", "the forecast after the last row"
    for row in evaluated(folder, ptrun):
        assert float(rows[row["sample"]]["x"]) == pytest.approx(float(row["predicted_x"]), rel=1e-5)


def test_sequences(ptrun: Call, folder: Path):
    rng = np.random.default_rng(0)
    values = [[f"{v:.3f}" for v in rng.normal(i % 2, 1, 8 - i % 3)] for i in range(60)]
    rows = [[*line, *[""] * (8 - len(line)), "ab"[i % 2]] for i, line in enumerate(values)]
    names = [f"t{i}" for i in range(8)]
    write(folder / "a.csv", [*names, "label"], rows)
    train(ptrun, "dataset=sequences", "dataset.path=a.csv", "model=simplenet")
    want = {row["sample"]: row["confidence"] for row in evaluated(folder, ptrun, "dataset.path=a.csv")}
    write(folder / "new.csv", names, [row[:-1] for row in rows])
    for file in ("a.csv", "new.csv"):  # labels that are there are passed over
        assert ptrun("predict", "outputs/latest", file).code == 0
        got = {row["input"]: row["probability"] for row in read(folder / f"{Path(file).stem}-predictions.csv")}
        assert got.keys() == want.keys()
        assert [float(got[name]) for name in want] == pytest.approx(list(map(float, want.values())), rel=1e-5)


def test_sequences_without_a_header_line(ptrun: Call, folder: Path):
    rng = np.random.default_rng(0)
    rows = [["12"[i % 2], *(f"{v:.3f}" for v in rng.normal(i % 2, 1, 8))] for i in range(40)]
    lines = {
        "train.ts": ["@classLabel true 1 2", "@data", *(f"{','.join(row[1:])}:{row[0]}" for row in rows)],
        "labeled.tsv": ["\t".join(row) for row in rows],
        "new.tsv": ["\t".join(row[1:]) for row in rows],
    }
    for name, texts in lines.items():
        (folder / name).write_text("\n".join(texts) + "\n", encoding="utf-8")
    train(ptrun, "dataset=sequences", "dataset.path=train.ts", "model=fcn")
    got = []
    for name in lines:  # labels that are there are passed over
        assert ptrun("predict", "outputs/latest", name, "what=logits", f"output={name}.npy").code == 0
        got.append(np.load(folder / f"{name}.npy").tolist())
    assert got[0] == got[1] == got[2]


def test_arrays(ptrun: Call, folder: Path):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(80, 5)), np.arange(80) % 2
    np.savez(folder / "a.npz", x_train=x, y_train=y, x_test=x[:30], y_test=y[:30])
    train(ptrun, "dataset=arrays", "dataset.path=a.npz", "model=simplenet")
    np.save(folder / "new.npy", x[:30])
    assert ptrun("predict", "outputs/latest", "new.npy", "output=p.npy", "what=logits").code == 0
    logits = np.load(folder / "p.npy").astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    want = read(newest_run(folder) / "test" / "predictions.csv")
    assert [f"{share:.6g}" for share in shares.max(1)] == [row["confidence"] for row in want]


@pytest.mark.slow
def test_what_can_not_be_read_is_reported_in_its_row(ptrun: Call, folder: Path):
    photos(folder / "photos", 24)
    train(ptrun, "dataset=image_folder", "dataset.root=photos", "model=simplenet")
    new = photos(folder / "new", 6, classes=False)
    (new / "001.png").write_bytes(b"no image")
    (new / "notes.txt").write_text("x")
    ended = ptrun("predict", "outputs/latest", "new")
    assert ended.code == 3
    rows = read(folder / "new-predictions.csv")
    assert [bool(row["label"]) for row in rows] == [True, False, True, True, True, True]
    assert "is not an image" in rows[1]["problem"]
    assert "1 of 6 inputs have no prediction" in ended.out
    assert "not named like images, ignored: 1 " in ended.out
    stopped = ptrun("predict", "outputs/latest", "new", "on_bad_sample=stop", "output=other.csv")
    assert stopped.code == 3
    assert "001.png is not an image" in stopped.err
    assert not (folder / "other.csv").exists()


def test_images_of_another_size_are_named_or_scaled(ptrun: Call, folder: Path):
    train(ptrun, "model=simplenet")
    for number, size in enumerate([(8, 8), (30, 20)]):
        Image.new("L", size).save(folder / f"{number}.png")
    assert ptrun("predict", "outputs/latest", "input=*.png", "output=p.csv").code == 3
    assert "1.png is 20x30 pixels" in read(folder / "p.csv")[1]["problem"]
    assert ptrun("predict", "outputs/latest", "input=*.png", "output=p.csv", "overwrite=true", "resize=true").code == 0
    assert all(row["label"] for row in read(folder / "p.csv"))


def test_bad_rows_and_what_training_never_saw(ptrun: Call, folder: Path):
    write(folder / "a.csv", ["length", "colour", "kind"], flowers(200))
    train(ptrun, "dataset=table", "dataset.path=a.csv", "dataset.target=kind")
    lines = ["length,colour", "4.5,red", "oops,red", "4.5", "900,red", "5,green", ",blue"]
    (folder / "new.csv").write_text("\n".join(lines) + "\n")
    ended = ptrun("predict", "outputs/latest", "new.csv")
    assert ended.code == 3
    rows = read(folder / "new-predictions.csv")
    assert [row["input"] for row in rows] == [f"row {i}" for i in range(2, 8)]
    assert [bool(row["label"]) for row in rows] == [True, False, False, True, True, True]
    assert "'oops' is not a number" in rows[1]["problem"]
    assert "1 cells, but the file has 2 columns" in rows[2]["problem"]
    assert "column 'length': a number outside of those in training" in ended.out
    assert "column 'colour': a category that training rows lack, in 1 input" in ended.out


def test_top_classes_and_the_average_of_models(ptrun: Call, folder: Path):
    for seed in (1, 2):
        train(ptrun, f"seed={seed}", f"output_dir=s{seed}", "model=simplenet")
    x = np.random.default_rng(0).integers(0, 255, (9, 8, 8)).astype(np.uint8)
    np.save(folder / "x.npy", x)
    single = []
    for seed in (1, 2):
        assert ptrun("predict", f"s{seed}/latest", "x.npy", "what=probabilities", f"output=p{seed}.npy").code == 0
        single.append(np.load(folder / f"p{seed}.npy"))
    ended = ptrun("predict", "checkpoint=[s1/latest,s2/latest]", "input=x.npy", "top_k=3")
    assert ended.code == 0, ended.err
    mean = np.mean(single, axis=0)
    for i, row in enumerate(read(folder / "x-predictions.csv")):
        order = np.argsort(-mean[i])
        assert [row["label"], row["label_2"], row["label_3"]] == [str(k) for k in order[:3]]
        assert float(row["probability_2"]) == pytest.approx(mean[i, order[1]], rel=1e-5)
        assert float(row["disagreement"]) == np.mean([p[i].argmax() != order[0] for p in single])


def test_models_that_prepare_rows_in_different_ways_each_get_their_own(ptrun: Call, folder: Path):
    single = []
    for seed, scale in ((1, 1), (2, 50)):  # other lengths in training: other means, so other inputs of the network
        rows = [[f"{float(row[0] or 4) * scale:.3f}", *row[1:]] for row in flowers(200, seed)]
        write(folder / "a.csv", ["length", "colour", "kind"], rows)
        train(ptrun, "dataset=table", "dataset.path=a.csv", "dataset.target=kind", f"output_dir=s{seed}")
    write(folder / "new.csv", ["length", "colour"], [row[:2] for row in flowers(30, seed=5)])
    for seed in (1, 2):
        words = ("new.csv", "what=probabilities", f"output=p{seed}.npy")
        assert ptrun("predict", f"s{seed}/latest", *words).code == 0
        single.append(np.load(folder / f"p{seed}.npy"))
    words = ("input=new.csv", "what=probabilities", "output=both.npy")
    assert ptrun("predict", "checkpoint=[s1/latest,s2/latest]", *words).code == 0
    assert np.load(folder / "both.npy").tolist() == pytest.approx(np.mean(single, axis=0), rel=1e-6)


def test_embeddings_and_parquet(ptrun: Call, folder: Path):
    parquet = pytest.importorskip("pyarrow.parquet")
    train(ptrun, "model=simplenet", "model.hidden_features=[7]")
    np.save(folder / "x.npy", np.zeros((5, 8, 8), np.uint8))
    assert ptrun("predict", "outputs/latest", "x.npy", "what=embedding", "output=e.npy").code == 0
    assert np.load(folder / "e.npy").shape == (5, 7)
    assert ptrun("predict", "outputs/latest", "x.npy", "output=e.parquet").code == 0
    assert ptrun("predict", "outputs/latest", "x.npy").code == 0
    table = parquet.read_table(folder / "e.parquet").to_pydict()
    rows = read(folder / "x-predictions.csv")
    assert table["label"] == [row["label"] for row in rows]
    assert [f"{p:.6g}" for p in table["probability"]] == [row["probability"] for row in rows]


@pytest.mark.slow
def test_standard_input_and_output(folder: Path, ptrun: Call):
    write(folder / "a.csv", ["length", "colour", "kind"], flowers(200))
    train(ptrun, "dataset=table", "dataset.path=a.csv", "dataset.target=kind")
    done = subprocess.run(
        [sys.executable, "-m", "ptrun", "predict", "outputs/latest", "-"],
        input="length,colour\n3.5,red\n6,blue\n",
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [row.split(",")[0] for row in done.stdout.splitlines()] == ["input", "row 2", "row 3"]
    assert "predicted" in done.stderr
    assert "standard input" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("outputs/latest",), "input is missing"),
        (("absent", "x.npy"), "absent"),
        (("outputs/latest", "absent"), "there is no such file"),
        (("outputs/latest", "x.npy", "what=values"), "predicts classes, so what can be"),
        (("outputs/latest", "x.npy", "output=p.txt"), "output=p.txt: the name of the file ends in"),
        (("outputs/latest", "x.npy", "output=there.csv"), "there.csv exists already"),
        (("outputs/latest", "x.npy", "output=x.npy", "overwrite=true"), "x.npy is the input"),
        (("outputs/latest", "none.npy"), "none.npy: there are no rows to predict"),
        (("outputs/latest", "*.png"), "input: *.png: no file matches this pattern."),
        (("outputs/latest", "x.npy", "top_k=0"), "top_k"),
        (("outputs/latest", "x.npy", "model.dropout=1"), "model.dropout: can't be changed here"),
        (("outputs/latest", "x.npy", "ensemble=true"), "checkpoint names none"),
        (("outputs/latest", "x.npy", "keep=all", "rolling=true"), "keep: only rows of a table"),
        (("outputs/latest", "wide.npy"), "the model was trained on 8x8"),
    ],
)
def test_mistakes_are_sentences(ptrun: Call, folder: Path, words: tuple[str, ...], message: str):
    train(ptrun, "model=simplenet", "train.max_steps=2")
    np.save(folder / "x.npy", np.zeros((2, 8, 8), np.uint8))
    np.save(folder / "none.npy", np.zeros((0, 8, 8), np.uint8))
    np.save(folder / "wide.npy", np.zeros((2, 9, 9), np.uint8))
    (folder / "there.csv").write_text("")
    ended = ptrun("predict", *words)
    assert ended.code in (2, 3, 4)
    assert message in ended.err + ended.out
    assert "Traceback" not in ended.err
    assert not list(folder.glob(".*.partial*"))


@pytest.mark.slow
def test_what_was_interrupted_is_continued_by_the_same_command_only(
    ptrun: Call, folder: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("ptrun.runs.prediction.file._SYNC_SECONDS", 0)
    monkeypatch.setattr("ptrun.data.inputs.rows.CHUNK_ROWS", 64)
    write(folder / "a.csv", ["length", "colour", "kind"], flowers(200))
    for seed in (1, 2):
        train(
            ptrun, "dataset=table", "dataset.path=a.csv", "dataset.target=kind", f"seed={seed}", f"output_dir=s{seed}"
        )
    for seed, name in ((5, "new.csv"), (6, "other.csv")):
        rows = [row[:2] for row in flowers(3000, seed)]
        write(folder / name, ["length", "colour"], [*rows[:-1], ["oops", "red"]])
    first = ("s1/latest", "new.csv")
    for words, continues in [
        (first, True),
        (("s2/latest", "new.csv"), False),
        (("s1/latest", "other.csv"), False),
        ((*first, "what=probabilities"), False),
        ((*first, "top_k=2"), False),
        ((*first, "keep=all"), False),
    ]:
        assert ptrun("predict", *first, "output=p.csv", "on_bad_sample=stop").code == 3
        ended = ptrun("predict", *words, "output=p.csv")
        assert ended.code == 3, ended.err
        assert ("Continues after" in ended.out) == continues, words
        assert ptrun("predict", *words, "output=whole.csv").code == 3
        assert (folder / "p.csv").read_bytes() == (folder / "whole.csv").read_bytes()
        (folder / "p.csv").unlink()
        (folder / "whole.csv").unlink()


def test_arrays_of_predictions_have_a_row_for_each_input(ptrun: Call, folder: Path):
    write(folder / "a.csv", ["length", "colour", "kind"], flowers(200))
    train(ptrun, "dataset=table", "dataset.path=a.csv", "dataset.target=kind")
    rows = [row[:2] for row in flowers(9, seed=5)]
    write(folder / "good.csv", ["length", "colour"], rows)
    rows.insert(3, ["oops", "red"])
    write(folder / "bad.csv", ["length", "colour"], rows)
    for what, missing in (("logits", np.nan), ("class", -1)):
        for name in ("good", "bad"):
            ptrun("predict", "outputs/latest", f"{name}.csv", f"what={what}", f"output={name}-{what}.npy")
        good, bad = (np.load(folder / f"{name}-{what}.npy") for name in ("good", "bad"))
        assert np.array_equal(bad[3], np.full_like(good[0], missing), equal_nan=True)
        assert np.allclose(np.delete(bad, 3, axis=0), good, rtol=1e-6)
    assert ptrun("predict", "outputs/latest", "bad.csv", "keep=all", "output=kept.csv").code == 3
    assert [row["colour"] for row in read(folder / "kept.csv")] == [row[1] for row in rows]


@pytest.mark.slow
def test_a_killed_prediction_goes_on_and_gives_the_same_file(folder: Path, ptrun: Call):
    write(folder / "a.csv", ["length", "colour", "kind"], flowers(200))
    train(ptrun, "dataset=table", "dataset.path=a.csv", "dataset.target=kind")
    rows = flowers(3000, seed=3) * 300
    rows[1000][0] = "oops"
    write(folder / "new.csv", ["length", "colour"], [row[:2] for row in rows])
    # Each chunk is noted, as in a prediction that takes longer.
    noting = "import sys; from ptrun.runs.prediction import file as f; f._SYNC_SECONDS = 0"
    main = f"{noting}; from ptrun.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-c", main, "predict", "outputs/latest", "new.csv"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    note = folder / ".killed.csv.partial.json"
    killed = subprocess.Popen([*command, "output=killed.csv"], cwd=folder, env=environment, stdout=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (note.exists() and json.loads(note.read_text())["tally"]["done"]) and time.monotonic() < deadline:
        assert killed.poll() is None, "the prediction ended before it could be killed"
        os.sched_yield()
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (folder / "killed.csv").exists()
    done = subprocess.run(
        [*command, "output=killed.csv"], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 3, done.stderr
    assert "Continues after" in done.stdout
    undisturbed = subprocess.run(
        [*command, "output=whole.csv"], cwd=folder, env=environment, capture_output=True, check=False
    )
    assert undisturbed.returncode == 3
    assert (folder / "killed.csv").read_bytes() == (folder / "whole.csv").read_bytes()
    assert not list(folder.glob(".*partial*"))
