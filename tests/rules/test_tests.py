"""What holds for all tests: where they lie, and that none asserts elapsed time or one look at the browser."""

import ast
from pathlib import Path

import pytest

from tests.conftest import ROOT

CLOCKS = {"time", "monotonic", "perf_counter", "process_time", "thread_time"}
CLOCKS |= {f"{name}_ns" for name in CLOCKS} | {"default_timer", "timeit"}


def timed(source: str) -> list[int]:
    """Lines of the assertions whose value comes from a clock: read in it, or in a name that was made from one."""
    lines: list[int] = []
    scopes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
    durations = {scope.name for scope in scopes if _returns_duration(scope)}
    for scope in scopes:
        made = _from_clocks(scope, durations)
        lines += [node.lineno for node in ast.walk(scope) if isinstance(node, ast.Assert) and _reads(node.test, made)]
    return sorted(set(lines))


def _returns_duration(scope: ast.FunctionDef) -> bool:
    made = _from_clocks(scope, set())
    values = [node.value for node in ast.walk(scope) if isinstance(node, ast.Return) and node.value is not None]
    return any(_reads(value, made) for value in values)


def _from_clocks(scope: ast.AST, known: set[str]) -> set[str]:
    """Names that hold a moment or a duration: assigned, appended to, or added up from a clock or from such a name."""
    made = set(known)
    while True:
        more = set(made)
        for node in ast.walk(scope):
            if isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.NamedExpr) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                more |= {name for target in targets for name in _names(target) if _reads(node.value, made)}
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "append":
                more |= {name for name in _names(node.func.value) if any(_reads(given, made) for given in node.args)}
        if more == made:
            return made
        made = more


def _names(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _reads(node: ast.AST, made: set[str]) -> bool:
    called = [part.func for part in ast.walk(node) if isinstance(part, ast.Call)]
    clocks = {f.attr if isinstance(f, ast.Attribute) and _names(f) <= {"time", "timeit"} else "" for f in called}
    clocks |= {f.id for f in called if isinstance(f, ast.Name) and f.id != "time"}
    return bool(clocks & CLOCKS) or bool(_names(node) & made)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("start = time.perf_counter()\n    work()\n    assert time.perf_counter() - start < 5", [4]),
        ("start = perf_counter()\n    took = perf_counter() - start\n    assert took < 5, took", [4]),
        ("spent = []\n    spent.append(time.process_time())\n    assert min(spent) < 1", [4]),
        ("spent: float = time.time()\n    both = (spent, 1)\n    assert statistics.median(both) < 2", [4]),
        ("def seconds():\n        return time.time() - 5\n    assert seconds() < 5", [4]),
        ("end = time.monotonic() + 9\n    while time.monotonic() < end:\n        work()\n    assert done()", []),
        ("ahead = 120\n    assert written(ahead)", []),
    ],
)
def test_an_assertion_on_a_clock_is_seen(body: str, expected: list[int]) -> None:
    assert timed(f"def test_it():\n    {body}\n") == expected


def test_no_test_asserts_elapsed_time() -> None:
    paths = sorted((ROOT / "tests").rglob("*.py"))
    assert len(paths) > 50
    found = {path.relative_to(ROOT).as_posix(): timed(path.read_text(encoding="utf-8")) for path in paths}
    assert {name: lines for name, lines in found.items() if lines} == {}, "measure it in benchmarks/, as a ratio"


SHOWN = {"all_inner_texts", "all_text_contents", "count", "get_attribute", "inner_text", "input_value", "text_content"}
SHOWN |= {f"is_{state}" for state in ("visible", "hidden", "enabled", "disabled", "checked", "editable")}


def momentary(source: str) -> list[int]:
    """Lines of the assertions that read once what a browser shows, instead of waiting until it holds."""
    asserted = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assert)]
    return [node.lineno for node in asserted if any(_is_reading(part) for part in ast.walk(node.test))]


def _is_reading(node: ast.AST) -> bool:
    is_call = isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in SHOWN
    return is_call and not (node.func.attr == "count" and node.args)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("assert page.get_by_role('button').first.is_visible()", [1]),
        ("assert not page.locator('.card').count()", [1]),
        ("assert text.count('a') == 1", []),
        ("expect(page.locator('.card')).to_have_count(0)", []),
        ("until(page, lambda: page.locator('h1').inner_text() == 'Leaks')", []),
    ],
)
def test_an_assertion_on_one_look_at_the_browser_is_seen(body: str, expected: list[int]) -> None:
    assert momentary(body) == expected


def test_no_journey_asserts_one_look_at_the_browser() -> None:
    paths = sorted((ROOT / "tests" / "journeys").glob("*.py"))
    assert len(paths) > 8
    found = {path.name: momentary(path.read_text(encoding="utf-8")) for path in paths}
    assert {name: lines for name, lines in found.items() if lines} == {}, "wait for it: expect(...) or until(...)"


OTHERS = {"benchmarks", "docs", "journeys", "js", "pages", "peers", "rules", "written"}
"""Folders of tests that are named after no package of ours; CONTRIBUTING.md says what lies in each."""


def misplaced(root: Path) -> list[str]:
    """Tests in a folder that mirrors nothing, or about another package than the one whose folder they lie in."""
    packages = {path.parent.name for path in root.glob("whalecam/*/__init__.py")}
    files = {path.relative_to(root / "tests") for path in root.glob("tests/*/**/*.*") if path.suffix != ".pyc"}
    folders = {path.parts[0] for path in files}
    modules = tuple(path.stem for path in root.glob("whalecam/[a-z]*.py"))
    wrong = [f"tests/{name}" for name in sorted(folders - packages - OTHERS)]
    wrong += [f"tests/{path.name}" for path in sorted(root.glob("tests/test_*.py")) if not path.stem.endswith(modules)]
    for name, package in [*((name, f"whalecam.{name}") for name in sorted(packages)), ("benchmarks", "benchmarks")]:
        paths = sorted(root.glob(f"tests/{name}/test_*.py"))
        wrong += [f"tests/{name}/{path.name}" for path in paths if not _imports(path, package)]
    return wrong


def _imports(path: Path, package: str) -> bool:
    """Whether a file imports a package or something in it. The public API and the command line reach all of them."""
    wanted = (package, package.split(".")[0], "tests.commandline")
    names: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return any(name in wanted or name.startswith(f"{package}.") for name in names)


@pytest.mark.parametrize(
    ("name", "source", "expected"),
    [
        ("tests/store/test_rows.py", "from whalecam.store.table import Table", []),
        ("tests/store/test_rows.py", "from whalecam import store", []),
        ("tests/store/test_rows.py", "import whalecam as wc", []),
        ("tests/store/test_rows.py", "from whalecam.stored import rows", ["tests/store/test_rows.py"]),
        ("tests/store/rows.py", "ROWS = 3", []),
        ("tests/storage/test_rows.py", "from whalecam.store import rows", ["tests/storage"]),
        ("tests/journeys/test_rows.py", "", []),
        ("tests/test_run_words.py", "", []),
        ("tests/test_rows.py", "from whalecam.store import rows", ["tests/test_rows.py"]),
    ],
)
def test_a_test_in_the_wrong_folder_is_seen(tmp_path: Path, name: str, source: str, expected: list[str]) -> None:
    for path, content in {"whalecam/store/__init__.py": "", "whalecam/words.py": "", name: source}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(content, encoding="utf-8")
    assert misplaced(tmp_path) == expected


def test_tests_mirror_the_package() -> None:
    assert misplaced(ROOT) == []
