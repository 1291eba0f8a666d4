"""Composition: user's files win, references are kept or resolved, presets leave no trace."""

from __future__ import annotations

from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig

from ptrun.config import compose
from ptrun.config.compose import Composer
from ptrun.config.folders import shipped_conf
from ptrun.config.load import load_config
from ptrun.errors import ConfigError


def test_a_users_file_wins_over_the_shipped_one(folder: Path):
    own = folder / "conf" / "optimizer"
    own.mkdir(parents=True)
    (own / "sgd.yaml").write_text("name: sgd\nlr: 7.5\n")
    assert Composer("train", [folder / "conf"]).compose(["optimizer=sgd"]).optimizer.lr == 7.5
    assert Composer("train").compose(["optimizer=sgd"]).optimizer.lr != 7.5


def test_files_in_sub_folders_are_composed(folder: Path):
    recipe, model = folder / "conf" / "experiment" / "vision", folder / "conf" / "model" / "big"
    recipe.mkdir(parents=True)
    model.mkdir(parents=True)
    (recipe / "small.yaml").write_text("# @package _global_\ndefaults:\n  - override /model: big/simple\nseed: 3\n")
    (model / "simple.yaml").write_text("name: simplenet\nhidden_features: [7]\n")
    composed = Composer("train", [folder / "conf"]).compose(["experiment=vision/small"])
    assert (composed.seed, composed.model.name, composed.model.hidden_features) == (3, "simplenet", [7])


BROKEN = {"invalid": "a: [1\n", "a list": "- a\n", "empty": "", "aliases": f"a: &a [x]\nb: [{'*a, ' * 101}]\n"}


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_stops_only_what_asks_for_it(folder: Path, text: str):
    for group in ("experiment", "model", "loss"):
        (folder / "conf" / group).mkdir(parents=True)
        (folder / "conf" / group / "draft.yaml").write_text(text)
    (folder / "conf" / "experiment" / "other.yml").write_text("seed: 1\n")
    (folder / "conf" / "experiment" / "nested.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /model: draft\n"
    )
    composer = Composer("train", [folder / "conf"])
    assert load_config(composer, ["model=simplenet", "seed=3"]).config.seed == 3
    with pytest.raises(ConfigError, match=r"Models that fit: .*convnet"):
        load_config(composer, ["model=dlinear"])
    for words in (["experiment=draft"], ["model=draft"], ["experiment=nested"]):
        with pytest.raises(ConfigError, match=r"draft\.yaml"):
            load_config(composer, words)
    with pytest.raises(ConfigError, match=r"other\.yml. Rename it to other\.yaml"):
        load_config(composer, ["experiment=other"])


@pytest.mark.parametrize("defaults", ["[db: local]", "[model: convnet, logger: files, _self_]", "[]", "{a: 1}"])
def test_a_root_file_of_another_program_is_named(folder: Path, defaults: str):
    (folder / "conf").mkdir()
    (folder / "conf" / "train.yaml").write_text(f"defaults: {defaults}\nname: mine\n")
    with pytest.raises(ConfigError, match=r"conf/train\.yaml: ptrun would start from this file, .*dataset"):
        Composer("train", [folder / "conf"])


def test_a_users_own_root_file_is_used(folder: Path):
    (folder / "conf").mkdir()
    (folder / "conf" / "mine.yaml").write_text("defaults:\n  - train\n  - _self_\nseed: 3\n")
    (folder / "conf" / "train.yaml").write_text(
        (shipped_conf() / "train.yaml").read_text().replace("seed: 0", "seed: 4")
    )
    assert Composer("train", [folder / "conf"]).compose([]).seed == 4
    assert Composer("mine", [folder / "conf"]).compose([]).seed == 3


def test_plain_is_the_users_part():
    composed = Composer().compose(["label=seed${seed}", "seed=5", "debug=fast"])
    assert compose.plain(composed, resolve=False)["label"] == "seed${seed}"
    values = compose.plain(composed, resolve=True)
    assert values["label"] == "seed5"
    assert not {"hydra", "debug", "experiment"} & set(values)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("${nowhere}", "label: refers to ${nowhere}, and there is no setting nowhere."),
        ("${oc.env:PTRUN_NOT_SET}", "label: refers to the environment variable PTRUN_NOT_SET, which is not set."),
        ("a-${oc.env:PTRUN_NOT_SET}", "label: refers to the environment variable PTRUN_NOT_SET, which is not set."),
        ("${label}", "label: refers to itself."),
        ("${foo:1}", "label: refers to ${foo:...}, which is no kind of reference that Hydra knows."),
        ("${hydra:runtime.cwd}", "label: refers to ${hydra:...}, which has a value only in the jobs of a sweep"),
        ("${oc.decode:'[1'}", "label: holds a reference ${...} that can't be resolved: missing BRACKET_CLOSE"),
    ],
)
def test_a_reference_that_leads_nowhere_is_a_sentence_that_names_its_key(value: str, sentence: str):
    HydraConfig.instance().cfg = None  # what another test may have set
    with pytest.raises(ConfigError) as error:
        compose.plain(Composer().compose([f"label={value}"]), resolve=True)
    assert str(error.value).startswith(sentence)
    if "hydra" not in value:  # --cfg shows what it stands for
        with pytest.raises(ConfigError, match="label: "):
            Composer().print_config("job", [f"label={value}"], None, resolve=True)


def test_the_value_that_a_message_proposes_for_an_unset_variable_works():
    composed = Composer().compose(["label=${oc.env:PTRUN_NOT_SET,VALUE}"])
    assert compose.plain(composed, resolve=True)["label"] == "VALUE"


def test_the_values_of_a_job():
    composed = Composer().compose(["label=j${hydra:job.num}", "hydra.sweep.dir=there"])
    with compose.job_values(composed, 3):
        assert compose.plain(composed, resolve=True)["label"] == "j3"
    with pytest.raises(ConfigError, match="only in the jobs of a sweep"):
        compose.plain(composed, resolve=True)
    assert compose.sweep_dir(composed) == "there"


def test_one_section_in_plain_containers():
    composed = Composer().compose(["sweep.dir=x${seed}"])
    section = compose.section(composed, "sweep")
    assert (section["name"], section["dir"]) == ("grid", "x0")
    assert compose.section(composed, "nothing") == {}
    with pytest.raises(ConfigError, match="there is no setting nowhere"):
        compose.section(Composer().compose(["sweep.dir=${nowhere}"]), "sweep")


def test_stored_references_are_resolved(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PTRUN_SEED", "7")
    assert compose.resolved({"seed": "${oc.env:PTRUN_SEED}", "other": ["${seed}"]}) == {"seed": "7", "other": ["7"]}


def test_a_root_file_that_does_not_exist():
    with pytest.raises(ConfigError, match="nothing"):
        Composer("nothing").compose([])


@pytest.mark.parametrize("device", ["auto", "cpu", "cuda", "mps"])
def test_every_device_has_all_settings(device: str):
    composed = compose.plain(Composer().compose([f"device={device}", "device.index=1"]), resolve=True)["device"]
    assert list(composed) == ["name", "index", "precision", "compile", "channels_last", "fused", "threads"]
    assert (composed["name"], composed["index"], composed["precision"]) == (device, 1, "fp32")
