"""Python values are recognized as one input or several."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support import train

from ptrun.errors import DataError
from ptrun.runs.prediction.loaded_model import LoadedModel, Prediction, Predictions


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tmp_path_factory.mktemp("digits")
    return train("model=simplenet", "train.max_steps=3", f"output_dir={folder}", quiet=True).load()


@pytest.fixture(scope="module")
def wine(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    folder = tmp_path_factory.mktemp("wine")
    overrides = ("dataset=wine", "model=simplenet", "train.max_steps=3", f"output_dir={folder}")
    return train(*overrides, quiet=True).load()


IMAGE = np.arange(64, dtype=np.uint8).reshape(8, 8)


@pytest.mark.parametrize(
    "value", [IMAGE, IMAGE[..., None], IMAGE[None], torch.from_numpy(IMAGE), Image.fromarray(IMAGE)]
)
def test_one_image(digits: LoadedModel, value: Any):
    prediction = digits.predict(value)
    assert isinstance(prediction, Prediction)
    assert prediction.probabilities == digits.predict(IMAGE).probabilities  # type: ignore[union-attr]


@pytest.mark.parametrize("value", [np.stack([IMAGE] * 3), [IMAGE] * 3, [Image.fromarray(IMAGE)] * 3])
def test_several_images(digits: LoadedModel, value: Any):
    assert len(digits.predict(value)) == 3  # type: ignore[arg-type]


def test_paths(digits: LoadedModel, folder: Path):
    Image.fromarray(IMAGE).save(folder / "a.png")
    assert isinstance(digits.predict("a.png"), Prediction)
    assert isinstance(digits.predict(folder / "a.png"), Prediction)
    assert len(digits.predict(["a.png"])) == 1  # type: ignore[arg-type]
    assert len(digits.predict(".")) == 1  # type: ignore[arg-type]


def test_rows(wine: LoadedModel):
    row = dict.fromkeys(wine.spec.feature_names, 2.5)
    one = wine.predict(row)
    assert isinstance(one, Prediction)
    several: list[Any] = [[row, row], {name: [value] * 2 for name, value in row.items()}, np.full((2, 13), 2.5)]
    for value in several:
        predictions = wine.predict(value)
        assert [p.probability for p in predictions] == pytest.approx([one.probability] * 2)  # type: ignore[union-attr]
    assert isinstance(wine.predict(np.full(13, 2.5)), Prediction)


def test_a_row_and_columns_of_a_data_frame(wine: LoadedModel):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({name: [2.5, 1.5] for name in wine.spec.feature_names})
    both = wine.predict(frame)
    assert isinstance(both, Predictions)
    alone = wine.predict(frame.iloc[0])
    assert isinstance(alone, Prediction)
    assert alone.label == both[0].label
    for columns in ({name: frame[name] for name in frame}, {name: frame[name].array for name in frame}):
        assert [item.probabilities for item in wine.predict(columns)] == [item.probabilities for item in both]


def test_no_rows_have_no_features(wine: LoadedModel):
    pandas = pytest.importorskip("pandas")
    nothing = pandas.DataFrame({name: [] for name in wine.spec.feature_names})
    assert len(wine.predict(nothing)) == 0  # type: ignore[arg-type]
    for read in (wine.embed, wine.transform):
        with pytest.raises(DataError, match="there are no inputs"):
            read(nothing)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    """A model of color images of 12 x 12 pixels, to which images of any size are scaled."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(24):
        path = folder / "images" / "ab"[i % 2] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.roll(COLORS, i, 0)[:12, :12] // (1 + i % 2)).save(path)
    size = "transform.eval=[{resize:{size:12}},{center_crop:{size:12}},normalize]"
    data = ("dataset=image_folder", f"dataset.root={folder / 'images'}", size, size.replace("eval", "train"))
    return train(*data, "model=simplenet", "train.max_steps=2", f"output_dir={folder}", quiet=True).load()


COLORS = np.arange(14 * 16 * 3, dtype=np.uint8).reshape(14, 16, 3)


