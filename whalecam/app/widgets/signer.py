"""Signing, undoing and redoing without asking Streamlit anything in between, and what came of it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from uuid import uuid4

from whalecam.app.components.gallery import Outcome
from whalecam.config import WRONG_MASK, Thresholds
from whalecam.store.reviews import Added, Journal, Review

DRAWN_S = 5.0
"""How long the cards may take to show a verdict of this session, before the whole page is drawn anew."""
REFUSAL_S = 8.0
"""How long a refusal stays on the page, whatever is drawn anew meanwhile, unless a verdict is written before."""


@dataclass
class Results:
    """What came of a session's verdicts, until its pages have shown it: plain memory, which no run is stopped at.

    Attributes:
        messages: what to tell, oldest first.
        signed: whether reason, note and label of the review bar are to be emptied.
        emptied: how often they have been.
        reason: for the next verdict, as a key gave it.
        outcomes: gallery → what its browser is to do.
        entries: the address of the journal that the page shows, and how many entries of it.
        waiting: entries that this session wrote since, and that the page is about to show.
    """

    messages: list[str] = field(default_factory=list)
    signed: bool = False
    emptied: int = 0
    reason: str = ""
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    entries: tuple[str, int] = ("", 0)
    waiting: int = 0
    _written: float = 0.0
    _refusal: tuple[str, float] = ("", 0.0)

    def written(self, message: str, entries: int) -> None:
        """Note an action of this session and the entries that it wrote."""
        self.messages.append(message)
        self.waiting += entries
        self._written = time.monotonic()
        self._refusal = ("", 0.0)

    def drawn(self, entries: int) -> None:
        """Note that the page shows `entries` of the waiting ones."""
        self.entries = (self.entries[0], self.entries[1] + entries)
        self.waiting -= entries

    def is_behind(self, url: str, entries: int) -> bool:
        """Whether a journal that holds `entries` has more than the page shows or, a moment later, will have shown."""
        late = self.waiting > 0 and time.monotonic() - self._written > DRAWN_S
        return late or (self.entries[0], self.entries[1] + self.waiting) != (url, entries)

    def refuse(self, why: str) -> None:
        self._refusal = (why, time.monotonic())

    def refusal(self) -> str:
        """Why the last key did nothing; "" where it did or was pressed long ago."""
        why, at = self._refusal
        return why if time.monotonic() - at < REFUSAL_S else ""

    def answer(self, gallery: str, state: str, images: Sequence[str]) -> None:
        self.outcomes[gallery] = {"id": uuid4().hex, "state": state, "images": list(images)}


@dataclass(frozen=True)
class Signer:
    """What a verdict needs beside image and word, read from the session before an event is taken.

    Streamlit may stop a run wherever it asks the session state, when the next click is waiting.
    A verdict taken from the queue and not yet written would be lost there; so nothing between the two may ask.
    """

    journal: Journal
    reviewer: str
    level: Thresholds
    reason: str = ""
    note: str = ""
    suggested_label: str = ""
    controls: frozenset[str] = frozenset()
    results: Results = field(default_factory=Results)

    def sign(self, images: Sequence[str], verdict: str) -> Added:
        """Write one verdict for all `images` as one action: `flag`, `keep`, `unsure`, or `reject` for their masks.

        A rejected mask is `unsure` for the reason that the mask is wrong, which takes the image out of all scores.
        Raises ReviewError without a reviewer's name.
        """
        if verdict == "reject":
            return replace(self, reason=WRONG_MASK).sign(images, "unsure")
        return self.journal.add(
            [
                Review(
                    image,
                    verdict,
                    self.reviewer,
                    reason=self.reason,
                    note=self.note,
                    suggested_label=self.suggested_label,
                    blind=image in self.controls,
                    **self.level.noted(),
                )
                for image in images
            ]
        )

    def undo(self) -> list[str]:
        """Take the reviewer's last action back; return the images it touched."""
        return self.journal.undo(self.reviewer)

    def redo(self) -> list[str]:
        """Restore what the reviewer's last undo took back, unless a verdict came since; return its images."""
        return self.journal.redo(self.reviewer)
