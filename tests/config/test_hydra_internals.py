"""The parts of Hydra without a promise: they are there in the installed version, and when they are not, it is said."""

from __future__ import annotations

import sys
from pathlib import Path

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra

from ptrun.config import hydra_internals
from ptrun.config.compose import Composer
from ptrun.config.folders import shipped_conf
from ptrun.errors import ConfigError


@pytest.mark.parametrize("name", hydra_internals.FEATURES)
def test_the_installed_hydra_has_the_method(name: str):
    assert callable(hydra_internals.method(hydra_internals.start([shipped_conf()]), name))


@pytest.mark.parametrize("name", hydra_internals.FEATURES)
def test_a_hydra_without_it_is_named_with_what_does_not_work(name: str):
    with pytest.raises(ConfigError, match=rf"Hydra {hydra.__version__} does not offer what .*\(-.* need in ptrun"):
        hydra_internals.method(object(), name)


@pytest.mark.filterwarnings("ignore:The version_base parameter")  # which 1.3 needs and 1.4 warns about
@pytest.mark.parametrize("public", [True, False])
def test_several_folders_by_either_way(public: bool, folder: Path, monkeypatch: pytest.MonkeyPatch):
    """By Hydra 1.4's public function and by the private names that 1.3 needs: the first folder wins, all are found."""
    if public and not hasattr(hydra, "initialize_config_search_path"):
        pytest.skip("Hydra 1.3 has no public function for several folders")
    if not public:
        monkeypatch.delattr(hydra, "initialize_config_search_path", raising=False)
    for name, epochs in (("first one", 11), ("it's second", 12)):
        (folder / name / "debug").mkdir(parents=True)
        (folder / name / "debug" / "same.yaml").write_text(f"# @package _global_\ntrain:\n  epochs: {epochs}\n")
    (folder / "it's second" / "debug" / "own.yaml").write_text("# @package _global_\nseed: 5\n")
    hydra_internals.start([folder / "first one", folder / "it's second", shipped_conf()])
    assert hydra.compose("train", ["debug=same"]).train.epochs == 11
    assert hydra.compose("train", ["debug=own"]).seed == 5
    assert hydra.compose("train", ["debug=fast"]).train.epochs != 20


def test_two_composers_do_not_disturb_each_other(folder: Path):
    (folder / "mine" / "debug").mkdir(parents=True)
    (folder / "mine" / "debug" / "own.yaml").write_text("# @package _global_\nseed: 5\n")
    first = Composer("train", [folder / "mine"])
    Composer("train")
    assert first.compose(["debug=own"]).seed == 5


def test_composing_needs_no_private_part(folder: Path, monkeypatch: pytest.MonkeyPatch):
    composer = Composer()
    for name in hydra_internals.FEATURES:
        monkeypatch.delattr(type(GlobalHydra.instance().hydra), name)
    assert composer.compose(["model=convnet"]).model.name == "convnet"
    with pytest.raises(ConfigError, match="sweeps"):
        composer.multirun(["seed=1,2"], print)


def test_only_this_module_imports_private_parts():
    package = Path(hydra_internals.__file__).parent.parent
    users = {
        path.name
        for path in package.rglob("*.py")
        if "import hydra._" in (text := path.read_text()) or "from hydra._" in text
    }
    assert users == {"hydra_internals.py"}
    assert "hydra" in sys.modules
