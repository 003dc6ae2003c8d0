"""People's verdicts: what one is (`review`), where they are kept (`journal`), how that is reached (`database`)."""

from whalecam.reviews.journal import COLUMNS, Journal
from whalecam.reviews.review import Review, checked

__all__ = ["COLUMNS", "Journal", "Review", "checked"]
