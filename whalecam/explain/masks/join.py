"""How masks and boxes join with the images of a data set: what is used, what is not, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from whalecam.store.join_record import JoinRecord

NAMED = 3
"""How many of the files or rows that were not used are named."""


@dataclass(frozen=True)
class Join:
    """What became of one source of masks.

    Attributes:
        kind: `masks` or `boxes`.
        images: usable images of the data set; `matched` of them have a mask or a box that is used.
        given: files of the folder, or rows of the box files; `unused` of them belong to no image, or cannot be used.
        first_unused: names of the first of those.
        notes: why something that has the name of an image is not used, and how names differed; a sentence each.
        read_as: format, units, orientation and values as they were read; a sentence each.
    """

    kind: str
    images: int
    matched: int
    given: int
    unused: int
    first_unused: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    read_as: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """As in `matched 3 of 4 images, 1 of 4 files were not used: b_mask.png.`"""
        unit = "files" if self.kind == "masks" else "rows"
        text = f"matched {self.matched:,} of {self.images:,} images, "
        text += f"{self.unused:,} of {self.given:,} {unit} were not used"
        if self.first_unused:
            text += f": {', '.join(self.first_unused)}{', …' if self.unused > len(self.first_unused) else ''}"
        return " ".join((f"{text}.", *self.notes, *self.read_as))

    def record(self) -> JoinRecord:
        """The same as JSON can hold it, with the sentence."""
        return {
            "kind": self.kind,
            "images": self.images,
            "matched": self.matched,
            "given": self.given,
            "unused": self.unused,
            "first_unused": list(self.first_unused),
            "notes": list(self.notes),
            "read_as": list(self.read_as),
            "sentence": self.sentence,
        }


def records_of(joins: Sequence[Join]) -> dict[str, JoinRecord]:
    """By kind, as a run stores them."""
    return {join.kind: join.record() for join in joins}


def sentences(record: Mapping[str, JoinRecord]) -> list[str]:
    """Of what a run stores: one line per kind, as in `Masks: matched 4 of 4 images, …`."""
    return [f"{kind.capitalize()}: {join['sentence']}" for kind, join in record.items()]


def first(names: Sequence[str]) -> tuple[str, ...]:
    """The first distinct names, each short enough for a line."""
    return tuple(name if len(name) <= 60 else f"…{name[-59:]}" for name in list(dict.fromkeys(names))[:NAMED])
