"""What comes back from other tools: the verdicts of a file as rows that `csv.merge` takes in."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import pandas as pd

from whalecam.config import REVIEW_VERDICTS
from whalecam.data.matching import match
from whalecam.errors import ReviewError
from whalecam.output.csv.flagcsv import COLUMNS, NUMBERS, REVIEWED, THRESHOLDS
from whalecam.output.interchange.outgoing import Cells, Item

WORDS = ("verdict", "reason", "note", "suggested_label")
SEVERAL = "several verdicts stand there: {}. Leave one of them"
UNSIGNED = "its verdict was changed there, and the file does not state by whom. Give the reviewer (--reviewer NAME)"
SENT = "whalecam"
"""Under this name, each format carries the row of the verdict file that went out."""


class Given(NamedTuple):
    """A verdict as another tool has it; empty where it states nothing."""

    verdict: str = ""
    reason: str = ""
    note: str = ""
    suggested_label: str = ""
    reviewer: str = ""
    reviewed_at: str = ""


@dataclass(frozen=True, kw_only=True)
class Returned:
    """One image of a file.

    Attributes:
        file: the name or path of the image, as the file has it.
        sent: the row of the verdict file that went out with it; empty where the file has none.
        given: the verdicts that stand there now.
    """

    file: str
    sent: Cells
    given: Sequence[Given] = ()


def plain(text: str) -> str:
    """A text without what some formats cannot hold: control characters and the width of blanks."""
    return " ".join("".join(sign if sign.isprintable() or sign.isspace() else " " for sign in text).split())


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a file of another tool holds.

    Attributes:
        format: as messages name it.
        images: one after the other, as in the file.
        places: where verdicts may stand in such a file, as in `the tags flag, keep and unsure`.
        shown: a text as the format shows it; two texts that it shows alike count as the same.
    """

    format: str
    images: Sequence[Returned]
    places: str
    shown: Callable[[str], str] = plain


def verdict_frame(contents: Contents, known: Collection[str], reviewer: str = "") -> pd.DataFrame:
    """The verdicts as `csv.read_csv` returns them, so that `csv.merge` takes them in; index = image in the file.

    A verdict that stands as it went out keeps its reviewer and its moment. Another one belongs to whom the file names
    for it; where it names nobody new, to `reviewer`, given now, and without a reviewer it is refused.

    Args:
        known: names of the images of the run.

    Raises ReviewError where the file holds no verdict at all.
    """
    if not any(item.sent.get("verdict") or any(any(given[:4]) for given in item.given) for item in contents.images):
        raise ReviewError(
            f"The file is {contents.format} of {len(contents.images):,} images and has no verdict. Verdicts may "
            f"stand in {contents.places}."
        )
    names = _names(contents.images, set(known))
    refused: list[dict[str, Any]] = []
    rows: list[tuple[int, dict[str, Any]]] = []
    for at, item in enumerate(contents.images, 1):
        try:
            rows += [(at, {**row, "image": names[at - 1]}) for row in _verdicts(item, contents.shown, reviewer)]
        except ReviewError as error:
            refused.append({"row": at, "image": names[at - 1], "why": str(error)})
    index = pd.Index([at for at, _ in rows], name="row", dtype=int)
    columns = {name: [cells.get(name) for _, cells in rows] for name in COLUMNS}
    frame = pd.DataFrame({name: _column(name, cells, index) for name, cells in columns.items()})
    frame.attrs["refused"] = refused
    return frame


def words_of(item: Item) -> dict[str, str]:
    """The verdict of an item that has one: REVIEWED without what is empty."""
    words = {name: item.text(name) for name in REVIEWED if item.text(name)}
    return words if "verdict" in words else {}


def given_of(values: Mapping[str, object]) -> Given:
    """The verdict among the values of a tool; what is no text counts as empty."""
    words = [value if isinstance(value := values.get(name), str) else "" for name in REVIEWED]
    return Given(words[0].strip().lower(), *words[1:])


