"""Settings that one command gives more than once. Hydra silently takes the last one, also of the axes of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ptrun.errors import ConfigError

_NO_AXES = ("sweep.", "hydra.")  # begin of the keys that no job has, so that a sweep can have one value only


def notes(words: Sequence[str], *, is_sweep: bool = False) -> Iterator[str]:
    """A sentence for each setting that these KEY=VALUE words give with different values, of which the last counts."""
    for key, texts in _repeated(words).items():
        if not is_sweep or key.startswith(_NO_AXES):
            yield f"{key} is given {_times(texts)}: {', then '.join(texts)}. The last one counts."


def refuse(words: Sequence[str]) -> None:
    """Raise ConfigError for each setting of jobs that the words of a sweep give with different values.

    Both may be meant, as one axis of the sweep.
    """
    problems = [
        f"{key} is given {_times(texts)}: {' and '.join(texts)}. Give it once; several values of a sweep are separated "
        f"by commas: {key}={','.join(dict.fromkeys(text.partition('=')[2] for text in texts))}."
        for key, texts in _repeated(words).items()
        if not key.startswith(_NO_AXES)
    ]
    if problems:
        raise ConfigError(problems)


def _repeated(words: Sequence[str]) -> Mapping[str, list[str]]:
    """Key → its words, of keys that have different values."""
    by_key: dict[str, list[str]] = {}
    for word in words:
        key, equals, _ = word.lstrip("+").partition("=")
        if equals:
            by_key.setdefault(key, []).append(word)
    return {key: texts for key, texts in by_key.items() if len({text.lstrip("+") for text in texts}) > 1}


def _times(texts: Sequence[str]) -> str:
    return "twice" if len(texts) == 2 else f"{len(texts)} times"
