"""Builds the loggers of a run."""

from __future__ import annotations

from pathlib import Path

from ptrun import registry
from ptrun.config.run_config import Component, RunConfig
from ptrun.loggers.logger import Logger


def build_loggers(config: RunConfig, run_dir: Path, resume_step: int | None) -> list[Logger]:
    """The files of the run, always, and the logger that was chosen.

    resume_step: the last optimizer step that may have a record already; None for a new run.
    """
    components = {component.name: component for component in (Component("files"), config.logger)}
    loggers: list[Logger] = []
    try:
        for component in components.values():
            loggers.append(_build_logger(component, run_dir, resume_step))
    except BaseException:
        for logger in loggers:
            logger.close()
        raise
    return loggers


def _build_logger(component: Component, run_dir: Path, resume_step: int | None) -> Logger:
    logger = registry.loggers.build(component.name, component.settings, run_dir=run_dir, resume_step=resume_step)
    if not isinstance(logger, Logger):
        raise registry.loggers.wrong_result(component.name, logger)
    return logger