def verdict_of(tag: Any) -> str:
    """A tag as one of REVIEW_VERDICTS, in any case; empty where it is another tag."""
    word = tag.strip().lower() if isinstance(tag, str) else ""
    return word if word in REVIEW_VERDICTS else ""


def sent_cells(text: Any) -> dict[str, str | float]:
    """The row that went out, from a JSON object or its text; empty for anything else."""
    if isinstance(text, str):
        try:
            text = json.loads(text)
        except (ValueError, RecursionError):
            return {}
    if not isinstance(text, Mapping):
        return {}
    return {
        name: float(value) if name in NUMBERS else str(value)
        for name, value in text.items()
        if name in COLUMNS and isinstance(value, (int | float) if name in NUMBERS else str)
    }


def _verdicts(item: Returned, shown: Callable[[str], str], reviewer: str) -> Iterator[dict[str, Any]]:
    """The rows of one image: what went out with it, and what was given there since.

    Raises ReviewError where verdicts that nobody signed contradict each other, or where nobody signs one.
    """
    new = [given for given in item.given if any(given[:4]) and not _is_sent(given, item.sent, shown)]
    signed = [given for given in new if _is_signed(given, item.sent)]
    rest = [given for given in new if not _is_signed(given, item.sent)]
    verdicts = dict.fromkeys(given.verdict for given in rest)
    if len(verdicts) > 1:
        raise ReviewError(SEVERAL.format(", ".join(name or "a reason without one" for name in verdicts)))
    if rest and not reviewer.strip():
        raise ReviewError(UNSIGNED)
    if item.sent.get("verdict") or not new:
        yield dict(item.sent)
    looked_at = {name: item.sent[name] for name in THRESHOLDS if name in item.sent}
    for given in signed:
        moment = "" if _is_moment(given.reviewed_at, item.sent) else given.reviewed_at
        yield {**looked_at, **given._asdict(), "reviewed_at": moment}
    if rest:
        fullest = max(rest, key=lambda given: sum(map(bool, given[:4])))
        yield {**looked_at, **fullest._asdict(), "reviewer": reviewer, "reviewed_at": ""}


def _is_sent(given: Given, sent: Cells, shown: Callable[[str], str]) -> bool:
    """Whether it is what went out, as far as the tool states it; what it leaves empty takes nothing back."""
    same = (
        not shown(word) or shown(word) == shown(str(sent.get(name, "")))
        for name, word in zip(WORDS, given[:4], strict=True)
    )
    return bool(sent.get("verdict")) and all(same) and not _is_signed(given, sent)


def _is_signed(given: Given, sent: Cells) -> bool:
    """Whether the tool states who gave it, beyond what went out: another person, or the same at another moment."""
    is_same_person = plain(given.reviewer) == plain(str(sent.get("reviewer", "")))
    is_known = is_same_person and (not given.reviewed_at or _is_moment(given.reviewed_at, sent))
    return bool(given.reviewer.strip()) and not is_known


def _is_moment(text: str, sent: Cells) -> bool:
    """Whether a moment is the one that went out, however it is written."""
    known = str(sent.get("reviewed_at", ""))
    try:
        return datetime.fromisoformat(text) == datetime.fromisoformat(known)
    except (ValueError, TypeError):
        return text == known


def _names(images: Sequence[Returned], known: set[str]) -> list[str]:
    """The image of the run that each is: by the name that went out with it, else by its file."""
    sent = [str(item.sent.get("image", "")) for item in images]
    left = [item.file for item, name in zip(images, sent, strict=True) if not name]
    matches = dict(zip(left, match(left, sorted(known))[0], strict=True))
    return [
        name or (item.file if item.file in known else matches[item.file].file or item.file)
        for item, name in zip(images, sent, strict=True)
    ]


def _column(name: str, cells: Sequence[Any], index: "pd.Index[int]") -> "pd.Series[Any]":
    if name in NUMBERS:
        return pd.Series([float("nan") if cell is None else cell for cell in cells], index, dtype=float)
    return pd.Series(["" if cell is None else str(cell) for cell in cells], index, dtype="str")
