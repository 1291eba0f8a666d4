"""Errors in a user's own code become a sentence: file, line, error, and the shapes of the arguments."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from support import ROOT, Ended, newest_run

from ptrun import plugins
from ptrun.errors import ConfigError

Call = Callable[..., Ended]
PLUGIN = """
import os
import torch
from torch import nn
from ptrun.registry import datasets, losses, models
from ptrun.data.dataset import Data
from ptrun.spec import DataSpec, Layout, Task


class Fragile(nn.Module):
    def __init__(self, spec):
        super().__init__()
        self.last = nn.Linear(spec.num_features, spec.num_outputs)

    def forward(self, x):
        if "BREAKS" in os.environ:
            raise KeyError("no such thing")  # in the model
        return self.last(x.flatten(1))


@models.register
def fragile(spec):
    return Fragile(spec)


@models.register
def mismatched(spec):  # made of modules
    return nn.Sequential(nn.Flatten(), nn.Linear(7, spec.num_outputs))


def halved(values):
    return torch.tensor(0.5) @ values  # within the loss


@losses.register
def broken(outputs, targets):
    return halved(outputs)


class Fetched:  # sample by sample
    targets = torch.arange(40) % 2

    def __len__(self):
        return 40

    def read(self, index):
        if "BREAKS" in os.environ and index == 7:
            raise KeyError(f"no sample {index}")  # in the data
        return torch.full((3,), float(index % 2))

    def name(self, index):
        return f"sample {index}"

    def fingerprint(self):
        return "fetched"


@datasets.register
def fetched(*, fitted=None):
    spec = DataSpec(layout=Layout.VECTOR, task=Task.CLASSIFICATION, input_shape=(3,),
                    num_outputs=2, class_names=("even", "odd"))
    return Data(spec=spec, train=Fetched(), val=Fetched(), test=Fetched())
"""
RUN = ("train.epochs=1", "device.threads=1", "-q")


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for all tests: a name is registered once."""
    path = tmp_path_factory.mktemp("plugin") / "mine.py"
    path.write_text(PLUGIN)
    return path


def line_of(text: str) -> int:
    return next(number for number, line in enumerate(PLUGIN.splitlines(), start=1) if text in line)


