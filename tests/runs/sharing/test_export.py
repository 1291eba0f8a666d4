"""`ptrun export` writes a file that computes what the checkpoint computes, and keeps no other."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from support import Ended, train

from ptrun import plugins
from ptrun.errors import ConfigError, ExportError
from ptrun.export import onnx_file, safetensors_file, torch_program
from ptrun.runs.sharing.export import check_file, run
from ptrun.runs.sharing.export_parts import ExportRequest, prepare_export

Call = Callable[..., Ended]
SMALL = ("model=simplenet", "model.hidden_features=[16]", "train.epochs=1", "device.threads=1")


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short training on digits."""
    return train(*SMALL, f"output_dir={tmp_path_factory.mktemp('runs')}", quiet=True).run_dir


def export(run_dir: Path, format: str, **settings: object) -> Path:
    return run(ExportRequest(str(run_dir), format, quiet=True, **settings))  # type: ignore[arg-type]


@pytest.mark.slow
def test_an_onnx_file_of_images(digits: Path, folder: Path):
    path = export(digits, "onnx", output="deploy/digits.onnx", license="MIT")
    assert sorted(file.name for file in (folder / "deploy").iterdir()) == ["digits.onnx"]
    metadata = onnx_file.metadata_of(path)
    assert metadata["license"] == "MIT"
    assert json.loads(metadata["class_names"]) == list("0123456789")
    assert json.loads(metadata["input"])["shape"] == ["batch", 1, 8, 8]
    assert int(metadata["checkpoint_step"]) == 40
    assert set(json.loads(metadata["outputs"])) == {"logits", "probabilities"}


@pytest.mark.slow
def test_onnxruntime_reproduces_the_test_of_the_training(digits: Path, folder: Path):
    """From raw pixels to the accuracy that the run reports, with nothing of ptrun but the data."""
    path = export(digits, "onnx")
    parts = prepare_export(ExportRequest(str(digits), "onnx"))
    assert parts.samples.prepared is not None
    test = parts.samples.prepared.data.test
    images = torch.stack([test.read(index) for index in range(len(test))])
    (outputs,) = onnx_file.run_file(path, [images])
    accuracy = float((outputs["probabilities"].argmax(1) == test.targets).double().mean())
    summary = json.loads((digits / "summary.json").read_text())
    assert accuracy == pytest.approx(summary["test"]["accuracy"], abs=1e-9)


def test_weights_alone(digits: Path, folder: Path):
    path = export(digits, "safetensors", precision="fp16")
    assert path == Path("simplenet-digits.safetensors")
    saved = torch.load(digits / "checkpoints" / "best.pt", weights_only=True)["model"]
    weights = safetensors_file.read(path)
    assert all(torch.equal(weights[name], tensor.half()) for name, tensor in saved.items())
    metadata = safetensors_file.metadata_of(path)
    assert json.loads(metadata["input"])["dtype"] == "float32"
    assert json.loads(metadata["model"])["hidden_features"] == [16]


def test_a_changed_weight_is_refused(digits: Path, folder: Path):
    path = export(digits, "safetensors")
    parts = prepare_export(ExportRequest(str(digits), "safetensors"))
    assert max(max(each.shares.values()) for each in check_file(parts, path)) < 1e-5
    weights = safetensors_file.read(path)
    name = next(name for name, tensor in weights.items() if tensor.dim() == 1)
    weights[name][0] += 0.1
    import safetensors.torch

    safetensors.torch.save_file(weights, folder / "changed.safetensors")
    with pytest.raises(ExportError, match="computes other numbers than the checkpoint"):
        check_file(parts, folder / "changed.safetensors")


@pytest.mark.slow
def test_a_broken_graph_is_refused(digits: Path, folder: Path):
    path = export(digits, "onnx")
    parts = prepare_export(ExportRequest(str(digits), "onnx"))
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 3
    onnx.save(model, "frozen.onnx")
    with pytest.raises(ExportError, match="can't be run on batches of 1, 2, 7"):
        check_file(parts, Path("frozen.onnx"))
    model = onnx.load(path)
    scale = next(tensor for tensor in model.graph.initializer if tensor.name.endswith("scale"))
    scale.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(scale) * np.float32(1.01), scale.name))
    onnx.save(model, "other_scale.onnx")
    with pytest.raises(ExportError, match="computes other numbers"):
        check_file(parts, Path("other_scale.onnx"))


