"""One person's verdict on one image, and what makes it fit to be stored."""

from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta

import numpy as np

from whalecam.config import REVIEW_VERDICTS
from whalecam.errors import ReviewError

CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Review:
    """One person's verdict on one image.

    Attributes:
        image: name of the image, as in the CSV.
        verdict: `flag`, `keep` or `unsure`.
        reviewer: who signs; never blank.
        reason: why, in a few words.
        note: anything else.
        suggested_label: what the label should be, in the reviewer's opinion; the source is never overwritten.
        attention_threshold: the threshold of `attention_score` at that moment; None where there was none.
        reliance_threshold: the same for `reliance`.
        false_rate: the same for the rate of false ones among the listed images, in [0, 1].
        map: the contrast that was looked at.
        reviewed_at: ISO 8601; "" means now, which the journal fills in.
        blind: whether the image was a control: not suspect by its scores, mixed in with these hidden.
    """

    image: str
    verdict: str
    reviewer: str
    reason: str = ""
    note: str = ""
    suggested_label: str = ""
    attention_threshold: float | None = None
    reliance_threshold: float | None = None
    map: str = "relative"
    reviewed_at: str = ""
    blind: bool = False
    false_rate: float | None = None


TEXTS = tuple(field.name for field in fields(Review) if field.type is str)


def checked(review: Review) -> Review:
    """The review as it is stored: reviewer trimmed, moment in UTC to the second, NaN thresholds as None.

    Raises ReviewError for an unknown verdict, a blank image or reviewer, text that not every database can hold (NUL,
    half a surrogate pair), and a moment that is no date or lies in the future, where it would beat every later verdict.
    """
    if review.verdict not in REVIEW_VERDICTS:
        raise ReviewError(f"'{review.verdict}' is not a verdict. There are: {', '.join(REVIEW_VERDICTS)}.")
    if not review.image:
        raise ReviewError("A verdict needs the name of an image, and this one has none.")
    for name in TEXTS:
        storable(name, getattr(review, name))
    return replace(
        review,
        reviewer=signed(review.reviewer),
        reviewed_at=_moment(review.reviewed_at) if review.reviewed_at else "",
        attention_threshold=_number(review.attention_threshold),
        reliance_threshold=_number(review.reliance_threshold),
        false_rate=_number(review.false_rate),
    )


def signed(name: str) -> str:
    """A reviewer's name as it is stored. Raises ReviewError where it is blank or not `storable`."""
    if not name.strip():
        raise ReviewError("A verdict must be signed. Give the reviewer's name.")
    return storable("reviewer", name.strip())


def storable(name: str, value: str) -> str:
    """The text itself. Raises ReviewError, which speaks of it as `name`, where not every database can hold it."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ReviewError(f"The {name} contains half a character (a lone surrogate). Write it again.") from error
    if "\0" in value:
        raise ReviewError(f"The {name} contains a NUL character. Remove it.")
    return value


def _moment(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text.strip())
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ReviewError(f"reviewed_at is '{text}', not a date as in 2026-03-01T09:30:00+00:00.") from error
    if moment > datetime.now(UTC) + CLOCK_SKEW:
        raise ReviewError(f"reviewed_at is '{text}', which lies in the future (without an offset it is read as UTC).")
    return moment.isoformat(timespec="seconds")


def _number(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else float(value)
