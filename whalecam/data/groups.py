"""What images have in common besides their label: candidates for groups that a split keeps together."""

import os
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from pathlib import Path, PurePosixPath

import pandas as pd

from whalecam.data.faults import fault
from whalecam.data.images import Exif, read_exif
from whalecam.data.placeholders import is_placeholder
from whalecam.data.table import OK, Dataset

INDIVIDUAL, DAY = "individual", "day"
ALIASES: Mapping[str, tuple[str, ...]] = {
    "source": ("source", "datasource", "dataset", "provider", "institution", "collection", "origin", "project"),
    "photographer": ("photographer", "author", "observer", "user", "username", "owner", "recordedby", "rightsholder"),
    "camera": ("camera", "cameraid", "cameramodel", "device", "deviceid", "deployment", "deploymentid"),
    DAY: ("day", "date", "datetime", "timestamp", "datetaken", "observedon", "eventdate", "captureddate"),
    "place": ("place", "site", "location", "locationid", "locality", "station", "siteid", "locationname"),
}
"""Column names that mean a kind of group, without blanks, `_` and upper case."""
COORDINATES = (("latitude", "lat", "decimallatitude"), ("longitude", "lon", "lng", "long", "decimallongitude"))
DECIMALS = 2
"""Of degrees that places are rounded to: about a kilometre."""
MOST_SOURCES = 50
"""Beginnings of file names from which on they are no sources."""
SMALLEST_SOURCE = 3.0
"""Images of a mean source that file names show."""
LEAST_SHARE = 0.1
"""Of the rows that file names must show a source or a day of, so that they are no chance."""
DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)([-_.:]?)(\d\d)\2(\d\d)(?=\d{6}(?!\d)|\D|$)")
BEGINNING = re.compile(r"([^\W\d_]{2,}(?:[ _-][^\W\d_]+)*)[ _.-]*\d")
HASH = re.compile(r"(?=.*[a-f])[0-9a-f-]{12,}", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A way to group images.

    Attributes:
        name: as `--group` takes it.
        origin: where it comes from, in words.
        values: of each row of the table, in its order; empty where it is unknown.
        is_provenance: whether it states where images come from. A folder or another column may be the label itself in
            other words.
    """

    name: str
    origin: str
    values: "pd.Series[str]"
    is_provenance: bool = False

    @property
    def count(self) -> int:
        """How many groups there are."""
        return int(self.values[self.values != ""].nunique())

    @property
    def share(self) -> float:
        """The share of rows that have one."""
        return float((self.values != "").mean()) if len(self.values) else 0.0


def candidates(data: Dataset, *, read_files: bool = True) -> list[Candidate]:
    """All candidates that any row has a value of: KINDS in their order, then other columns of repeated values.

    Args:
        read_files: whether to read the EXIF of all files, for camera, day and place.
    """
    kinds = [KINDS[name](data, read_files) for name in KINDS]
    present = [candidate for candidate in kinds if candidate is not None and candidate.count]
    used = {candidate.origin for candidate in present}
    columns = (_of_column(data, str(name), str(name)) for name in data.others)
    return [*present, *(column for column in columns if column.origin not in used and _is_repeated(column))]


def candidate(data: Dataset, name: str) -> Candidate:
    """The candidate of this name: out of KINDS, the group column itself, or any other column of the table.

    Raises DatasetError where there is none, or fewer than two groups; it lists the candidates that there are.
    """
    wanted = INDIVIDUAL if name == data.columns.group else name
    chosen = KINDS[wanted](data, True) if wanted in KINDS else None
    columns = [column for column in map(str, data.others) if column.casefold() == wanted.casefold()]
    if chosen is None and (wanted in columns or len(columns) == 1):
        chosen = _of_column(data, wanted if wanted in columns else columns[0], wanted)
    if chosen is not None and chosen.count > 1:
        return chosen
    listed = [f"{other.name} ({other.count:,} groups, {other.origin})" for other in candidates(data) if other.count > 1]
    what = f"only {chosen.count} group of '{name}'" if chosen is not None and chosen.count else f"no group '{name}'"
    known = f"There are: {', '.join(listed)}." if listed else "The table, names and EXIF show no groups."
    raise fault(f"{data.csv.name} has {what}. {known}")


def _individual(data: Dataset, read_files: bool) -> Candidate | None:
    return Candidate(name=INDIVIDUAL, origin=f"column {data.columns.group}", values=data.table["group"])


def _folder(data: Dataset, read_files: bool) -> Candidate | None:
    """The folders of each file below the image folder; without the one that has the name of the label."""
    if data.images is None:
        paths: Iterable[str] = (image.replace("\\", "/") for image in data.table["image"])
    else:
        start = len(os.path.join(data.images, ""))  # noqa: PTH118  a million times
        paths = (path[start:].replace(os.sep, "/") for path in data.table["path"])
    values = [_without_label(path, label) for path, label in zip(paths, data.table["label"], strict=True)]
    return Candidate(name="folder", origin="folders", values=_series(data, values))


def _without_label(path: str, label: str) -> str:
    folders, own = path.split("/")[:-1], _bare(label)
    return "/".join(part for part in folders if _bare(part) != own)


def _source(data: Dataset, read_files: bool) -> Candidate | None:
    """A column, else how file names begin, if that is a few words that are not the label."""
    if column := _by_alias(data, "source"):
        return column
    values = _series(data, map(_beginning, data.table["image"], data.table["label"]))
    chosen = Candidate(name="source", origin="file names", values=values)
    mean = chosen.share * len(values) / max(chosen.count, 1)
    is_likely = 1 < chosen.count <= MOST_SOURCES and mean >= SMALLEST_SOURCE and chosen.share >= LEAST_SHARE
    return chosen if is_likely else None


def _beginning(image: str, label: str) -> str:
    match = BEGINNING.match(_stem(image))
    return match[1] if match is not None and _bare(match[1]) != _bare(label) else ""


def _stem(image: str) -> str:
    """The bare file name; empty for a hash, whose letters and digits mean nothing."""
    stem = PurePosixPath(image.replace("\\", "/")).stem
    return "" if HASH.fullmatch(stem) else stem


def _photographer(data: Dataset, read_files: bool) -> Candidate | None:
    return _by_alias(data, "photographer")


def _camera(data: Dataset, read_files: bool) -> Candidate | None:
    """A column, else make, model and serial number of EXIF."""
    return _by_alias(data, "camera") or _by_exif(data, "camera", read_files, lambda exif: exif.camera)


def _day(data: Dataset, read_files: bool) -> Candidate | None:
    """A column, else EXIF, else a date in the file names."""
    if column := _by_alias(data, DAY):
        days = column.values.map(lambda text: day_of(text) or re.split(r"[ T]", text)[0])
        return Candidate(name=DAY, origin=column.origin, values=days, is_provenance=True)
    if (shot := _by_exif(data, DAY, read_files, lambda exif: day_of(exif.time))) and shot.count:
        return shot
    values = _series(data, (day_of(_stem(image)) for image in data.table["image"]))
    chosen = Candidate(name=DAY, origin="dates in file names", values=values, is_provenance=True)
    return chosen if chosen.share >= LEAST_SHARE else None


def _place(data: Dataset, read_files: bool) -> Candidate | None:
    """A column, else columns of coordinates, else the coordinates of EXIF."""
    if column := _by_alias(data, "place"):
        return column
    latitude, longitude = (_first(data, names) for names in COORDINATES)
    if latitude and longitude:
        degrees = [pd.to_numeric(data.others[name], errors="coerce") for name in (latitude, longitude)]
        values = _series(data, map(_rounded, *degrees))
        origin = f"columns {latitude} and {longitude}, rounded to {10**-DECIMALS:g}°"
        return Candidate(name="place", origin=origin, values=values, is_provenance=True)
    return _by_exif(data, "place", read_files, lambda exif: _rounded(*exif.place) if exif.place else "")


KINDS: Mapping[str, Callable[[Dataset, bool], Candidate | None]] = {
    INDIVIDUAL: _individual,
    "folder": _folder,
    "source": _source,
    "photographer": _photographer,
    "camera": _camera,
    DAY: _day,
    "place": _place,
}
"""Kinds of groups by name: a function of the data set, and of whether files may be read; None where there is none."""


def day_of(text: str) -> str:
    """The first date in a text, in ISO 8601; empty without one. A date is written year, month, day."""
    for year, _, month, day in DATE.findall(text):
        with suppress(ValueError):
            return date(int(year), int(month), int(day)).isoformat()
    return ""


def _rounded(latitude: float, longitude: float) -> str:
    if not (abs(latitude) <= 90 and abs(longitude) <= 180):  # NaN too
        return ""
    return f"{latitude:.{DECIMALS}f}, {longitude:.{DECIMALS}f}"


def _by_alias(data: Dataset, kind: str) -> Candidate | None:
    column = _first(data, ALIASES[kind])
    return None if column is None else _of_column(data, column, kind)


def _first(data: Dataset, names: Iterable[str]) -> str | None:
    """The first of these names that is the name of a column."""
    present = {_bare(str(name)): str(name) for name in reversed(list(data.others))}
    return next((present[name] for name in names if name in present), None)


def _of_column(data: Dataset, column: str, name: str) -> Candidate:
    cells = data.others[column].str.strip()
    unknown = [value for value in cells.unique() if is_placeholder(value)]
    values = _series(data, cells.mask(cells.isin(unknown), ""))
    return Candidate(name=name, origin=f"column {column}", values=values, is_provenance=name in ALIASES)


def _by_exif(data: Dataset, name: str, read_files: bool, value: Callable[[Exif], str]) -> Candidate | None:
    if data.images is None or not read_files:
        return None
    values = _series(data, map(value, exif_of(data)))
    return Candidate(name=name, origin="EXIF", values=values, is_provenance=True)


def exif_of(data: Dataset) -> list[Exif]:
    """What the camera wrote into the file of each row; empty for a row that cannot be used."""
    usable = data.table["status"] == OK
    paths = data.table["path"].where(usable, "")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(_exif, paths, chunksize=64))


def _exif(path: str) -> Exif:
    try:
        state = Path(path).stat() if path else None
    except OSError:
        state = None
    return Exif() if state is None else _exif_once(path, state.st_size, state.st_mtime_ns)


@lru_cache(maxsize=200_000)
def _exif_once(path: str, size: int, changed: int) -> Exif:
    return read_exif(Path(path))


def _series(data: Dataset, values: Iterable[str]) -> "pd.Series[str]":
    return pd.Series(list(values), index=data.table.index, dtype=str)


def _is_repeated(column: Candidate) -> bool:
    """Whether values of a column recur, so that it may group images; numbers that differ everywhere do not."""
    known = int((column.values != "").sum())
    return 1 < column.count <= known / 2


def _bare(text: str) -> str:
    return "".join(letter for letter in text.casefold() if letter.isalnum())
