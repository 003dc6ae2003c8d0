"""Verdicts of people: what one is (`review`), where they lie (`journal`, `schema`), how to get there (`database`)."""

from whalecam.reviews.journal import COLUMNS, Journal
from whalecam.reviews.review import Review, checked

__all__ = ["COLUMNS", "Journal", "Review", "checked"]
