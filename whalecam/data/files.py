"""Which file below a folder a name in the CSV means."""

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from whalecam.config import IMAGE_SUFFIXES
from whalecam.data.images import MISSING, ZERO

OUTSIDE, SEVERAL = "path outside the folder", "several files of this name"


def join(names: Iterable[str], folder: Path | None) -> tuple[list[str], list[str]]:
    """Path and reason of each name, one of them empty; both where there is no folder to look in. Never raises.

    A name is a path below the folder, or the end of one, or begins with the folder's own ("images/a.jpg" where the
    folder is `images`). Every part of a name counts: the path of the file, the folder's own included, ends with all of
    it. So `val/orca/000.jpg` is never `orca/000.jpg` in the folder `train`: that is another image.
    """
    if folder is None:
        count = len(list(names))
        return [""] * count, [""] * count
    exact, by_name = _files_of(folder)
    # As it was named and with links followed: a name may begin with either.
    homes = tuple({place.as_posix() for place in (folder.absolute(), folder.resolve())})
    pairs = [_find(name, folder, exact, by_name, homes) for name in names]
    return [path for path, _ in pairs], [reason for _, reason in pairs]


def _find(
    name: str, folder: Path, exact: dict[str, str], by_name: dict[str, list[str]], homes: tuple[str, ...]
) -> tuple[str, str]:
    if name in exact:
        return _checked(exact[name], folder)
    if _leads_out(name):
        return "", OUTSIDE
    plain = name.replace("\\", "/").removeprefix("./")
    if plain in exact:
        return _checked(exact[plain], folder)
    same = [path for path in by_name.get(plain.rpartition("/")[2], []) if _agree(plain, path, homes)]
    if len(same) > 1:
        return "", SEVERAL
    return _checked(exact[same[0]], folder) if same else ("", MISSING)


def _agree(name: str, path: str, homes: tuple[str, ...]) -> bool:
    """Whether the whole path of a file ends with all parts of a name."""
    return any(f"{home}/{path}".endswith(f"/{name}") for home in homes)


def _leads_out(name: str) -> bool:
    parts = name.replace("\\", "/").split("/")
    return ".." in parts or name.startswith(("/", "\\", "~")) or name[1:2] == ":"


def _checked(path: str, folder: Path) -> tuple[str, str]:
    """Refuse a link out of the folder and a file of no bytes."""
    try:
        if os.path.islink(path) and not Path(path).resolve().is_relative_to(folder.resolve()):  # noqa: PTH114  speed
            return "", OUTSIDE
        return (path, "") if os.stat(path).st_size else ("", ZERO)  # noqa: PTH116  51,033 times
    except (OSError, RuntimeError):  # RuntimeError: links in a circle
        return "", MISSING


def _files_of(folder: Path) -> tuple[dict[str, str], dict[str, list[str]]]:
    """Every image file below the folder: its path by the path relative to the folder, and those by bare name."""
    exact: dict[str, str] = {}
    by_name: dict[str, list[str]] = defaultdict(list)
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if name.lower().endswith(IMAGE_SUFFIXES):
                path = os.path.join(root, name)  # noqa: PTH118  51,033 Path objects would cost a second
                relative = os.path.relpath(path, folder).replace(os.sep, "/")
                exact[relative] = path
                by_name[name].append(relative)
    return exact, by_name
