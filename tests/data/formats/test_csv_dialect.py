"""Delimiter and header line are found from the first rows by parsing them."""

from __future__ import annotations

import pytest

from ptrun.data.formats.csv_dialect import Dialect, delimiter_sign, find_dialect, header_setting, is_blank
from ptrun.errors import ConfigError, DataError


def dialect(text: str, header: bool | str = "auto", delimiter: str = "auto", names: list[str] | None = None) -> Dialect:
    return find_dialect(text.splitlines(keepends=True), "f.csv", names, header, delimiter)


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2,5\n", ";"),
        ("1,5;2,5\n3,5;4,5\n1,0;2,0\n", ";"),  # without a header line, commas cut into even rows too
        ("a\tb c\n1\t2,3\n", "\t"),
        ("name|tags\nx|a,b\ny|c,d\n", "|"),
        ('"a; b",c,d\n"x; y | z",1,2\n', ","),
        ('a,b\n"one, two\nthree",2\n"four\nfive, six",3\n', ","),
        ("a;b;\n1;2;\n3;4;\n", ";"),
        ("a,b\n1,2,\n3,4,\n", ","),
        ("one\ntwo\n", ","),
    ],
)
def test_delimiter(text: str, delimiter: str) -> None:
    assert dialect(text).delimiter == delimiter


def test_a_delimiter_can_be_insisted_on() -> None:
    assert dialect("a,b;c\n1,2;3\n", delimiter="semicolon").names == ("a,b", "c")
    assert dialect("a:b\n1:2\n", delimiter=":").names == ("a", "b")
    assert delimiter_sign("tab") == "\t"
    with pytest.raises(ConfigError, match=r"dataset\.delimiter is 'commas'; it can be auto, one character, or a name"):
        delimiter_sign("commas")


@pytest.mark.parametrize(
    ("text", "has_header"),
    [
        ("x,y\n1,2\n3,4\n5,6\n", True),
        ("1.5,2\n3.5,4\n5.5,6\n", False),
        ("M,0.4,7\nF,0.5,8\nM,0.6,9\nF,0.1,7\n", False),
        ("2024-01-01,5\n2024-01-02,6\n2024-01-03,7\n", False),
        ("label,0.4,0.9\nup,0.4,7\ndown,0.5,8\nup,0.6,9\ndown,0.1,7\n", True),  # 'label' is none of the labels
        ("country,2001,2002\nA,5,6\nB,7,8\nC,7,8\n", True),
        ("1,2,3,4\n5,6,9,1\n7,8,1,2\n2,2,2,2\n", True),  # running numbers are names
        (",a,b\n0,1,2\n1,3,4\n2,5,6\n", True),
        ("a,b\nx,y\nz,w\n", True),
        ("1,2\n", True),
    ],
)
def test_header(text: str, has_header: bool) -> None:
    found = dialect(text)
    assert (found.has_header, found.was_found) == (has_header, not has_header)


def test_names() -> None:
    assert dialect("1,2\n3,4\n", header=False).names == ("column 1", "column 2")
    assert dialect("1,2\n3,4\n5,6\n", header=True).names == ("1", "2")
    assert dialect("1,2\n3,4\n5,6\n", names=["a", "b"]).names == ("a", "b")
    assert dialect(",b\nx,2\ny,3\n").nameless == {"column 1"}


def test_rows_that_end_in_a_delimiter() -> None:
    assert dialect("a,b\n1,2,\n3,4,\n").ends_empty
    assert not dialect("a,b\n1,2,\n3,4,5\n").ends_empty
    assert dialect("1,2,\n3,4,\n5,6,\n").names == ("column 1", "column 2")


def test_mistakes() -> None:
    with pytest.raises(DataError, match=r"f\.csv is empty"):
        dialect("\n \n")
    with pytest.raises(DataError, match="header has 'a' more than once"):
        dialect("a,b,a\n1,2,3\n")
    assert is_blank([" "])
    assert not is_blank(["", ""])


def test_a_trained_model_says_whether_new_files_have_a_header_line() -> None:
    assert header_setting("auto", None) == "auto"
    assert header_setting("auto", {"columns": ["x"]}) is True
    assert header_setting("auto", {"header": False}) is False
    assert header_setting(True, {"header": False}) is True
