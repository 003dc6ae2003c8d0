"""One verdict for images of a run, signed into its journal."""

from collections.abc import Sequence
from dataclasses import replace

from whalecam.config import Thresholds
from whalecam.errors import ReviewError
from whalecam.store.reviews.journal import Added, Journal
from whalecam.store.reviews.review import Review
from whalecam.store.run import Run

NAMED = 5
"""How many unknown images a message names."""


def sign(run: Run, images: Sequence[str], review: Review, thresholds: Thresholds) -> Added:
    """Sign the same verdict for each of the images, with the thresholds beside it.

    Args:
        review: the verdict of one image; its own image and thresholds are not used.

    Returns: which images were signed, and which stand so already. Raises ReviewError for images without a row, without
    a reviewer, and for what is no verdict.
    """
    if unknown := sorted(set(images) - run.audited()):
        raise ReviewError(
            f"{run.name} has no row for {', '.join(unknown[:NAMED])}. Use names as in the CSV, after an audit."
        )
    return Journal.of(run).add([replace(review, image=image, **thresholds.noted()) for image in images])
