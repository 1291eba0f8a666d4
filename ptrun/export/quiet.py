"""Keeps the remarks of exporters from the user, who can do nothing about them.

They speak of their own deprecations and intermediate steps. What they get wrong shows when the file is checked.
"""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Ignore Python warnings, and log records up to warnings, inside. For the calls of an exporter only."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
