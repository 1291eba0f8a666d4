"""ptrun: train any PyTorch model on any data from YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ptrun.version import __version__

if TYPE_CHECKING:
    from ptrun.runs.summary import TrainResult

__all__ = ["__version__", "train"]


def train(*overrides: str, config_dir: str | None = None, quiet: bool = False) -> TrainResult:
    """Run `ptrun train` from Python: `ptrun.train("model=convnet", "train.epochs=3")`.

    Returns the run folder, the summary and the best monitored value. Raises ptrun.errors.PtrunError.
    The random states, the number of torch's threads and its default dtype are those of before afterwards.
    """
    from ptrun.config.compose import Composer
    from ptrun.config.folders import conf_folders
    from ptrun.config.load import load_config

    composer = Composer("train", conf_folders(config_dir))
    loaded = load_config(composer, overrides)

    from ptrun.device.caller_state import preserve_caller_state
    from ptrun.runs import session

    request = session.TrainRequest(
        loaded.config, loaded.as_written, overrides, ["ptrun", "train", *overrides], composer.folders, quiet=quiet
    )
    with preserve_caller_state():
        return session.run(request)
