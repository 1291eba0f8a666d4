"""The one place where parts are made: what data sets know of their samples, and the settings, become train, val, test.

Identical samples, and samples of one group, stay together. Without duplicates and groups, each sample is divided by
itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ptrun.data.duplicates import Identified, joined, notes_on_duplicates, notes_on_shared, units_of
from ptrun.data.formats.part_names import part_called
from ptrun.data.group_partition import grouped
from ptrun.data.partition import Indices, Parts, shuffled, stratified
from ptrun.data.samples import Given, Samples
from ptrun.data.split_settings import SplitSettings, check_fractions
from ptrun.errors import ConfigError, DataError, join_words

PARTS = ("train", "val", "test")
SPLIT_COLUMNS = ("split", "subset", "partition", "part", "set")  # names of columns that split.column=auto looks at
NOTHING: Indices = np.zeros(0, np.int64)


def divide(samples: Samples, settings: SplitSettings) -> Parts:
    """The positions of the samples of each part; a part that comes with the data gets none.

    Raises ConfigError for settings that these data can't follow, DataError for columns and samples that do not fit.
    """
    _check(samples, settings)
    if {"val", "test"} <= samples.given.keys():
        everything = np.arange(samples.count)
        notes = (*_duplicates(samples, settings), *_shared_with_given(samples))
        return Parts(everything, NOTHING, NOTHING, notes, *_given_only(samples))
    wanted = settings
    if "test" in samples.given:
        wanted = replace(settings, test_fraction=0.0)
    elif "val" in samples.given:  # Only test is missing, so the one part that is cut from train becomes the test part.
        wanted = replace(settings, val_fraction=settings.test_fraction, test_fraction=0.0)
    parts = _cut(samples, wanted)
    if "val" in samples.given:
        parts = replace(parts, val=NOTHING, test=parts.val)
    return _with_given(parts, samples)


def find_split_column(columns: Mapping[str, Sequence[str]], settings: SplitSettings) -> SplitSettings:
    """The settings with the split column by name; split.column=auto finds one by its name and its cells.

    Raises DataError when split=column finds none.
    """
    if settings.column != "auto":
        return settings
    if settings.name in ("auto", "column") and settings.group is None and settings.folds is None:
        named = [name for name in columns if name.lower() in SPLIT_COLUMNS]
        words = {name: set(map(part_called, set(columns[name]))) for name in named}
        fitting = [name for name in named if {"train"} < words[name] <= set(PARTS)]
        if fitting:
            return replace(settings, column=fitting[0])
    if settings.name == "column":
        raise DataError(
            "split=column: no column is called like a split and holds train, val and test only. Name it: "
            f"split.column=COLUMN. The columns are: {join_words(columns)}."
        )
    return replace(settings, column=None)


def _check(samples: Samples, settings: SplitSettings) -> None:
    """Raise ConfigError for settings that these data can't follow."""
    name, given = settings.name, samples.given
    problems = []
    if name == "folders" and not given and not settings.evaluating:
        problems.append("split=folders: these data come without parts of their own. Use split=auto.")
    if settings.folds is not None and given and not settings.evaluating:
        where = join_words([f"{part} ({each.source})" for part, each in given.items()])
        problems.append(f"split.folds={settings.folds}: folds divide all samples, but these data come with {where}.")
    if samples.column is None and not settings.evaluating:
        problems += [
            f"split.{key}={value}: these data have no columns to look it up in."
            for key, value in (("group", settings.group), ("column", settings.column))
            if value not in (None, "auto")
        ]
        if name == "column":
            problems.append("split=column: these data have no columns.")
    if name == "time" and samples.times is None and not settings.evaluating:
        problems.append("split=time: these data have no time column.")
    if given and settings.column not in (None, "auto"):
        problems.append(f"split.column={settings.column}: the data come with parts of their own: {join_words(given)}.")
    if problems:
        raise ConfigError(problems)


def _cut(samples: Samples, settings: SplitSettings) -> Parts:
    """Divide by the column, the time, the groups, or at random."""
    if settings.evaluating and settings.test_fraction == 1 and settings.folds is None:
        return Parts(NOTHING, NOTHING, np.arange(samples.count), (), "all", "all of the data")
    if settings.column not in (None, "auto"):
        return _by_column(samples, settings)
    if settings.name == "time":
        return _by_time(samples, settings)
    return _in_units(samples, settings)


