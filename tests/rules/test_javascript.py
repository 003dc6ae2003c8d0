"""The JavaScript of the components: node runs its tests and reads its modules, and none of it hides in Python."""

import ast
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from whalecam.app.components.assets import module

COMPONENTS = ROOT / "whalecam" / "app" / "components"
PYTHON = [ROOT / "dashboard.py", *sorted((ROOT / "pages").glob("*.py")), *sorted((ROOT / "whalecam").rglob("*.py"))]
LOOKS_LIKE_JAVASCRIPT = re.compile(
    r"=>|\bdocument\.\w|\bwindow\.\w|addEventListener|\bfunction\s*\w*\s*\(|\bexport (?:default|const|function) [\w{]"
    r"|<script\b|\bjavascript:|\bon(?:click|load|error|input|change|key\w+|pointer\w+|mouse\w+)\s*=",
    re.I,
)


@pytest.fixture(scope="module")
def node() -> str:
    path = shutil.which("node")
    if path is None:
        assert not os.environ.get("CI"), "no node on this machine, and CI must test the JavaScript with it"
        pytest.skip("no node on this machine; `make node` installs it")
    return path


def ran(*words: object) -> str:
    """What a command says, which must end well."""
    done = subprocess.run([str(word) for word in words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_nodes_own_tests_pass(node: str) -> None:
    files = sorted((ROOT / "tests" / "js").glob("*.test.js"))
    said = ran(node, "--test", "--test-reporter=tap", *files)
    passed = re.search(r"^# pass (\d+)$", said, re.M)
    assert passed is not None and int(passed[1]) > 100, said


IMPORT_ALL = """
for (const path of process.argv.slice(1)) {
  const { default: main, ...others } = await import(path)
  console.log(JSON.stringify([path, typeof main, Object.keys(others).length]))
}
"""


def imported(node: str, paths: list[Path]) -> dict[str, tuple[str, int]]:
    """Path → the kind of what a module exports by default, and how many names besides, as node reads it."""
    said = ran(node, "--input-type=module", "--eval", IMPORT_ALL, *paths)
    return {path: (kind, others) for path, kind, others in map(json.loads, said.splitlines())}


def test_every_file_is_a_module_of_its_own_that_others_or_streamlit_can_use(node: str) -> None:
    exports = imported(node, sorted(COMPONENTS.rglob("*.js")))
    assert len(exports) == len(list(COMPONENTS.rglob("*.js")))
    mains = {str(COMPONENTS / name) for name in entries()}
    assert {path for path, (kind, _) in exports.items() if kind == "function"} == mains
    assert not [path for path, (_, others) in exports.items() if path not in mains and not others]


def test_every_component_is_given_one_script_with_one_function(node: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name.replace('/', '-')}.mjs" for name in entries()]
    for name, path in zip(entries(), paths, strict=True):
        path.write_text(module(name), encoding="utf-8")
    assert imported(node, paths) == {str(path): ("function", 0) for path in paths}


def test_every_component_has_its_script() -> None:
    assert len(entries()) == len(set(entries())) == 10
    assert all("export default function" in module(name) for name in entries())


def entries() -> list[str]:
    """The modules that the package hands to Streamlit, which it names as `module("…")`."""
    return [
        call.args[0].value
        for path in PYTHON
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "module"
        if isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    ]


def test_no_javascript_hides_in_python() -> None:
    found = [f"{path.relative_to(ROOT)}:{line}" for path in PYTHON for line in javascript_in(path.read_text("utf-8"))]
    assert found == [], "JavaScript belongs into files of its own, where it is linted and tested"


def javascript_in(source: str) -> Iterator[int]:
    """The lines of strings that hold JavaScript, or are handed on as such; docstrings may speak of it."""
    tree = ast.parse(source)
    spoken = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "js" and isinstance(node.value, ast.Constant | ast.JoinedStr):
            yield node.value.lineno
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in spoken:
            yield from [node.lineno] if LOOKS_LIKE_JAVASCRIPT.search(node.value) else []


@pytest.mark.parametrize(
    "source",
    [
        'component(js="x()")',
        'component(js=f"x({1})")',
        "X = 'const f = (a) => a'",
        "X = f'{1} document.title'",
        "X = 'window.scrollTo(0, 0)'",
        "X = 'a.addEventListener'",
        "X = 'function f(a) {}'",
        "X = 'function (a) {}'",
        "X = '''export default 1'''",
        "X = '<script src=x>'",
        "X = '<img onerror=x>'",
        "X = {'href': 'javascript:x'}",
    ],
)
def test_javascript_in_a_string_is_found(source: str) -> None:
    assert set(javascript_in(f"\n{source}\n")) == {2}


@pytest.mark.parametrize(
    "source",
    ['"""It maps a => b."""', "X = 'documents, windows and functions'", "component(js=module('a.js'))", "X = 'a >= 1'"],
)
def test_plain_words_are_not_javascript(source: str) -> None:
    assert list(javascript_in(source)) == []
