"""The words that the glossary (docs/concepts.md) replaced: none of them is a name in the package any more."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest

from tests.conftest import ROOT

BANNED = {
    "auto_verdict": "assessment",
    "auto_verdicts": "ASSESSMENTS",
    "excess": "attention_score",
    "excess_label": "attention_score_label",
    "excess_threshold": "attention_threshold",
    "leak_label": "background_share_label",
    "licence": "exactness",
    "licences": "EXACTNESS",
    "needs_colour": "reliance_color",
    "needs_property": "reliance_on",
    "needs_swap": "reliance_swap",
    "needs_threshold": "reliance_threshold",
    "p_water_only": "background_only_p",
    "residual": "completeness_error",
    "swap_correct": "swapped_accuracy",
    "suspect_verdicts": "SUSPECT_ASSESSMENTS",
    "water_predicted": "background_only_predicted",
    "witness": "BackgroundTest",
}
"""Word → the one that takes its place."""
VAGUE = {
    *("asked", "figures", "found", "held", "judge", "judged", "judges", "lent", "picture", "pictures"),
    *("said", "spent", "taken", "tell", "told"),
}
"""Words that say how a thing was come by and not what it is: in no name, neither alone nor among other words."""
TERMS = re.compile("held_?out", re.IGNORECASE)
"""Terms of the field that have such a word in them."""
SQL = re.compile(
    r"(?:^|[( ])(?:select .* from|create (?:or replace )?(?:temp )?table|insert into|(?:left )?join|attach|checkpoint) "
)
"""What a string must have in it to be read as SQL."""
SQL_NAME = re.compile(r"\b(?:from|join|into|table|as|checkpoint|over|update) \"?([a-zA-Z_]+)(?:\.([a-zA-Z_]+))?")
PACKAGE = sorted((ROOT / "whalecam").rglob("*.py"))


def names_in(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every name that code gives: of variables, parameters, functions, classes and fields; with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr, node.lineno
        elif isinstance(node, ast.alias):
            yield node.asname or node.name, 0
        elif isinstance(node, ast.keyword) and node.arg:
            yield node.arg, node.value.lineno


def banned_in(text: str) -> list[tuple[str, int]]:
    return [(name, line) for name, line in names_in(ast.parse(text)) if name.strip("_").lower() in BANNED]


def names_in_sql(text: str) -> list[tuple[str, int]]:
    """The catalogs, tables and columns that SQL inside strings names, with the line of the string; no docstrings."""
    tree = ast.parse(text)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    strings = [(_written(node), node.lineno) for node in ast.walk(tree) if _is_text(node) and id(node) not in prose]
    questions = [(value, line) for value, line in strings if SQL.search(value.lower())]
    names = [(name, line) for value, line in questions for found in SQL_NAME.findall(value) for name in found if name]
    return sorted(set(names))


def _is_text(node: ast.AST) -> TypeGuard[ast.Constant | ast.JoinedStr]:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _written(node: ast.AST) -> str:
    """A string as it stands in the code, with {} for what an f-string fills in."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_written(part) for part in node.values)
    return str(node.value) if isinstance(node, ast.Constant) else "{}"


def is_vague(name: str) -> bool:
    words = re.findall("[a-z]+", re.sub("(?<=[a-z])(?=[A-Z])", " ", TERMS.sub("", name)).lower())
    return words == ["one"] or not VAGUE.isdisjoint(words)


def vague_in(text: str) -> list[tuple[str, int]]:
    """The vague names that code itself gives: not those of what it imports, nor of the parameters that it calls."""
    tree = ast.parse(text)
    imported = {
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if not alias.asname
    }
    keywords = {(node.arg, node.value.lineno) for node in ast.walk(tree) if isinstance(node, ast.keyword)}
    given = [(name, line) for name, line in names_in(tree) if name not in imported and (name, line) not in keywords]
    return [(name, line) for name, line in given if is_vague(name)]


@pytest.mark.parametrize(
    "code",
    [
        "excess = 1",
        "def licence(): ...",
        "def f(residual): ...",
        "class Witness: ...",
        "self.swap_correct = 0",
        "f(needs_swap=1)",
        "AUTO_VERDICTS = ()",
        "from a import b as _excess",
        "x: int\nfor excess in (): ...",
    ],
)
def test_a_banned_name_is_found(code: str) -> None:
    assert len(banned_in(code)) == 1


def test_words_in_texts_and_in_longer_names_are_none() -> None:
    assert banned_in("access = 'excess'\nprint(excessive, licence_of)\nrow['needs_swap']") == []


@pytest.mark.parametrize(
    "name", ["found", "_told", "one", "figures_of", "FOUND", "openPicture", "judged_by", "self.held"]
)
def test_a_vague_name_is_found(name: str) -> None:
    assert len(vague_in(f"{name} = 1")) == 1


@pytest.mark.parametrize(
    "code",
    [
        "con.execute(\"attach ':memory:' as held (compress)\")",
        "con.execute('checkpoint held')",
        "a = f'select {x} from held.rows where y'",
        "a = 'left join held.reviews as reviews using (image)'",
        "a = 'insert into held.rows'",
        "a = 'create or replace table rows.found as select 1'",
        "a = 'select count(*) as told from rows'",
    ],
)
def test_a_vague_name_in_sql_is_found(code: str) -> None:
    assert sum(is_vague(name) for name, _ in names_in_sql(code)) == 1


def test_prose_is_no_sql() -> None:
    assert names_in_sql('"""Select what is taken from held rows."""\na = "seen as told, from held-out images"') == []


def test_names_of_others_and_terms_of_the_field_are_none() -> None:
    code = "from a import StreamlitSecretNotFoundError\nf(allow_not_found=True)\nheld_out = one_by_one = foundation = 1"
    assert vague_in(code) == []


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: path.name)
def test_no_module_has_a_banned_name(path: Path) -> None:
    assert banned_in(path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", PACKAGE, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_has_a_vague_name(path: Path) -> None:
    code = path.read_text(encoding="utf-8")
    assert vague_in(code) == [] and [name for name in names_in_sql(code) if is_vague(name[0])] == []
    assert not is_vague(path.stem)
