"""The JavaScript and CSS of the components, as files beside them.

Streamlit takes a component's JavaScript as one string, or as files that it finds through the metadata of an installed
package: not before `pip install`, and only once its server runs. Hence the modules that a component imports are put
into one script here.
"""

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

_HERE = Path(__file__).parent
_IMPORT = re.compile(r'^import \{\s*([\w$]+(?:,\s*[\w$]+)*),?\s*\} from "(\.{1,2}/[^"\n]+\.js)";?[ \t]*$', re.M)
_EXPORT = re.compile(r"^export (?=(?:async )?function\b|class\b|const\b|let\b)", re.M)
_DEFAULT = re.compile(r"^export default (?=(?:async )?function\b)", re.M)
_UNKNOWN = re.compile(r"^\s*(?:import|export)\b.*|\bimport\s*[(.].*", re.M)
_DECLARED = re.compile(
    r"^(export )?(?:export default )?(?:async )?(?:function\b[ *]*|(?:class|const|let|var) )([\w$]+|[{[])", re.M
)


class ModuleError(ValueError):
    """A component's JavaScript says something that `module` does not understand."""


def text(name: str) -> str:
    """A file of this package; `name` is its path relative to it."""
    return (_HERE / name).read_text(encoding="utf-8")


def module(name: str, folder: Path = _HERE) -> str:
    """The ES module `name` of a folder and all that it imports as one script: each file once, what it needs before it.

    Understood are, at the start of a line, `import { a, b } from "./other.js"`, `export` before a function, class,
    const or let, and in the module itself `export default function`. All files then share one scope.

    Raises:
        ModuleError: a file is missing, outside the folder, or imported by what it imports; a name is not exported, or
            stands at the top of two files; or there is any other `import` or `export`.
    """
    files = _in_order(_Module(folder.resolve() / name, folder.resolve()), ())
    _check_scope(files)
    bodies = [_EXPORT.sub("", file.body) for file in files[:-1]] + [files[-1].body]
    # Without the semicolon a file that begins with a bracket would continue the last statement of the one before.
    return "\n;\n".join(bodies) + "\n"


@dataclass(frozen=True)
class _Module:
    path: Path
    folder: Path

    def __str__(self) -> str:
        return self.path.relative_to(self.folder).as_posix()

    @cached_property
    def source(self) -> str:
        if not self.path.is_file():
            raise ModuleError(f"{self}: there is no such file")
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def body(self) -> str:
        """The text without its imports."""
        return _IMPORT.sub("", self.source).strip()

    @cached_property
    def names(self) -> dict[str, bool]:
        """What is declared at the top: name → whether it is exported."""
        return {name: bool(exported) for exported, name in _DECLARED.findall(self.body)}

    @cached_property
    def imports(self) -> list[tuple["_Module", list[str]]]:
        """The modules that this one imports, and which names of each."""
        statements = _IMPORT.findall(self.source)
        return [(self._other(place), re.findall(r"[\w$]+", names)) for names, place in statements]

    def _other(self, place: str) -> "_Module":
        path = (self.path.parent / place).resolve()
        if not path.is_relative_to(self.folder):
            raise ModuleError(f"{self}: {place} is outside the folder of the components")
        return _Module(path, self.folder)


def _in_order(file: _Module, importers: tuple[_Module, ...]) -> list[_Module]:
    """A module behind all that it needs."""
    if file in importers:
        raise ModuleError(f"{file}: is imported by what it imports, {importers[-1]}")
    _check_statements(file, is_imported=bool(importers))
    files: list[_Module] = []
    for other, names in file.imports:
        files += [each for each in _in_order(other, (*importers, file)) if each not in files]
        if missing := [name for name in names if not other.names.get(name)]:
            raise ModuleError(f"{file}: {other} does not export {', '.join(missing)}")
    return [*files, file]


def _check_statements(file: _Module, is_imported: bool) -> None:
    rest = _EXPORT.sub("", file.body)
    unknown = _UNKNOWN.search(rest if is_imported else _DEFAULT.sub("", rest))
    if unknown:
        raise ModuleError(f"{file}: not understood here: {unknown[0].strip()}")
    if not {"{", "["}.isdisjoint(file.names):
        raise ModuleError(f"{file}: a declaration at the top takes a value apart; declare one name at a time")


def _check_scope(files: list[_Module]) -> None:
    """No two modules may declare one name at the top, for in one script they would be one."""
    owners: dict[str, _Module] = {}
    for file in files:
        for name in file.names:
            if name in owners:
                raise ModuleError(f"{name} stands at the top of both {owners[name]} and {file}")
            owners[name] = file
