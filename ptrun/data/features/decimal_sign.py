"""The decimal sign that a user sets: for a training, or for new files whose numbers are written in another way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ptrun.data.formats.number_form import PLAIN, NumberForm, form_of
from ptrun.errors import ConfigError

_NAMES = {"point": ".", "comma": ","}
_OTHER = {".": ",", ",": "."}


def decimal_sign(setting: str) -> str:
    """The sign that dataset.decimal means; "" for auto. Raises ConfigError for anything but a point or a comma."""
    sign = _NAMES.get(setting, "" if setting == "auto" else setting)
    if sign not in ("", *_OTHER):
        raise ConfigError(f"dataset.decimal is '{setting}'; it can be auto, point or comma (or the sign itself).")
    return sign


def written_with(fitted: Mapping[str, Any], setting: str) -> dict[str, Any]:
    """What a data set of rows learned in training, for files whose numbers have this decimal sign.

    Units and signs of currencies stay as they were. Raises ConfigError as `decimal_sign` does.
    """
    changed, sign, columns = dict(fitted), decimal_sign(setting), fitted.get("columns", ())
    if not sign:
        return changed
    if all(isinstance(column, str) for column in columns):  # of a series
        forms = {name: NumberForm(**form) for name, form in fitted.get("forms", {}).items()}
        changed["forms"] = {name: _with_sign(forms.get(name, PLAIN), sign).to_dict() for name in columns}
        return changed
    changed["columns"] = [_encoding(column, sign) if column["kind"] == "numeric" else column for column in columns]
    return _encoding(changed, sign) if "target_mean" in fitted else changed


def _encoding(encoding: Mapping[str, Any], sign: str) -> dict[str, Any]:
    form = _with_sign(form_of(encoding), sign)
    others = {key: value for key, value in encoding.items() if key != "form"}
    return others if form == PLAIN else {**others, "form": form.to_dict()}


def _with_sign(form: NumberForm, sign: str) -> NumberForm:
    """The form with this decimal sign; a sign between thousands that is the same becomes the other one."""
    return replace(form, decimal=sign, thousands=_OTHER[sign] if form.thousands == sign else form.thousands)
