"""Verdicts of a file taken into the journal, with a report in which every row of the file stands."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from whalecam.errors import ReviewError
from whalecam.store.reviews import COLUMNS as REVIEW_COLUMNS
from whalecam.store.reviews import Earlier, Journal, Review, checked

Record = dict[str, Any]

KEY = ("image", "reviewer", "verdict", "reason", "note", "suggested_label", "reviewed_at")
SPOKEN = ("verdict", "reason", "note", "suggested_label")


@dataclass(frozen=True)
class MergeReport:
    """What became of each row of an imported file.

    Attributes:
        added: new verdicts: `image verdict reviewer reviewed_at`, and `counts`: False where a newer one stands.
        unchanged: verdicts that the journal held already.
        conflicts: reviewers who disagree on an image of `added`: `image verdict reviewer reviewed_at` of the newest
            verdict, which counts, and `against against_reviewer against_reviewed_at` of the other.
        unknown: verdicts on images that the run does not hold; not taken in.
        refused: rows that cannot be used: `row` (as a spreadsheet numbers them), `image`, `why`.
        blank: how many rows hold no verdict, reason, note or suggested label.
    """

    added: tuple[Record, ...]
    unchanged: tuple[Record, ...]
    conflicts: tuple[Record, ...]
    unknown: tuple[Record, ...]
    refused: tuple[Record, ...]
    blank: int = 0


def merge(journal: Journal, frame: pd.DataFrame, known_images: Collection[str]) -> MergeReport:
    """Take the verdicts of a file (`read_csv`) into the journal, as one action, with the moments that the file gives.

    The newest verdict of an image counts, whoever gave it; older ones join its history. A row without a reason, note or
    label blanks none that its reviewer gave before: see `Earlier.completed`. Raises ReviewError where the
    journal cannot be used.
    """
    known, standing = set(known_images), journal.standing()
    verdicts, earlier = _KnownVerdicts(standing), Earlier(Review(**cells) for cells in _rows(standing))
    new: list[Review] = []
    unchanged: list[Record] = []
    unknown: list[Record] = []
    refused: list[Record] = list(frame.attrs.get("refused", ()))
    blank = 0
    for row, cells in zip(frame.index, _rows(frame), strict=True):
        if not any(_word(cells, name).strip() for name in SPOKEN):
            blank += 1
            continue
        try:
            review = earlier.completed(_review(cells, known))
        except ReviewError as error:
            refused.append({"row": row, "image": _word(cells, "image"), "why": str(error)})
            continue
        if review.image not in known:
            unknown.append(_summary(review))
        elif verdicts.take(review):
            earlier.add(review)
            new.append(review)
        else:
            unchanged.append(_summary(review))
    if new:
        journal.add(new, imported=True)
    added, conflicts = _outcome(journal.standing(), new)
    return MergeReport(added, tuple(unchanged), conflicts, tuple(unknown), tuple(refused), blank)


class _KnownVerdicts:
    """The verdicts that the journal holds or is about to."""

    def __init__(self, standing: pd.DataFrame) -> None:
        self._all: set[tuple[str, ...]] = set()
        self._newest: dict[tuple[str, str], tuple[str, ...]] = {}
        for words in zip(*(standing[name].astype(object) for name in KEY), strict=True):
            self._note(words)

    def take(self, review: Review) -> bool:
        """Whether the verdict is new. One without a moment is old if it says what its reviewer said last."""
        words = tuple(getattr(review, name) for name in KEY)
        last = self._newest.get((review.image, review.reviewer), ())
        if words in self._all or (not review.reviewed_at and last[:-1] == words[:-1]):
            return False
        self._note(words)
        return True

    def _note(self, words: tuple[str, ...]) -> None:
        self._all.add(words)
        self._newest[words[0], words[1]] = words


def _review(cells: Record, known: set[str]) -> Review:
    """The verdict of a row. Raises ReviewError where there is none that can be stored."""
    image, verdict = _word(cells, "image"), _word(cells, "verdict").strip().lower()
    if not verdict:
        raise ReviewError("A reason, note or label stands without a verdict. Write flag, keep or unsure beside it.")
    return checked(
        Review(
            image if image in known else image.strip(),
            verdict,
            _word(cells, "reviewer"),
            _word(cells, "reason"),
            _word(cells, "note"),
            _word(cells, "suggested_label"),
            cells.get("attention_threshold"),
            cells.get("reliance_threshold"),
            _word(cells, "map") or Review.map,
            _word(cells, "reviewed_at").strip(),
            false_rate=cells.get("false_rate"),
        )
    )


def _rows(frame: pd.DataFrame) -> Iterator[Record]:
    names = [name for name in REVIEW_COLUMNS if name in frame]
    for values in zip(*(frame[name].astype(object) for name in names), strict=True):
        yield dict(zip(names, values, strict=True))


def _word(cells: Record, name: str) -> str:
    value = cells.get(name)
    return value if isinstance(value, str) else ""


def _summary(review: Review) -> Record:
    return {name: getattr(review, name) for name in ("image", "verdict", "reviewer", "reviewed_at")}


def _outcome(standing: pd.DataFrame, new: Sequence[Review]) -> tuple[tuple[Record, ...], tuple[Record, ...]]:
    """What was added, each with whether it counts, and where reviewers now disagree."""
    records: dict[str, dict[str, Record]] = {review.image: {} for review in new}
    for record in _rows(standing[standing["image"].isin(list(records))]):
        by_reviewer = records[record["image"]]
        # Taken out first, so that the newest verdict of the image stands last.
        by_reviewer.pop(record["reviewer"], None)
        by_reviewer[record["reviewer"]] = record
    newest = {image: list(by_reviewer.values())[-1] for image, by_reviewer in records.items()}
    conflicts = [
        _conflict(newest[image], other)
        for image, by_reviewer in records.items()
        for other in by_reviewer.values()
        if other["verdict"] != newest[image]["verdict"]
    ]
    added = [{**_summary(review), "counts": _is(newest[review.image], review)} for review in new]
    return tuple(added), tuple(conflicts)


def _is(record: Record, review: Review) -> bool:
    return all(record[name] == getattr(review, name) for name in KEY if name != "reviewed_at" or review.reviewed_at)


def _conflict(newest: Record, other: Record) -> Record:
    counts = {name: newest[name] for name in ("image", "verdict", "reviewer", "reviewed_at")}
    against = {"against": other["verdict"], "against_reviewer": other["reviewer"]}
    return {**counts, **against, "against_reviewed_at": other["reviewed_at"]}
