"""Knows the names of the parts train, val and test in the spellings that people use for folders and in columns."""

from __future__ import annotations

import re

_PART_WORDS = {
    **dict.fromkeys(("train", "training", "trn"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "eval"), "val"),
    **dict.fromkeys(("test", "testing", "tst", "holdout"), "test"),
}
# Words that say nothing about the part: `train_images`, `Test Data`, `seg_train`.
_EMPTY_WORDS = frozenset({"set", "data", "dataset", "image", "images", "img", "imgs", "split", "seg", "part", "folder"})
_WORD_ENDINGS = ("set", "data", "images", "split")  # `trainset`, `TestData`


def part_called(name: str) -> str | None:
    """The part that a name or cell means: `Train`, `validation`, `test_images`; None for others."""
    words = [word for word in re.findall(r"[^\W\d_]+", name.lower()) if word not in _EMPTY_WORDS]
    if len(words) != 1:
        return None
    stems = (words[0], *(words[0].removesuffix(ending) for ending in _WORD_ENDINGS))
    return next((_PART_WORDS[stem] for stem in stems if stem in _PART_WORDS), None)
