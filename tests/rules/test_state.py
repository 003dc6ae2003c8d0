"""Session state and caches of Streamlit occur in `whalecam/app/state` alone."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

STATE = ROOT / "whalecam" / "app" / "state"
CODE = [ROOT / "dashboard.py", *(ROOT / "pages").glob("*.py"), *(ROOT / "whalecam").rglob("*.py")]
OTHERS = sorted(path for path in CODE if STATE not in path.parents)


def is_state(name: str) -> bool:
    """Whether Streamlit keeps something under this name: for a session, or for all of them."""
    return name == "session_state" or name.startswith("cache_")


def uses_of_state(tree: ast.AST) -> Iterator[int]:
    """The lines that use session state or a cache, as an attribute of anything or imported by name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (
            node.attr == "session_state"
            or (is_state(node.attr) and isinstance(node.value, ast.Name) and node.value.id in ("st", "streamlit"))
        ):
            yield node.lineno
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("streamlit"):
            yield from (node.lineno for alias in node.names if is_state(alias.name))


@pytest.mark.parametrize(
    "code",
    [
        "st.session_state['a'] = 1",
        "st.session_state.a",
        "@st.cache_resource\ndef f(): ...",
        "@st.cache_data(max_entries=1)\ndef f(): ...",
        "context.session_state.query_params()",
        "from streamlit import session_state",
        "from streamlit import cache_data as once",
    ],
)
def test_a_use_is_found(code: str) -> None:
    assert len(list(uses_of_state(ast.parse(code)))) == 1


def test_words_in_texts_and_other_caches_are_no_uses() -> None:
    code = "'st.session_state'\nmodel.cache_clear()\nst.button('A', key='cache_data')"
    assert list(uses_of_state(ast.parse(code))) == []


@pytest.mark.parametrize("path", OTHERS, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_other_module_uses_state(path: Path) -> None:
    assert list(uses_of_state(ast.parse(path.read_text(encoding="utf-8")))) == []