def _in_units(samples: Samples, settings: SplitSettings) -> Parts:
    """Divide samples such that identical ones, and those of one group, stay together."""
    unit_of, notes = np.arange(samples.count), [*_duplicates(samples, settings)]
    if samples.keys is not None and settings.duplicates == "together":
        unit_of, _ = units_of(samples.keys)
    if settings.group is not None:
        return _by_group(samples, settings, unit_of, notes)
    parts = _at_random(samples, settings, unit_of)
    how = "at random" if samples.classes is None else "at random, stratified by class"
    method = "shuffled" if samples.classes is None else "stratified"
    return replace(
        parts,
        notes=(*parts.notes, *notes),
        method=method if settings.folds is None else f"{method} folds",
        how=f"{_fold(settings)}{how} (split.seed={settings.seed})",
    )


def _at_random(samples: Samples, settings: SplitSettings, unit_of: Indices) -> Parts:
    weights = np.bincount(unit_of)
    if len(weights) == samples.count:
        return _divided(samples.classes, samples.class_names, settings, samples.count, None)
    classes, names = samples.classes, samples.class_names
    if classes is not None:  # a class whose samples all equal earlier samples of other classes goes where these go
        classes, codes = classes[units_of(unit_of)[1]], np.unique(classes)
        known = np.setdiff1d(np.arange(len(names)), np.setdiff1d(codes, classes))
        classes, names = np.searchsorted(known, classes), [names[code] for code in known]
    try:
        return _divided(classes, names, settings, len(weights), weights).of(unit_of)
    except DataError as error:
        raise DataError(
            f"{error} Identical {samples.noun} count once here, because they stay in one part; "
            "split.duplicates=apart takes each for a sample of its own."
        ) from error


def _divided(
    classes: NDArray[np.int64] | None,
    names: Sequence[str],
    settings: SplitSettings,
    count: int,
    weights: Indices | None,
) -> Parts:
    return shuffled(count, settings, weights) if classes is None else stratified(classes, names, settings, weights)


def _by_group(samples: Samples, settings: SplitSettings, unit_of: Indices, notes: list[str]) -> Parts:
    assert samples.column is not None
    assert settings.group is not None
    cells = samples.column(settings.group, "split.group")
    texts = [text or f"\0{position}" for position, text in enumerate(cells)]  # without a group: one of its own
    group_of, _ = units_of(np.array(texts))
    num_groups, without = len(set(texts)), sum(not text for text in cells)
    if without:
        notes.append(
            f"{samples.noun.capitalize()} without a group in '{settings.group}', each divided by itself: {without:,}."
        )
    unit_of = joined(unit_of, group_of)
    codes = np.zeros(samples.count, np.int64) if samples.classes is None else samples.classes
    counts = np.zeros((int(unit_of.max(initial=-1)) + 1, max(1, len(samples.class_names))), np.int64)
    np.add.at(counts, (unit_of, codes), 1)
    try:
        parts = grouped(counts, settings)
    except DataError as error:
        raise DataError(f"split.group={settings.group}: {error}") from error
    absent = [name for name, n in zip(samples.class_names, counts[parts.train].sum(axis=0), strict=False) if not n]
    if absent and not settings.evaluating:
        notes.append(
            f"No {samples.noun} of these classes are in train, because their groups are elsewhere: "
            f"{join_words(absent, 8)}."
        )
    what = f"{num_groups:,} values of '{settings.group}', each in one part"
    how = f"{_fold(settings)}by group: {what} (split.seed={settings.seed})"
    method = "grouped" if settings.folds is None else "grouped folds"
    return replace(parts.of(unit_of), notes=tuple(notes), method=method, how=how)


