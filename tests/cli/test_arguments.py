"""Each verb has its own flags; an unknown one is refused by a sentence that names those it has."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support import Ended

from ptrun.cli.arguments import Parser, add_config_dir_flag, add_quiet_flag, split_run_and_changes
from ptrun.errors import ConfigError

Call = Callable[..., Ended]


def parser(setting_example: str = "") -> Parser:
    result = Parser("try", setting_example)
    result.add_argument("words", nargs="*")
    add_quiet_flag(result)
    add_config_dir_flag(result)
    return result


def test_flags_and_words_in_any_order():
    options = parser().parse(["a=1", "-q", "b", "-cd", "mine", "c"])
    assert (options.words, options.quiet, options.config_dir, options.help) == (["a=1", "b", "c"], True, "mine", False)


def test_an_unknown_flag_is_refused_with_the_flags_there_are():
    with pytest.raises(ConfigError) as error:
        parser().parse(["--quite"])
    assert str(error.value) == (
        "ptrun try: there is no flag --quite. Did you mean '--quiet'? Flags: --config-dir, --help, --quiet, --debug."
    )


def test_a_setting_with_dashes_is_answered_by_how_it_is_typed():
    with pytest.raises(ConfigError, match=r"no flag --epochs\. Settings have no dashes: type train\.epochs=5\."):
        parser("x.y=1").parse(["--epochs=5"])
    with pytest.raises(ConfigError, match=r"Settings have no dashes: type train\.epochs=5 model=convnet\."):
        parser("x.y=1").parse(["seed=1", "--epochs", "5", "--model", "convnet"])
    with pytest.raises(ConfigError, match=r"no flag --frob\. Settings have no dashes: KEY=VALUE, as in x\.y=1\."):
        parser("x.y=1").parse(["--frob=5"])


def test_a_flag_without_its_value_is_a_sentence():
    with pytest.raises(
        ConfigError, match=r"ptrun try: .*expected one argument\. `ptrun try --help` shows how it is used"
    ):
        parser().parse(["--config-dir"])


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("list", "-m"), "ptrun list: there is no flag -m. Flags: --config-dir, --help, --debug."),
        (("eval", "checkpoint=x", "--multirun"), "ptrun eval: there is no flag --multirun."),
        (("show", "-q"), "ptrun show: there is no flag -q."),
        (("verify", "x", "--cfg"), "ptrun verify: there is no flag --cfg."),
        (("resume", "-m"), "ptrun resume: there is no flag -m."),
        (("reproduce", "x", "--allow-change", "seed"), "ptrun reproduce: there is no flag --allow-change."),
        (("train", "--multirn"), "Did you mean '--multirun'?"),
        (("doctor", "cuda"), "ptrun doctor: 'cuda' is one argument too many."),
    ],
)
def test_a_verb_refuses_the_flags_of_others(ptrun: Call, arguments: tuple[str, ...], sentence: str):
    ended = ptrun(*arguments)
    assert ended.code == 2
    assert sentence in ended.err


def test_a_run_is_told_from_its_changes():
    words = ["outputs/latest", "train.epochs=3", "output_dir=runs", "plugins=[mine.py]"]
    result = split_run_and_changes("resume", words)
    assert result == ("outputs/latest", {"train.epochs": 3}, "runs", ["mine.py"])
    assert split_run_and_changes("resume", []) == (None, {}, "outputs", [])
    with pytest.raises(ConfigError, match="ptrun resume: expected one run, got 2: a b"):
        split_run_and_changes("resume", ["a", "b"])
