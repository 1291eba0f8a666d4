"""ptrun: train any PyTorch model on any data from YAML."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ptrun.commands.train import TrainResult

__version__ = "0.1.0"
__all__ = ["__version__", "train"]


def train(*overrides: str, config_dir: str | None = None, quiet: bool = False) -> TrainResult:
    """Run `ptrun train` from Python: `ptrun.train("model=convnet", "train.epochs=3")`.

    Returns the run folder, the summary and the best monitored value. Raises ptrun.errors.PtrunError.
    """
    from ptrun import request
    from ptrun.composition import Composer

    composer = Composer("train", request.conf_folders(config_dir))
    asked = request.read(composer, overrides)

    from ptrun.commands import train as command

    return command.run(
        command.Request(
            asked.config, asked.asked, overrides, ["ptrun", "train", *overrides], composer.folders, quiet=quiet
        )
    )