def test_a_model_that_raises(plugin: Path, ptrun: Call, folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BREAKS", "1")
    ended = ptrun("train", *RUN, f"plugins=[{plugin}]", "model=fragile")
    assert ended.code == 2
    where = f"plugins: {plugin}, line {line_of('# in the model')}, in forward (given x [32, 1, 8, 8])"
    assert f"error: {where}: KeyError: 'no such thing'. --debug shows the whole traceback." in ended.err
    status = json.loads((newest_run(folder) / "status.json").read_text())
    assert (status["state"], status["exit_code"]) == ("failed", 2)
    assert where in status["reason"]


def test_a_loss_that_raises(plugin: Path, ptrun: Call):
    ended = ptrun("train", *RUN, f"plugins=[{plugin}]", "model=fragile", "loss=broken")
    assert ended.code == 2
    assert (
        f"{plugin}, line {line_of('# within the loss')}, in halved (given values [32, 10]): RuntimeError: " in ended.err
    )


def test_a_model_made_of_modules(plugin: Path, ptrun: Call):
    ended = ptrun("train", *RUN, f"plugins=[{plugin}]", "model=mismatched")
    assert ended.code == 2
    line = line_of("# made of modules") - 1
    assert f"{plugin}, line {line}, model 'mismatched' (the model was given [32, 1, 8, 8]): RuntimeError: " in ended.err


def test_an_evaluation(plugin: Path, ptrun: Call, monkeypatch: pytest.MonkeyPatch):
    assert ptrun("train", *RUN, f"plugins=[{plugin}]", "model=fragile").code == 0
    monkeypatch.setenv("BREAKS", "1")
    ended = ptrun("eval", "checkpoint=outputs/latest", f"plugins=[{plugin}]")
    assert ended.code == 2
    assert f"{plugin}, line {line_of('# in the model')}, in forward (given x [256, 1, 8, 8])" in ended.err


@pytest.mark.parametrize("workers", [0, 2])
def test_samples_that_raise(plugin: Path, ptrun: Call, folder: Path, monkeypatch: pytest.MonkeyPatch, workers: int):
    """Also in a worker process, whose traceback stays there."""
    run = ("train", *RUN, f"plugins=[{plugin}]", "dataset=fetched", "model=simplenet", f"train.num_workers={workers}")
    assert ptrun(*run).code == 0
    checkpoint = newest_run(folder) / "checkpoints" / "best.pt"
    monkeypatch.setenv("BREAKS", "1")
    line = line_of("# in the data")
    where = (
        f"error: plugins: {plugin}, line {line}, in read: KeyError: 'no sample 7'. --debug shows the whole traceback."
    )
    for command in (run, ("eval", f"checkpoint={checkpoint}", f"plugins=[{plugin}]")):
        ended = ptrun(*command)
        assert (ended.code, where in ended.err) == (2, True), ended.err


MISUSES = """
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from ptrun.registry import datasets, image_transforms, loggers, losses, metrics, models, optimizers, schedulers
from ptrun.transforms.transform import Transform


class Gives(nn.Module):
    def __init__(self, spec, result):
        super().__init__()
        self.last, self.result = nn.Linear(spec.num_features, spec.num_outputs), result

    def forward(self, x):
        outputs = self.last(x.flatten(1))
        return {"none": None, "tuple": (outputs, x), "detached": outputs.detach()}[self.result]


@models.register
def gives(spec, *, result: str = "none"):
    return Gives(spec, result)


@losses.register
def as_text(outputs, targets, *, result: str = "none"):
    loss = cross_entropy(outputs, targets, reduction="none")
    return {"none": None, "float": loss.mean().item(), "vector": loss, "one": loss.mean()[None]}[result]


@losses.register
def made(spec):
    return lambda outputs, targets: None


class Module(nn.Module):
    def forward(self, outputs, targets):
        return cross_entropy(outputs, targets).item()


@losses.register
def module(spec):
    return Module()


@losses.register
def one_parameter(outputs):
    return outputs.sum()


@models.register
def no_model(spec):
    pass


@optimizers.register
def no_optimizer(model):
    return torch.optim.SGD


@schedulers.register
def of_torch(optimizer):
    pass


@schedulers.register
def no_factor():
    return lambda epoch: None


@schedulers.register
def no_scheduler():
    return 0.5


@datasets.register
def no_data():
    return torch.ones(3), torch.ones(3)


@loggers.register
def no_logger():
    return print


@metrics.register
def many(predictions):
    return torch.ones(3)


many.better = "higher"


@image_transforms.register
def no_transform():
    return abs


@image_transforms.register
def transform(*, random: bool = False, to: str = "none"):
    return Transform({"none": lambda images: None, "floats": lambda images: images / 255}[to], random=random)
"""


@pytest.mark.parametrize(
    ("overrides", "sentences"),
    [
        ("loss=as_text", ["'as_text' (", "mine.py, line ", ") gives None. It has to return a tensor with one"]),
        ("loss=as_text loss.result=float", ["gives 2."]),
        ("loss=as_text loss.result=vector", ["gives a tensor of shape [32] (torch.float32)"]),
        ("loss=as_text loss.result=one optimizer=lbfgs", ["gives a tensor of shape [1]"]),
        ("loss=made", ["loss: 'made'", "gives None"]),
        ("loss=module device.compile=step", ["loss: 'module'", "gives 2."]),
        ("loss=one_parameter", ["Write it as `def one_parameter(outputs, targets, *, SETTINGS)`"]),
        ("model=gives", ["model: it gives None, but a tensor [batch, 10] is needed"]),
        ("model=gives dataset=diabetes", ["model: it gives None, but a tensor [batch, 1] is needed"]),
        ("model=gives model.result=tuple", ["model: it gives an object of type 'tuple'"]),
        ("model=gives model.result=detached", ["loss: there is no way from the loss back to the weights"]),
        ("model=no_model", ["model: 'no_model'", "gives None. It has to return an nn.Module."]),
        ("optimizer=no_optimizer", ["gives the class SGD itself. It has to return a torch.optim.Optimizer."]),
        ("scheduler=of_torch", ["missing a required argument: 'optimizer'. Write it as `def of_torch(*, SETTINGS)`"]),
        ("scheduler=no_factor", ["the function that 'no_factor' returns gives None, not a number"]),
        ("scheduler=no_scheduler", ["gives 0.5. It has to return a function from the epoch"]),
        ("dataset=no_data", ["gives an object of type 'tuple'. It has to return a ptrun.data.dataset.Data."]),
        ("logger=no_logger", ["It has to return an object with the methods start, log and close."]),
        ("metrics=[many]", ["metric: 'many'", "gives a tensor of shape [3]", "When that is corrected, test it"]),
        ("transform.train=[no_transform]", ["It has to return a Transform, BatchTransform, MixTransform or Normalize"]),
        ("transform.train=[transform]", ["'transform' was given a tensor of shape [1, 8, 8]", "and returned None."]),
        ("transform.train=[{transform:{to:floats}}]", ["It has to return uint8 images"]),
        ("transform.train=[{transform:{random:true}}]", ["and returned None. It has to return uint8 images"]),
    ],
)
def test_a_component_that_is_not_what_its_kind_is(ptrun: Call, folder: Path, overrides: str, sentences: list[str]):
    (folder / "mine.py").write_text(MISUSES)
    ended = ptrun("train", *RUN, "plugins=[mine.py]", "model=simplenet", *overrides.split())
    assert ended.code == 2
    assert [text for text in sentences if text not in ended.err] == [], ended.err


COUNTS = '''
from ptrun.registry import image_transforms, metrics
from ptrun.transforms.transform import Transform


@metrics.register
def counted(predictions) -> float:
    """The number of samples."""
    return len(predictions.targets)


@image_transforms.register
def same():
    """No change."""
    return Transform(lambda images: images)
'''


def test_the_command_that_goes_on_names_the_plugin(ptrun: Call, folder: Path):
    path = folder / "my own.py"
    path.write_text(COUNTS.replace("return len(", "return None if len(predictions.targets) > 300 else len("))
    components = ("metrics=[counted]", "transform.train=[same]", "transform.eval=[same]")
    ended = ptrun("train", *RUN, f"plugins=['{path.name}']", "model=simplenet", *components)
    assert ended.code == 2
    command = ended.err.partition("test it with: ptrun ")[2].strip()
    path.write_text(COUNTS)
    [module] = [name for name in sys.modules if name.startswith("ptrun_plugin_my")]
    plugins.unload(module)  # as in a new process
    verb, run_dir, *_ = shlex.split(command)
    without = ptrun(verb, run_dir)
    assert without.code == 2
    assert "metric: 'counted' of the checkpoint is no component of ptrun. If it is yours, name its file" in without.err
    assert "image transform: 'same' of the checkpoint is no component of ptrun." in without.err
    ended = ptrun(*shlex.split(command))
    assert ended.code == 0, ended.err
    assert json.loads((newest_run(folder) / "summary.json").read_text())["test"]["counted"] > 300


def test_debug_shows_the_traceback(plugin: Path, ptrun: Call):
    with pytest.raises(ConfigError) as caught:
        ptrun("train", *RUN, f"plugins=[{plugin}]", "model=mismatched", "--debug")
    assert isinstance(caught.value.__cause__, RuntimeError)


def test_errors_of_the_program_itself_keep_their_traceback(ptrun: Call, monkeypatch: pytest.MonkeyPatch):
    from torch import nn

    def broken(self: nn.Module, inputs: object) -> object:
        raise LookupError("ours")

    monkeypatch.setattr(nn.Linear, "forward", broken)
    with pytest.raises(LookupError):
        ptrun("train", *RUN, "model=simplenet")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = 1\nraise ValueError('not today')\n", "line 2: ValueError: not today."),
        ("import no_such_module\n", "line 1: ModuleNotFoundError: No module named 'no_such_module'."),
        ("def half(:\n", "SyntaxError: "),
        ("import argparse\nargparse.ArgumentParser().exit()\n", "line 2: it ends the program when it is imported. "),
    ],
)
def test_a_file_that_can_not_be_imported_is_named_and_can_be_mended(
    text: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "mended.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        plugins.load([str(path)])
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)
    path.write_text("import os\nos.environ['MENDED'] = 'yes'\n", encoding="utf-8")
    monkeypatch.delenv("MENDED", raising=False)
    plugins.load([str(path)])
    assert os.environ.pop("MENDED") == "yes"