def _by_column(samples: Samples, settings: SplitSettings) -> Parts:
    """The parts that a column names. val or test is cut from train when no cell names it."""
    assert samples.column is not None
    assert settings.column is not None
    cells = samples.column(settings.column, "split.column")
    words = {text: part_called(text) for text in dict.fromkeys(cells)}
    unknown = [text for text, part in words.items() if part is None]
    if unknown:
        first = next(i for i, text in enumerate(cells) if words[text] is None)
        raise DataError(
            f"split.column={settings.column}: {join_words(map(repr, unknown), 5)} names no part, first in "
            f"{samples.name(first)}. Cells can be train, val (valid, validation, dev) and test, in any case."
        )
    rows = {part: np.array([i for i, text in enumerate(cells) if words[text] == part], np.int64) for part in PARTS}
    if not len(rows["train"]) and not settings.evaluating:
        raise DataError(f"split.column={settings.column}: no cell says train, so there is nothing to train on.")
    given = {part: Given(f"column '{settings.column}'") for part in ("val", "test") if len(rows[part])}
    notes = _shared({part: samples.take(rows[part]).identified() for part in PARTS}, samples.noun)
    how = f"by the column '{settings.column}'"
    if len(given) < 2 and not settings.evaluating:
        train = replace(samples.take(rows["train"]), given={**samples.given, **given}, column=None)
        cut = divide(train, replace(settings, name="auto", column=None))
        missing = " and ".join(part for part in ("val", "test") if part not in given)
        how = f"{how}, {missing} cut from train at random (split.seed={settings.seed})"
        notes = [*cut.notes, *notes]
        pieces = {part: rows["train"][getattr(cut, part)] for part in PARTS}
        rows = {part: rows[part] if part in given else pieces[part] for part in PARTS}
    return Parts(rows["train"], rows["val"], rows["test"], tuple(notes), "column", how)


def _by_time(samples: Samples, settings: SplitSettings) -> Parts:
    """The earliest samples as train and the latest as test. Samples of one time are in one part."""
    assert samples.times is not None
    check_fractions(settings)
    times, cells = samples.times(settings.time_column)
    order = np.argsort(times, kind="stable")
    ascending = times[order]
    starts = []
    for fraction in (settings.val_fraction + settings.test_fraction, settings.test_fraction):
        start = samples.count - round(samples.count * fraction)
        starts.append(start if start >= samples.count else int(np.searchsorted(ascending, ascending[start])))
    pieces = dict(zip(PARTS, np.split(order, starts), strict=True))
    empty = [part for part in PARTS if not len(pieces[part]) and not (part == "test" and not settings.test_fraction)]
    if empty and not settings.evaluating:
        raise DataError(
            f"split=time: no {samples.noun} are left for {join_words(empty)}. Samples of one time stay in one part, "
            f"and there are {len(np.unique(times)):,} different times. Choose other fractions, or split=random."
        )
    spans = [f"{part} {cells[rows[0]]} to {cells[rows[-1]]}" for part, rows in pieces.items() if len(rows)]
    notes = _shared({part: samples.take(rows).identified() for part, rows in pieces.items()}, samples.noun)
    train, val, test = (np.sort(pieces[part]) for part in PARTS)
    return Parts(train, val, test, tuple(notes), "chronological", f"by time: {', '.join(spans)}")


def _duplicates(samples: Samples, settings: SplitSettings) -> tuple[str, ...]:
    identified = samples.identified()
    if identified is None:
        return ()
    together = settings.duplicates == "together"
    return tuple(notes_on_duplicates(identified, samples.noun, samples.same, together=together))


def _shared(parts: Mapping[str, Identified | None], noun: str) -> list[str]:
    return notes_on_shared({part: samples for part, samples in parts.items() if samples is not None}, noun)


def _shared_with_given(samples: Samples) -> list[str]:
    """Notes on samples that stand in a part that comes with the data, and in train or another such part."""
    given = {part: each.samples for part, each in samples.given.items()}
    return _shared({"train": samples.identified(), **given}, samples.noun)


def _fold(settings: SplitSettings) -> str:
    return "" if settings.folds is None else f"fold {settings.fold} of {settings.folds} is test, "


def _given_only(samples: Samples) -> tuple[str, str]:
    """The method, and how it is said, when all parts come with the data."""
    sources = list(dict.fromkeys(given.source for given in samples.given.values()))
    if sources == ["folders"]:
        return "folders", "by the folders"
    return "given val, given test", f"val and test are {join_words(sources)}"


def _with_given(parts: Parts, samples: Samples) -> Parts:
    """The parts with what is said of those that come with the data."""
    if not samples.given:
        return parts
    part, given = next(iter(samples.given.items()))
    other = "val" if part == "test" else "test"
    method = f"{parts.method} {other}, given {part}"
    how = f"{part} is {given.source}; {other} is cut from train {parts.how}"
    return replace(parts, method=method, how=how, notes=(*parts.notes, *_shared_with_given(samples)))
