"""Verdicts of people: what one is (`review`), where they lie (`journal`, `schema`), how to get there (`database`), what
earlier ones mean for the next (`earlier`), how one is given to several images (`signing`), what is said of an action
(`messages`); and the findings that people set aside (`dismissals`), the images that they put off (`skips`)
and the masks that they drew (`corrections`)."""

from whalecam.store.reviews.corrections import Correction, Corrections
from whalecam.store.reviews.database import journal_caution
from whalecam.store.reviews.dismissals import Dismissal, Dismissals
from whalecam.store.reviews.earlier import Earlier
from whalecam.store.reviews.journal import COLUMNS, Added, Journal
from whalecam.store.reviews.review import Review, checked
from whalecam.store.reviews.signing import sign
from whalecam.store.reviews.skips import Skips

__all__ = [
    "COLUMNS",
    "Added",
    "Correction",
    "Corrections",
    "Dismissal",
    "Dismissals",
    "Earlier",
    "Journal",
    "Review",
    "Skips",
    "checked",
    "journal_caution",
    "sign",
]
