"""Leave flagged images out."""

from whalecam.remedies.kinds import Case, Mended


def drop(case: Case) -> Mended | None:
    """None for an image whose latest verdict is `flag`."""
    return None if case.review.get("verdict") == "flag" else Mended(None, case.label)
