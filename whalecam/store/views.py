"""Filters and orders of a run's lists that people gave a name."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from whalecam.errors import RunError
from whalecam.store.json_file import read_json, write_json

MAX_VIEWS = 100
MAX_NAME = 60
FieldValue = str | int | Sequence[str] | None
_writing = threading.Lock()


@dataclass(frozen=True)
class SavedView:
    """What a list shows, under a name.

    Attributes:
        of: the list, as `leaks`.
        fields: its fields, without the name of the list, each with its value.
    """

    name: str
    of: str
    fields: Mapping[str, FieldValue]


def views_in(file: Path) -> list[SavedView]:
    """The views of all lists, by name; none where there is no file. Raises RunError for a file that is none."""
    if not file.is_file():
        return []
    try:
        rows = [SavedView(str(row["name"]), str(row["of"]), dict(row["fields"])) for row in read_json(file)["views"]]
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{file} does not contain views. Restore it from a copy, or delete it.") from error
    return sorted(rows, key=lambda view: (view.of, view.name.lower()))


def save_view(file: Path, view: SavedView) -> None:
    """Keep a view, in place of that of the same list and name.

    Raises RunError without a name, for one of more than MAX_NAME letters, and where there are MAX_VIEWS already.
    """
    if not view.name.strip() or len(view.name) > MAX_NAME:
        raise RunError(f"A view needs a name of 1 to {MAX_NAME} letters.")
    with _writing:
        others = [other for other in views_in(file) if (other.of, other.name) != (view.of, view.name)]
        if len(others) >= MAX_VIEWS:
            raise RunError(f"This run has {MAX_VIEWS} views already. Delete one that nobody needs.")
        _write(file, [*others, view])


def remove_view(file: Path, view: SavedView) -> None:
    """Forget a view; nothing happens where somebody else has done so."""
    with _writing:
        _write(file, [other for other in views_in(file) if (other.of, other.name) != (view.of, view.name)])


def _write(file: Path, views: Sequence[SavedView]) -> None:
    write_json(file, {"views": [asdict(view) for view in views]})