def test_color_images_with_channels_first_and_of_several_sizes(photos: LoadedModel):
    first = photos.predict(Image.fromarray(COLORS))
    assert isinstance(first, Prediction)
    channels_first = np.ascontiguousarray(COLORS.transpose(2, 0, 1))
    for value in (COLORS, channels_first, torch.from_numpy(channels_first)):
        one = photos.predict(value)
        assert isinstance(one, Prediction)
        assert one.probabilities == first.probabilities
    for values in ([COLORS, COLORS[:13]], [torch.from_numpy(channels_first), torch.from_numpy(COLORS[:13])]):
        several = photos.predict(values)
        assert isinstance(several, Predictions)
        expected = photos.predict([Image.fromarray(COLORS), Image.fromarray(COLORS[:13])])
        assert several.probabilities.tolist() == expected.probabilities.tolist()  # type: ignore[union-attr]


def test_data_frames(wine: LoadedModel):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({name: [2.5, 3.5] for name in wine.spec.feature_names})
    assert len(wine.predict(frame)) == 2  # type: ignore[arg-type]


def test_data_frames_of_all_types_are_read_as_files_of_them(tmp_path: Path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame(
        {
            "when": pandas.date_range("2024-01-01", periods=90, freq="7h"),
            "flag": rng.random(90) < 0.5,
            "count": pandas.array(rng.integers(0, 40, 90), dtype="Int64"),
            "short": rng.normal(size=90).astype(np.float32),
            "kind": pandas.Categorical(rng.choice(["u", "v"], 90)),
        }
    )
    frame.loc[5, "count"] = frame.loc[7, "kind"] = pandas.NA
    frame["y"] = np.where(frame["flag"], "yes", "no")
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    for name in ("a.csv", "a.parquet"):
        words = ("dataset=table", f"dataset.path={tmp_path / name}", "dataset.target=y", "train.max_steps=2")
        model = train(*words, f"output_dir={tmp_path}", quiet=True).load()
        given = (tmp_path / "a.csv", tmp_path / "a.parquet", frame, frame.to_dict("records"))
        first, *others = (model.predict(inputs).probabilities for inputs in given)
        for other in others:  # pandas gives numbers of 32 bits with 64
            assert other == pytest.approx(first, abs=1e-6)


def test_other_values_are_refused_in_a_sentence(digits: LoadedModel, wine: LoadedModel):
    for model, value, message in (
        (digits, 3, "can't read int"),
        (digits, [], "without items"),
        (digits, [1, "a"], "a list of int, str"),
        (wine, Image.fromarray(IMAGE), "takes a vector, not an image"),
        (wine, {"alcohol": [1, 2], "ash": [1]}, "different lengths"),
        (wine, {"alcohol": 1}, "lacks columns"),
        (digits, np.zeros((8, 8)), "images are uint8"),
        (digits, (), "can't read tuple without items"),
        (wine, [np.zeros(13), np.zeros(12)], r"different shapes \(\[12\], \[13\]\)"),
    ):
        with pytest.raises(DataError, match=message):
            model.predict(value)


def test_sequences_of_unequal_lengths(tmp_path: Path):
    numbers = np.random.default_rng(0).normal(size=(20, 6)).round(3).tolist()
    rows = [",".join(map(str, row[: 6 - i % 3])) + f":{'up' if i % 2 else 'down'}" for i, row in enumerate(numbers)]
    path = tmp_path / "a.ts"
    path.write_text("@timeStamps false\n@classLabel true up down\n@data\n" + "\n".join(rows) + "\n", encoding="utf-8")
    model = train(
        "dataset=sequences",
        f"dataset.path={path}",
        "model=lstm",
        "train.max_steps=2",
        f"output_dir={tmp_path}",
        quiet=True,
    ).load()
    sequences = [np.array(row[: 6 - i % 3]) for i, row in enumerate(numbers)]
    of_file, of_arrays = model.predict(path), model.predict(sequences)
    assert [p.probabilities for p in of_file] == [p.probabilities for p in of_arrays]  # type: ignore[union-attr]
    assert model.predict(sequences[0][:, None]).label == of_file[0].label  # type: ignore[union-attr,index]
    assert model.predict(sequences[0]).label == of_file[0].label  # type: ignore[union-attr,index]
    same = [row for row in sequences if len(row) == 6]
    together = model.predict(np.stack(same))
    assert [p.probabilities for p in together] == [p.probabilities for p in model.predict(same)]  # type: ignore[union-attr]
    with pytest.raises(DataError, match=r"the arrays, row 1: it holds float64 \[2, 2, 2\]; sequences are numbers"):
        model.predict([sequences[0], np.zeros((2, 2, 2))])
