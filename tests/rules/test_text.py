"""Numbers in texts: how each is written, and that no other module writes percentages, nor what people read decimals."""

import ast
import math
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import ROOT
from whalecam import text

NOTHING = (None, float("nan"), np.float64("nan"), pd.NA)
SLIDER = ROOT / "whalecam" / "app" / "shell" / "page_frame.py"
"""A slider whose values stand in links as shares: only Streamlit's own format shows them as percentages."""
PACKAGE = [*(ROOT / "whalecam").rglob("*.py"), *(ROOT / "pages").glob("*.py"), ROOT / "dashboard.py"]
OTHERS = sorted(path for path in PACKAGE if path != Path(text.__file__))
READ_BY_PEOPLE = ("pages", "whalecam/app", "whalecam/cli", "whalecam/output")
SHARED = [path for path in OTHERS if path.relative_to(ROOT).as_posix().startswith(READ_BY_PEOPLE)]
"""Pages, report and command line, in which one number looks the same."""
FORMAT = re.compile(r"[-+,<>^0-9.]*\.[0-9]+%")


def test_percentages() -> None:
    assert [text.percent(share) for share in (0, 0.575, 1, 12.345, -0.2)] == [
        "0\u00a0%",
        "57\u00a0%",
        "100\u00a0%",
        "1234\u00a0%",
        "-20\u00a0%",
    ]
    assert text.percent(0.575, 1) == "57.5\u00a0%" and text.percent(np.float32(0.5), 2) == "50.00\u00a0%"
    assert text.percent(0.1, signed=True) == "+10\u00a0%" and text.percent(-0.1, signed=True) == "-10\u00a0%"
    assert all("\u00a0" in written and " " not in written for written in (text.percent(1), text.percent_of(1, 2)))
    assert text.PERCENT_COLUMN % 57.54 == "57.5\u00a0%" and text.PERCENT_SLIDER % 57 == "57\u00a0%"
    assert text.percent(-0.001) == "0\u00a0%", "nothing is less than nothing"


def test_intervals() -> None:
    assert text.percent_range(0.12, 0.3) == "12\u00a0% to 30\u00a0%"
    assert text.percent_interval(0.2, 0.12, 0.3) == "20\u00a0% (12 to 30)"
    assert text.percent_interval(0.2, -0.12, 0.3, signed=True) == "+20\u00a0% (-12 to +30)"
    assert text.points(0.123) == "+12 points" and text.points(-0.123, 1) == "-12.3 points"
    assert text.points_interval(0.12, 0.08, 0.16) == "+12 points (+8 to +16)"


def test_numbers() -> None:
    assert (text.number(1.005, 1), text.number(0.25, signed=True), text.number(-0.001)) == ("1.0", "+0.25", "0.00")
    assert [text.short(value) for value in (0.25, 12.0, 1234567.0)] == ["0.25", "12", "1.23457e+06"]
    assert text.short(1 / 3, 4) == "0.3333"
    assert text.scientific(1.234e-5) == "1.2e-05" and text.count(1240) == "1,240" and text.count(1240.0) == "1,240"


@pytest.mark.parametrize("value", NOTHING)
def test_what_is_not_known_is_a_dash(value: object) -> None:
    writers = (text.percent, text.points, text.number, text.short, text.scientific, text.count)
    assert {write(value) for write in writers} == {"–"} and text.percent_interval(value, value, value) == "–"


@given(st.integers(0, 10**7), st.integers(0, 10**7))
def test_a_part_of_a_whole(part: int, rest: int) -> None:
    """The slow way: a percentage is read back and is at most half of its last decimal away."""
    written = text.percent_of(part, part + rest)
    exact = 100 * part / max(1, part + rest)
    digits = 1 if 0 < exact < 1 else 0
    assert written.endswith("\u00a0%") and abs(float(written[:-2]) - exact) <= 0.5 * 10**-digits + 1e-9
    assert math.isclose(float(written[:-2]), float(f"{exact:.{digits}f}"), abs_tol=10**-digits)


