"""Which file below a folder each row of a table means."""

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from whalecam.config import IMAGE_SUFFIXES, UNREAD_SUFFIXES
from whalecam.data.images import MISSING, ZERO
from whalecam.data.match_report import report_of
from whalecam.data.matching import ABSOLUTE, LOOSE, Match, MatchReport, match

OUTSIDE, SEVERAL, CLAIMED = "path outside the folder", "several files of this name", "file of another row"
SUFFIXES = (*IMAGE_SUFFIXES, *UNREAD_SUFFIXES)


@dataclass(frozen=True)
class FileJoin:
    """The files of the rows of a table.

    Attributes:
        paths: of each row, empty where it has no file that can be used.
        reasons: of each row, why it has none; empty where it has one. Both are empty where there is no folder.
        report: what became of all names, and of all image files in the folder; None where there is no folder.
    """

    paths: list[str]
    reasons: list[str]
    report: MatchReport | None = None


def join(names: Iterable[str], folder: Path | None) -> FileJoin:
    """Find the file of each name by `matching.match`. Never raises, and never leaves the folder.

    Files whose extension is not that of an image only count where a name is theirs in full.
    """
    names = list(names)
    if folder is None:
        return FileJoin([""] * len(names), [""] * len(names))
    images, others = _files_below(folder)
    matches, report = _matched(names, images, others, folder)
    start = os.path.join(folder, "")  # noqa: PTH118  once for all rows
    checked = {
        name: _checked(name, result, folder, start) for name, result in dict(zip(names, matches, strict=True)).items()
    }
    return FileJoin([checked[name][0] for name in names], [checked[name][1] for name in names], report)


def _matched(
    names: Sequence[str], images: Sequence[str], others: Sequence[str], folder: Path
) -> tuple[list[Match], MatchReport]:
    wanted = set(names)
    files = [*images, *(file for file in others if file in wanted)]
    matches, report = match(names, files, home=folder)
    left = list(dict.fromkeys(name for name, result in zip(names, matches, strict=True) if result == Match()))
    if not left or not others:
        return matches, report
    more = {
        name: result for name, result in zip(left, match(left, others, home=folder)[0], strict=True) if _is_sure(result)
    }
    by_name = dict(zip(names, matches, strict=True)) | more
    used = dict.fromkeys(result.file for result in more.values())
    return [by_name[name] for name in names], report_of(names, by_name, [*files, *used])


def _is_sure(result: Match) -> bool:
    return bool(result.file) and not LOOSE & set(result.differences)


def _checked(name: str, result: Match, folder: Path, start: str) -> tuple[str, str]:
    """Path and reason; a link out of the folder and a file of no bytes are refused. `start`: of the paths in it."""
    if not result.file:
        if result.candidates:
            return "", CLAIMED if result.is_claimed else SEVERAL
        return "", OUTSIDE if _leads_out(name) else MISSING
    path = start + result.file  # 51,033 Path objects would cost a second
    try:
        state = os.lstat(path)  # 51,033 times
        if stat.S_ISLNK(state.st_mode):
            if not Path(path).resolve().is_relative_to(folder.resolve()):
                return "", OUTSIDE
            state = os.stat(path)  # noqa: PTH116
        return (path, "") if state.st_size else ("", ZERO)
    except (OSError, RuntimeError, ValueError):  # RuntimeError: links in a circle
        return "", MISSING


def _leads_out(name: str) -> bool:
    return ".." in name.replace("\\", "/").split("/") or ABSOLUTE.match(name.lstrip()) is not None


def _files_below(folder: Path) -> tuple[list[str], list[str]]:
    """The relative paths of image files below the folder, read or not, and of all other files; none that is hidden."""
    images: list[str] = []
    others: list[str] = []
    start = len(os.path.join(folder, ""))  # noqa: PTH118  of a folder such as "." or "/" too
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = f"{root[start:]}/".replace(os.sep, "/") if len(root) >= start else ""
        for name in sorted(files):
            if not name.startswith("."):
                (images if name.lower().endswith(SUFFIXES) else others).append(below + name)
    return images, others