PLUGIN = '''
import torch
from torch import nn

from ptrun.registry import models


class Net(nn.Module):
    """Does something else when it is exported, as a fault of an exporter would."""

    def __init__(self, spec, fault):
        super().__init__()
        self.linear = nn.Linear(spec.num_features, spec.num_outputs)
        self.fault = fault

    def forward(self, inputs):
        outputs = self.linear(inputs.flatten(1))
        if self.fault == "wrong" and torch.compiler.is_exporting():
            return outputs + outputs.new_tensor([0.3] + [0.0] * 9)
        if self.fault == "frozen":
            return outputs.reshape(int(inputs.shape[0]), -1)
        if self.fault == "branches" and outputs.sum() > 0:
            return 2 * outputs
        return outputs


@models.register
def NAME(spec, *, fault: str = "none"):
    return Net(spec, fault)
'''


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "code", "sentence"),
    [
        ("none", 0, ""),
        ("wrong", 1, "The exported file computes other numbers than the checkpoint: in batches of"),
        ("frozen", 2, "model: 'faulty_frozen' can't be exported: its code fixes the number of samples in a batch"),
        ("branches", 2, "model: 'faulty_branches' can't be exported: its code branches on values"),
    ],
)
def test_a_model_of_a_plugin(folder: Path, ptrun: Call, fault: str, code: int, sentence: str):
    name = f"faulty_{fault}"  # a name is registered once in this process
    (folder / "mine.py").write_text(PLUGIN.replace("NAME", name))
    settings = ("plugins=[mine.py]", f"model={name}", f"model.fault={fault}", "train.epochs=1", "-q")
    assert ptrun("train", *settings).code == 0
    ended = ptrun("export", "outputs/latest", "format=onnx", "plugins=[mine.py]")
    assert ended.code == code, ended.err
    assert sentence in ended.err
    assert "Traceback" not in ended.err
    written = [path.name for path in folder.iterdir() if path.suffix == ".onnx"]
    assert written == ([f"{name}-digits.onnx"] if code == 0 else [])
    if code:
        assert ptrun("export", "outputs/latest", "format=safetensors", "plugins=[mine.py]").code == 0


def test_a_plugin_is_never_imported_from_the_checkpoint(folder: Path, ptrun: Call):
    (folder / "mine.py").write_text(PLUGIN.replace("NAME", "never_imported"))
    assert ptrun("train", "plugins=[mine.py]", "model=never_imported", "train.epochs=1", "-q").code == 0
    (folder / "mine.py").write_text("raise SystemExit('imported')")
    [module] = [name for name in sys.modules if name.startswith("ptrun_plugin_mine_")]
    plugins.unload(module)
    ended = ptrun("export", "outputs/latest", "format=safetensors")
    assert ended.code == 2
    assert "name its file: plugins=[FILE.py]" in ended.err


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "torch_export"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_forecast_from_raw_numbers(folder: Path, ptrun: Call, format: str, precision: str):
    components = ("model=lstm", "model.hidden_features=8", "dataset=series", "dataset.horizon=2")
    assert ptrun("train", *components, "train.epochs=1", "train.max_steps=20", "-q").code == 0
    ended = ptrun("export", "outputs/latest", f"format={format}", f"precision={precision}", "output=" + FILES[format])
    assert ended.code == 0, ended.err
    assert "sequences: float64 [batch, 30, 1], numbers in the units of the data" in ended.out
    assert "standardized, predictions: float32 [batch, 2]" in ended.out
    assert "changed decisions" not in ended.out


FILES = {"onnx": "a.onnx", "torch_export": "a.pt2"}


@pytest.mark.slow
def test_int8_names_the_quality_on_the_validation_split(folder: Path, ptrun: Call):
    assert ptrun("train", "dataset=breast_cancer", "train.epochs=3", "-q").code == 0
    ended = ptrun("export", "outputs/latest", "format=onnx", "precision=int8")
    assert ended.code == 0, ended.err
    assert "accuracy on the val split (57 samples): int8 " in ended.out
    assert ", fp32 " in ended.out


