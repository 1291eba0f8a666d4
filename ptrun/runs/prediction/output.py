"""Where predictions are written, and whether a file of that kind holds what was asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ptrun.errors import ConfigError
from ptrun.runs.prediction.file import STDOUT, format_of, import_pyarrow


def output_path(output: str | None, locations: Sequence[str], *, overwrite: bool) -> Path | None:
    """The file of the predictions for some inputs; None for standard output.

    locations: of the inputs; "-" is standard input. Raises ConfigError for a file that exists, or is an input.
    """
    first = locations[0]
    if output == STDOUT or (output is None and first == STDOUT):
        return None
    path = Path(output or f"{Path(first).expanduser().resolve().stem.strip('*?[]') or 'input'}-predictions.csv")
    path = path.expanduser()
    if format_of(str(path)) == "parquet":
        import_pyarrow()
    if path.exists() and any(_is_same(path, location) for location in locations):
        raise ConfigError(f"output: {path} is the input, which stays as it is. Name another file.")
    if path.exists() and not overwrite:
        raise ConfigError(f"output: {path} exists already. Name another file, or replace it with overwrite=true.")
    return path


def require_use(
    output: Path | None, what: str, *, top_k: int, keep: Sequence[str] | str, interval: float | None
) -> None:
    """Raise ConfigError for settings that would change nothing in a file of this kind."""
    problems = []
    if top_k > 1 and what != "class":
        problems.append(f"top_k: only what=class writes the most probable classes, not what={what}.")
    if output is not None and format_of(str(output)) == "npy":
        asked = [("top_k", top_k > 1 and what == "class"), ("keep", bool(keep)), ("interval", interval is not None)]
        problems += [
            f"{name}: a .npy file holds one array, and has no place for it. Choose output={output.stem}.csv."
            for name, is_asked in asked
            if is_asked
        ]
    if problems:
        raise ConfigError(problems)


def _is_same(path: Path, location: str) -> bool:
    other = Path(location).expanduser()
    return other.exists() and path.samefile(other)
