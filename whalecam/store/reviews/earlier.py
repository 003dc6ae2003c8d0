"""What the verdicts that stand mean for the next: words that are carried on, and verdicts that say nothing new."""

from bisect import insort
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace

from whalecam.config import WRONG_MASK
from whalecam.store.reviews.review import Review

LAST = "9999"
"""Sorts after every moment: a verdict without one is the newest."""
WORDS = ("verdict", "reason", "note", "suggested_label")


class Earlier:
    """The verdicts that stand on some images, of all reviewers; undone ones are not among them."""

    def __init__(self, standing: Iterable[Review] = ()) -> None:
        """Of `standing`, in the order in which they count: by moment, of two in one second the later entry last."""
        self._of_image: dict[str, list[Review]] = defaultdict(list)
        self._of_reviewer: dict[tuple[str, str], list[Review]] = defaultdict(list)
        for review in standing:
            self.add(review)

    def add(self, review: Review) -> None:
        """Let the next verdicts meet this one too."""
        insort(self._of_image[review.image], review, key=_moment)
        insort(self._of_reviewer[review.image, review.reviewer], review, key=_moment)

    def completed(self, review: Review) -> Review:
        """The review, where it gives no reason, note or suggested label with what its reviewer gave before.

        A rejected mask ends with another verdict: the reason from before the rejection stands again. A suggested label
        ends with a change to `keep`, which leaves the image as it is.
        """
        last = next(self._own_before(review), None)
        if last is None:
            return review
        changed = last.verdict != review.verdict
        reason = self._reason_before(review) if changed and last.reason == WRONG_MASK else last.reason
        label = "" if changed and review.verdict == "keep" else last.suggested_label
        return replace(
            review,
            reason=review.reason or reason,
            note=review.note or last.note,
            suggested_label=review.suggested_label or label,
        )

    def repeats(self, review: Review) -> bool:
        """Whether a `completed` review says what counts already, by the same reviewer.

        Where another reviewer's verdict is the newer one, signing again makes one's own count, which is something new;
        and so is the first verdict on an image as a blind control.
        """
        newest = next(_before(self._of_image[review.image], review), None)
        if newest is None or newest.reviewer != review.reviewer or (review.blind and not newest.blind):
            return False
        return all(getattr(newest, name) == getattr(review, name) for name in WORDS)

    def _reason_before(self, review: Review) -> str:
        """The reviewer's reason before the mask was rejected."""
        own = self._own_before(review)
        return next((earlier.reason for earlier in own if earlier.reason != WRONG_MASK), "")

    def _own_before(self, review: Review) -> Iterator[Review]:
        return _before(self._of_reviewer[review.image, review.reviewer], review)


def _moment(review: Review) -> str:
    return review.reviewed_at or LAST


def _before(line: list[Review], review: Review) -> Iterator[Review]:
    """The verdicts of `line` that a review comes after, newest first."""
    return (earlier for earlier in reversed(line) if _moment(earlier) <= _moment(review))