def test_without_the_data_random_inputs_are_used_and_said_so(folder: Path, ptrun: Call):
    rows = [f"{i % 7},{'red' if i % 2 else 'blue'},{'yes' if i % 3 else 'no'}" for i in range(80)]
    (folder / "a.csv").write_text("x,colour,y\n" + "\n".join(rows) + "\n")
    assert ptrun("train", "dataset=table", "dataset.path=a.csv", "dataset.target=y", "train.epochs=1", "-q").code == 0
    (folder / "a.csv").rename(folder / "b.csv")
    ended = ptrun("export", "outputs/latest", "format=safetensors")
    assert ended.code == 0, ended.err
    assert "The file is checked with random inputs, because the data can't be read: " in ended.out
    assert "on random inputs in the range of the training data" in ended.out
    ended = ptrun("export", "outputs/latest", "format=onnx", "precision=int8")
    assert ended.code == 3
    assert "its quality is measured on samples of val or test, but the data can't be read" in ended.err
    ended = ptrun("export", "outputs/latest", "format=safetensors", "dataset.path=b.csv")
    assert "samples of the test split of table" in ended.out


def test_a_folder_is_no_output(digits: Path, folder: Path):
    (folder / "a.onnx").mkdir()
    with pytest.raises(ConfigError, match=r"output: a\.onnx is a folder"):
        export(digits, "onnx", output="a.onnx")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos of several sizes, and the run of a short training on them."""
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    for label in ("bright", "dark"):
        (folder / "images" / label).mkdir(parents=True)
        for i in range(20):
            small = random.integers(0, 256, (6 + i % 4, 9 - i % 3, 3), np.uint8)
            shade = small // 2 + (128 if label == "bright" else 0)
            size = (90 + 7 * i, 130 - 4 * i)
            Image.fromarray(shade.astype(np.uint8)).resize(size).save(folder / "images" / label / f"{i}.jpg")
    transforms = "[{resize:{size:40}},{center_crop:{size:32}},normalize]"
    data = ("dataset=image_folder", f"dataset.root={folder / 'images'}", "train.batch_size=1", "train.num_workers=0")
    steps = (f"transform.train={transforms}", f"transform.eval={transforms}", "train.epochs=1")
    model = ("model=simplenet", "model.hidden_features=[16]", "device.threads=1")
    return train(*data, *steps, *model, f"output_dir={folder / 'runs'}", quiet=True).run_dir


@pytest.mark.slow
@pytest.mark.parametrize("format", ["onnx", "torch_export"])
def test_a_file_that_resizes_takes_photos_as_they_are(photos: Path, folder: Path, ptrun: Call, format: str):
    """Decoded by Pillow, given to the file, equal to `ptrun predict`: nothing of ptrun is needed to use the file."""
    ended = ptrun("export", str(photos), f"format={format}", "with_preprocessing=true", "output=" + FILES[format])
    assert ended.code == 0, ended.err
    words = " ".join(ended.out.split())
    assert "uint8 [batch, 3, height, width], RGB images of any size" in words
    assert "1 (images of 10 sizes)" in words
    assert "Not in the file" not in words
    paths = sorted((photos.parents[2] / "images").rglob("*.jpg"))
    images = [torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1).unsqueeze(0) for path in paths]
    reader = onnx_file if format == "onnx" else torch_program
    outputs = reader.run_file(Path(FILES[format]), images)
    logits = torch.cat([output["logits"] for output in outputs])
    predict = (
        "predict",
        str(photos),
        str(photos.parents[2] / "images"),
        "what=logits",
        "output=a.npy",
        "train.batch_size=1",
    )
    assert ptrun(*predict).code == 0
    expected = np.load("a.npy")
    assert len({tuple(image.shape) for image in images}) > 10
    assert np.abs(logits.numpy() - expected).max() < 1e-5 * np.abs(expected).max()


def test_photos_come_resized_by_default_and_the_way_to_change_that_is_shown(photos: Path, folder: Path, ptrun: Call):
    ended = ptrun("export", str(photos), "format=torch_export", "output=a.pt2")
    assert ended.code == 0, ended.err
    words = " ".join(ended.out.split())
    assert "uint8 [batch, 3, 32, 32], RGB images after resize (size 40" in words
    assert "with_preprocessing=true puts that into the file." in words


@pytest.mark.slow
def test_the_quality_of_int8_is_measured_on_whole_photos(photos: Path, folder: Path, ptrun: Call):
    settings = ("format=onnx", "precision=int8", "with_preprocessing=true", "output=a.onnx")
    ended = ptrun("export", str(photos), *settings)
    assert ended.code in (0, 1), ended.err
    assert "accuracy on the val split (4 samples): int8 " in ended.out + ended.err
