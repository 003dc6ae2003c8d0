"""Signing, undoing and redoing without asking Streamlit anything in between."""

from dataclasses import dataclass, replace

from whalecam.config import WRONG_MASK, Thresholds
from whalecam.reviews import Journal, Review


@dataclass(frozen=True)
class Signer:
    """What a verdict needs beside picture and word, read from the session before an event is taken.

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

    def sign(self, images: tuple[str, ...], verdict: str) -> None:
        """Write one verdict for all `images` as one action. Raises ReviewError without a reviewer's name."""
        self.journal.add(
            [
                Review(
                    image,
                    verdict,
                    self.reviewer,
                    reason=self.reason,
                    note=self.note,
                    suggested_label=self.suggested_label,
                    excess_threshold=self.level.excess,
                    needs_threshold=self.level.needs,
                    blind=image in self.controls,
                )
                for image in images
            ]
        )

    def reject_mask(self, images: tuple[str, ...]) -> None:
        """Sign `unsure` for the reason that the mask is wrong, which takes the pictures out of all scores."""
        replace(self, reason=WRONG_MASK).sign(images, "unsure")

    def undo(self) -> list[str]:
        """Take the reviewer's last action back; return the images it touched."""
        return self.journal.undo(self.reviewer)

    def redo(self) -> list[str]:
        """Restore what the reviewer's last undo took back, unless a verdict came since; return its images."""
        return self.journal.redo(self.reviewer)
