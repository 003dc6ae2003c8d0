"""Take the labels that reviewers suggested, and merge those that mean one subject."""

from whalecam.remedies.kinds import Case, Mended


def relabel(case: Case) -> Mended:
    """The label that the latest verdict suggests, unless its reviewer was unsure, else the present one; then merged."""
    accepted = case.review.get("suggested_label") if case.review.get("verdict") != "unsure" else None
    label = str(accepted or case.label)
    return Mended(None, case.merges.get(label, label))