def percentages_in(code: str) -> list[int]:
    """The lines that format a percentage: in an f-string, by a format of its own, for Plotly, or by Streamlit's own.

    A number in an f-string with the sign behind it is one too.
    """
    return sorted(set(_percentages(ast.parse(code))))


def _percentages(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FormattedValue) and node.format_spec and "%" in ast.unparse(node.format_spec):
            yield node.lineno
        elif isinstance(node, ast.JoinedStr):
            yield from (part.lineno for part, rest in pairwise(node.values) if _is_before_sign(part, rest))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if FORMAT.fullmatch(node.value) or re.search(r"%\{[^}]*%\}", node.value):
                yield node.lineno
        elif isinstance(node, ast.keyword) and node.arg == "format" and ast.unparse(node.value) == "'percent'":
            yield node.value.lineno


def _is_before_sign(part: ast.expr, rest: ast.expr) -> bool:
    is_sign = isinstance(rest, ast.Constant) and isinstance(rest.value, str) and re.match(r"\s?%(?!%)", rest.value)
    return isinstance(part, ast.FormattedValue) and bool(is_sign)


def loose_signs_in(code: str) -> list[int]:
    """The lines of strings, docstrings apart, in which a line may break between a number and its sign."""
    tree = ast.parse(code)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    loose = [text for text in texts if id(text) not in prose and re.search(r"[0-9] %(?![%(a-zA-Z])", str(text.value))]
    return sorted(text.lineno for text in loose)


def decimals_in(code: str) -> list[int]:
    """The lines that say in an f-string, or by `format`, how many decimals or digits a number has."""
    tree = ast.parse(code)
    formats = list[tuple[int, ast.expr]]()
    for node in ast.walk(tree):
        if isinstance(node, ast.FormattedValue) and node.format_spec:
            formats.append((node.lineno, node.format_spec))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "format":
            formats.append((node.lineno, node.args[-1]))
    return [line for line, text in formats if re.search("[efg]'*$", ast.unparse(text))]


@pytest.mark.parametrize(
    "code",
    [
        "f'{a:.0%}'",
        "f'{a:+.{n}%} of'",
        "format(a, '.1%')",
        "{'tickformat': '.0%'}",
        "'%{x:.0%} right'",
        "column(format='percent')",
        "f'{a:.2f} %'",
        "f'{100 * a}% of'",
        "f'{100 * a}\u00a0% of'",
    ],
)
def test_a_percentage_is_recognised(code: str) -> None:
    assert percentages_in(code) == [1]


def test_other_signs_are_no_percentages() -> None:
    assert percentages_in("f'{a:.2f} %%'\n'%d %%'\n'95 % of 100%'\na % b\n'%{x}: %{y:.1f}'") == []


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_other_module_writes_percentages(path: Path) -> None:
    lines = percentages_in(path.read_text(encoding="utf-8"))
    assert len(lines) == (1 if path == SLIDER else 0), lines


def test_a_number_keeps_its_sign() -> None:
    assert loose_signs_in("f('{a} of 95 % of')\nx = '5 %'") == [1, 2]
    assert loose_signs_in("'''At 5 % each.'''\nx = '95\\u00a0% of'\nx = '%d %%'\nx = '2 %s'\na % b") == []


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_line_breaks_before_a_sign(path: Path) -> None:
    assert loose_signs_in(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("code", ["f'{a:.2f}'", "f'{a:+.{n}f} of'", "f'{a:g}'", "format(a, '.3e')"])
def test_decimals_are_recognised(code: str) -> None:
    assert decimals_in(code) == [1]


def test_counts_and_other_formats_are_no_decimals() -> None:
    assert decimals_in("f'{a:,}'\nf'{a:<9}'\nf'{a!r}'\nf'{name:>{n}}'\nformat(a)\n'%{y:.1f}'") == []


@pytest.mark.parametrize("path", SHARED, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pages_report_and_command_line_write_no_decimals(path: Path) -> None:
    assert decimals_in(path.read_text(encoding="utf-8")) == []
