"""One script of the modules that a component imports."""

from pathlib import Path

import pytest

from whalecam.app.components.assets import ModuleError, module, text


def written(folder: Path, **files: str) -> Path:
    """A folder of modules; `a__b` is the file b.js in the folder a."""
    for name, source in files.items():
        path = folder / f"{name.replace('__', '/')}.js"
        path.parent.mkdir(exist_ok=True)
        path.write_text(source, encoding="utf-8")
    return folder


def lines(script: str) -> list[str]:
    return [line for line in script.splitlines() if line.strip(" ;")]


def test_a_module_without_imports_stays_as_it_is(tmp_path: Path) -> None:
    source = "// Why.\nconst a = 1\n\nexport default function () {\n  return a\n}\n"
    assert module("a.js", written(tmp_path, a=source)) == source


def test_what_is_imported_stands_before_and_is_exported_no_more(tmp_path: Path) -> None:
    folder = written(
        tmp_path,
        one__main='import { a, b } from "../two/other.js"\nexport default function () {\n  return a + b()\n}\n',
        two__other="export const a = 1\nexport async function b() {}\nexport class C {}\nexport let d = 2\n",
    )
    assert lines(module("one/main.js", folder)) == [
        "const a = 1",
        "async function b() {}",
        "class C {}",
        "let d = 2",
        "export default function () {",
        "  return a + b()",
        "}",
    ]


def test_each_module_stands_there_once_and_behind_what_it_needs(tmp_path: Path) -> None:
    folder = written(
        tmp_path,
        main='import { b } from "./b.js"\nimport { c } from "./c.js"\nexport const all = [b, c]\n',
        b='import { d } from "./d.js"\nexport const b = d\n',
        c='import { d } from "./d.js"\nimport { b } from "./b.js"\nexport const c = b + d\n',
        d="export const d = 1\n",
    )
    assert lines(module("main.js", folder)) == [
        "const d = 1",
        "const b = d",
        "const c = b + d",
        "export const all = [b, c]",
    ]


@pytest.mark.parametrize(
    "statement",
    [
        'import { a, b } from "./other.js";',
        'import {\n  a,\n  b,\n} from "./other.js"',
        'import { a } from "./other.js"\nimport { b } from "./other.js"',
    ],
)
def test_imports_may_take_several_lines(tmp_path: Path, statement: str) -> None:
    folder = written(tmp_path, main=f"{statement}\nuse(a, b)\n", other="export const a = 1\nexport const b = 2\n")
    assert lines(module("main.js", folder)) == ["const a = 1", "const b = 2", "use(a, b)"]


def test_a_bracket_does_not_continue_the_module_before(tmp_path: Path) -> None:
    folder = written(tmp_path, main='import { a } from "./other.js"\n[1].map(a)\n', other="export const a = f\n")
    assert "".join(module("main.js", folder).split()) == "consta=f;[1].map(a)"


def test_words_of_a_text_are_no_statements(tmp_path: Path) -> None:
    source = '// They import and export.\nconst words = "import { a }"\nconst imported = words.export\n'
    assert module("main.js", written(tmp_path, main=source)) == source


@pytest.mark.parametrize(
    "statement",
    [
        'import other from "./other.js"',
        'import * as other from "./other.js"',
        'import { a as b } from "./other.js"',
        'import { default as a } from "./other.js"',
        'import "./other.js"',
        "import { a } from './other.js'",
        'import { a } from "other"',
        'import { a } from "/other.js"',
        'import { a } from "./other.json"',
        '  import { a } from "./other.js"',
        'const other = await import("./other.js")',
        "const place = import.meta.url",
        "export { a }",
        'export { a } from "./other.js"',
        'export * from "./other.js"',
        "export var a = 1",
        "export default 1",
        "export default class {}",
        "export const { a } = other",
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, statement: str) -> None:
    folder = written(tmp_path, main=f"const z = 1\n{statement}\n", other="export const a = 1\n")
    with pytest.raises(ModuleError, match=r"^main\.js: "):
        module("main.js", folder)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("const a = 1\n", "main.js: other.js does not export a$"),
        ("export const b = 1\n", "main.js: other.js does not export a$"),
        ("export default function a() {}\n", "other.js: not understood here: export default function a"),
        ("export const a = 1\nconst own = 2\n", "^own stands at the top of both other.js and main.js$"),
        ("export const a = 1\nfunction* own() {}\n", "^own stands at the top of both"),
        ("export const a = 1\nasync function own() {}\n", "^own stands at the top of both"),
        ("export const a = 1\nclass own {}\n", "^own stands at the top of both"),
        ("export const a = 1\nconst [own] = [2]\n", "^other.js: a declaration at the top takes a value apart"),
        (
            'import { own } from "./main.js"\nexport const a = own\n',
            "^main.js: is imported by what it imports, other.js$",
        ),
        ('import { c } from "./none.js"\nexport const a = c\n', "^none.js: there is no such file$"),
        ('import { c } from "../out.js"\nexport const a = c\n', r"^other.js: \.\./out.js is outside the folder"),
    ],
)
def test_modules_that_do_not_fit_together_are_refused(tmp_path: Path, other: str, message: str) -> None:
    (tmp_path / "out.js").write_text("export const c = 1\n")
    (tmp_path / "in").mkdir()
    folder = written(tmp_path / "in", main='import { a } from "./other.js"\nexport const own = a\n', other=other)
    with pytest.raises(ModuleError, match=message):
        module("main.js", folder)


def test_names_within_functions_may_be_the_same(tmp_path: Path) -> None:
    folder = written(
        tmp_path,
        main='import { a } from "./other.js"\nfunction f() {\n  const own = a\n  return own\n}\n',
        other="export function a() {\n  const own = 1\n  return own\n}\n",
    )
    assert module("main.js", folder).count("const own") == 2


def test_a_module_that_is_not_there_is_named() -> None:
    with pytest.raises(ModuleError, match=r"^canvas/none\.js: there is no such file$"):
        module("canvas/none.js")


def test_style_sheets_are_read_as_they_are() -> None:
    assert ".card" in text("gallery/gallery.css")
