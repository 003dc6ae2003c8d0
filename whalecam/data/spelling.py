"""Which ways of writing a path mean the same file, and how two of them differ."""

import re
import unicodedata
from collections.abc import Sequence
from urllib.parse import unquote

from whalecam.config import IMAGE_SUFFIXES, UNREAD_SUFFIXES

CASE, EXTENSION_MISSING, EXTENSION_OTHER = "case", "extension missing", "extension other"
SEPARATOR, UNICODE, PERCENT = "separator", "unicode", "percent encoding"
ZEROS, BLANKS, PREFIX, ENDING = "leading zeros", "blanks", "prefix", "ending"
SENTENCES = {
    CASE: "in another case",
    EXTENSION_MISSING: "without their extension",
    EXTENSION_OTHER: "with another extension",
    SEPARATOR: "with `\\` for `/`",
    UNICODE: "in another Unicode form",
    PERCENT: "with percent signs for letters",
    ZEROS: "with other leading zeros",
    BLANKS: "without blanks around them",
    PREFIX: "by the end of a path of another machine",
    ENDING: "with an ending",
}
"""How names of each kind of difference were matched, after `12 of 24 names matched …`."""
SUFFIXES = frozenset((*IMAGE_SUFFIXES, *UNREAD_SUFFIXES))
BLANK = re.compile(r"\s*/\s*")
BLOCK = 1_000
"""Paths that are looked at together."""
DOUBLED = re.compile(r"^(?:\.[/\\]+)+|(?<=[/\\])[/\\]+")


def is_plain(path: str) -> bool:
    """Whether `plain` leaves a path as it is; not for certain, but quickly."""
    if not (path.isascii() and path.isprintable()):
        return False
    return " " not in path and "%" not in path and "\\" not in path and "//" not in path and "./" not in path


def plain(path: str) -> str:
    """A path with `/`, without `./`, as composed Unicode without percent encoding and surrounding blanks."""
    if is_plain(path):
        return path
    if "%" in path:
        path = unquote(path)
    path = _slashed(path)
    if not path.isascii():
        path = unicodedata.normalize("NFC", path)
    return _bare(path).removeprefix("./")


def folded(path: str) -> str:
    """`plain`, in lower case."""
    if is_plain(path):
        return path.lower()
    path = plain(path).casefold()
    return path if path.isascii() else unicodedata.normalize("NFC", path)


def folded_all(paths: Sequence[str]) -> list[str]:
    """`folded` of each path; a block of plain ones at once, which takes a tenth of the time."""
    results: list[str] = []
    for start in range(0, len(paths), BLOCK):
        block = paths[start : start + BLOCK]
        # What is not plain in a path is not plain in all of them together, and what is plain has no NUL.
        results += "\0".join(block).lower().split("\0") if is_plain("".join(block)) else map(folded, block)
    return results


def split_extension(path: str) -> tuple[str, str]:
    """Stem, folders included, and the extension with its dot, which is empty where it is not that of an image."""
    at = path.rfind(".")
    if at < 1 or path[at - 1] == "/" or path[at:].lower() not in SUFFIXES:
        return path, ""
    return path[:at], path[at:]


def without_zeros(stem: str) -> str:
    """A stem that is a number loses its leading zeros, as in spreadsheets; `0` stays."""
    at = stem.rfind("/") + 1
    if stem[at : at + 1] != "0" or not stem[at:].isdecimal():
        return stem
    return stem[:at] + (stem[at:].lstrip("0") or "0")


def without_ending(stem: str, endings: tuple[str, ...]) -> str:
    """A stem without the first of the endings that it has, but never without all of its name."""
    for ending in endings:
        if stem.endswith(ending) and not stem[: -len(ending)].endswith("/") and stem != ending:
            return stem[: -len(ending)]
    return stem


def differences(name: str, file: str, *, by_stem: bool = False, endings: tuple[str, ...] = ()) -> tuple[str, ...]:
    """How the spelling of a name differs from that of a file with the same loose key; empty where it does not.

    Args:
        by_stem: both are files of different kinds, such as an image and its mask, so that no extension is a difference.
        endings: what may follow the name in the stem of the file, in lower case.
    """
    kinds: list[str] = []
    if not (is_plain(name) and is_plain(file)):
        name, file = _written(kinds, name, file)
    elif name.lower() == file.lower() and name != file and not (by_stem or endings):
        return (CASE,)
    if name == file:
        return tuple(dict.fromkeys(kinds))
    name, file, extension = _stems(name, file)
    if extension and not by_stem:
        kinds.append(extension)
    if name == file:
        return tuple(dict.fromkeys(kinds))
    name, file = _step(kinds, CASE, name, file, folded(name), folded(file))
    name, file = _step(kinds, ENDING, name, file, name, without_ending(file, endings))
    _step(kinds, ZEROS, name, file, without_zeros(name), without_zeros(file))
    return tuple(dict.fromkeys(kinds))


def _written(kinds: list[str], name: str, file: str) -> tuple[str, str]:
    """Both as `plain` gives them, and the differences on the way."""
    name, file = DOUBLED.sub("", name), DOUBLED.sub("", file)
    name, file = _step(kinds, SEPARATOR, name, file, _slashed(name), _slashed(file))
    name, file = _step(kinds, BLANKS, name, file, _bare(name), _bare(file))
    name, file = _step(kinds, PERCENT, name, file, unquote(name), unquote(file))
    name, file = _step(kinds, BLANKS, name, file, _bare(name), _bare(file))
    return _step(kinds, UNICODE, name, file, _composed(name), _composed(file))


def _step(kinds: list[str], kind: str, name: str, file: str, new_name: str, new_file: str) -> tuple[str, str]:
    """Both after a normalisation, which counts where they differed and it changed them."""
    if name != file and (new_name != name or new_file != file):
        kinds.append(kind)
    return new_name, new_file


def _stems(name: str, file: str) -> tuple[str, str, str]:
    """The parts of both that must agree, and how the extensions differ; empty where they do not."""
    stem, extension = split_extension(file)
    own_stem, own = split_extension(name)
    if own == extension:
        return own_stem, stem, ""
    if own.lower() == extension.lower():
        return own_stem, stem, CASE
    if not own or folded(name) == folded(stem):
        return name, stem, EXTENSION_MISSING
    return own_stem, stem, EXTENSION_OTHER


def _slashed(path: str) -> str:
    path = path.replace("\\", "/") if "\\" in path else path
    return DOUBLED.sub("", path) if "//" in path or "./" in path else path


def _bare(path: str) -> str:
    return BLANK.sub("/", path.strip()) if not path.isascii() or " " in path or "\t" in path else path


def _composed(path: str) -> str:
    return unicodedata.normalize("NFC", path)
