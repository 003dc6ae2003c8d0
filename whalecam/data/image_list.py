"""Images that people list in a file: names, a line each, or a table with a column of them."""

from dataclasses import dataclass
from pathlib import Path

from whalecam.data.columns import IMAGE_ALIASES
from whalecam.data.csv_text import restored
from whalecam.data.faults import fault
from whalecam.data.match_report import short
from whalecam.data.matching import match
from whalecam.data.readers.tables import TableContents, read_table
from whalecam.data.table import Dataset

LISTS = (".txt", ".lst")


@dataclass(frozen=True, kw_only=True)
class ImageList:
    """Images of a data set that a file names; `note` is how many of its names are none, empty where all are."""

    images: tuple[str, ...]
    note: str


def read_image_list(path: Path, data: Dataset) -> ImageList:
    """Read a list of images and join it with those of a data set by `matching.match`.

    A text file (`.txt`, `.lst`) has a name on each line; anything else is a table with a column of names, such as the
    verdict file. Raises DatasetError, in one line, for what is neither, and where no name is an image of the data set.
    """
    if not path.is_file():
        raise fault(f"There is no file {path}. Give a table with the column image, or a text file of names.")
    names = lines(path) if path.suffix.lower() in LISTS else _named(path, data)
    images = [image for image in dict.fromkeys(data.table["image"]) if image]
    matches, report = match(names, images, home=data.images)
    if not report.matched:
        raise fault(f"{path.name}: none of {len(names):,} names is one of the {len(images):,} images. {report.reason}")
    unknown = list(dict.fromkeys(name for name, outcome in zip(names, matches, strict=True) if not outcome.file))
    known = tuple(dict.fromkeys(outcome.file for outcome in matches if outcome.file))
    if not unknown:
        return ImageList(images=known, note="")
    count = "1 name is not an image" if len(unknown) == 1 else f"{len(unknown):,} names are not images"
    return ImageList(images=known, note=f"{path.name}: {count} of the data set, such as {short(unknown[0])}.")


def lines(path: Path) -> list[str]:
    """The lines of a text file that are neither empty nor a comment. Raises DatasetError where it is no UTF-8."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise fault(f"{path.name} cannot be read as UTF-8 text.") from error
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def column_among(contents: TableContents, names: tuple[str, ...]) -> str | None:
    """The first of `names` that is a column of a table, in any case; None without one."""
    present = {str(column).casefold(): str(column) for column in contents.frame.columns}
    return next((present[name.casefold()] for name in names if name.casefold() in present), None)


def image_names(contents: TableContents, data: Dataset) -> tuple[str, ...]:
    """What a column of image names may be called beside a data set."""
    return (contents.image or "", data.columns.image, "image", *IMAGE_ALIASES)


def _named(path: Path, data: Dataset) -> list[str]:
    contents = read_table(path)
    column = column_among(contents, image_names(contents, data))
    if column is None:
        has = ", ".join(str(name)[:40] for name in contents.frame.columns[:12])
        raise fault(f"{path.name} needs a column of image names, such as image. It has: {has}.")
    return [name for name in (restored(cell) for cell in contents.frame[column].str.strip()) if name]