def test_a_file_that_does_not_exist(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"plugins: there is no file .*absent\.py\."):
        plugins.load([str(tmp_path / "absent.py")])


def test_plugins_are_imported_where_an_object_is_unpickled(tmp_path: Path):
    """A worker process that is not forked imports the plugins itself, under the same module name."""
    (tmp_path / "shapes.py").write_text("class Circle:\n    radius = 2\n", encoding="utf-8")
    pickling = (
        "import pickle, sys\n"
        "from ptrun import plugins\n"
        "plugins.load(['shapes.py'])\n"
        "module = next(module for name, module in sys.modules.items() if name.startswith('ptrun_plugin_shapes_'))\n"
        "pickle.dump([plugins.LoadOnUnpickling(), module.Circle()], open('objects', 'wb'))\n"
    )
    unpickling = "import pickle; print(pickle.load(open('objects', 'rb'))[1].radius)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for program in (pickling, unpickling):  # the processes have no plugins of other tests
        ended = subprocess.run(
            [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "2\n"


def test_a_worker_imports_only_what_is_there_and_still_imported(tmp_path: Path):
    kept, removed, forgotten = (tmp_path / f"{name}.py" for name in ("kept", "removed", "forgotten"))
    for path in (kept, removed, forgotten):
        path.write_text("", encoding="utf-8")
    plugins.load([str(kept), str(removed), str(forgotten)])
    removed.unlink()
    del sys.modules[next(name for name in sys.modules if name.startswith("ptrun_plugin_forgotten_"))]
    _, (files, copies, _) = plugins.LoadOnUnpickling().__reduce__()
    assert not set(copies) & {kept, removed, forgotten}
    assert [Path(file) for file in files if Path(file).parent == tmp_path] == [kept]


def test_an_edited_file_is_imported_again_without_what_it_no_longer_has(tmp_path: Path):
    """Also within a second and with the same size, where Python's import would use the compiled code of before."""
    path = tmp_path / "edited.py"
    source = "from ptrun.registry import metrics\n@metrics.register\ndef edited_{0}(p):\n    return {0}.0\n"
    for number in (1, 2):
        path.write_text(source.format(number))
        plugins.load([str(path)])
        assert plugins.REGISTRIES["metric"].get(f"edited_{number}")(None) == number
    assert "edited_1" not in plugins.REGISTRIES["metric"]
    function = plugins.REGISTRIES["metric"].get("edited_2")
    plugins.load([str(path)])
    assert plugins.REGISTRIES["metric"].get("edited_2") is function  # not imported again without an edit


def test_the_data_set_in_the_documentation(folder: Path, ptrun: Call):
    example = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    (folder / "rings.py").write_text(example[1])
    ended = ptrun("train", "plugins=[rings.py]", "dataset=rings", "model=simplenet", "train.epochs=1", "plots=false")
    assert ended.code == 0, ended.err
    assert "rings: vector 2 → 2 classes" in ended.out
    assert ptrun("eval", "checkpoint=outputs/latest", "plugins=[rings.py]", "-q").code == 0
