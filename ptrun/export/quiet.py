"""Keeps the remarks of exporters from the user, who can do nothing about them.

They speak of their own deprecations and intermediate steps. What they get wrong shows when the file is checked.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def _printing_to(stream: io.StringIO) -> Iterator[None]:
    with contextlib.redirect_stdout(stream), contextlib.redirect_stderr(stream):
        yield


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Drop Python warnings, log records up to warnings, and what is printed inside. For calls of an exporter only."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), _printing_to(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
