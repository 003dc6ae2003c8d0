"""Verdicts of people: what one is (`review`), where they lie (`journal`, `schema`), how to get there (`database`); and
the findings that they set aside (`dismissals`) and the pictures that they put off (`skips`)."""

from whalecam.reviews.dismissals import Dismissal, Dismissals
from whalecam.reviews.journal import COLUMNS, Journal
from whalecam.reviews.review import Review, checked
from whalecam.reviews.skips import Skips

__all__ = ["COLUMNS", "Dismissal", "Dismissals", "Journal", "Review", "Skips", "checked"]
