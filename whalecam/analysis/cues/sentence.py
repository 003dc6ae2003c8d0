"""A cue in words, the same on pages, in reports and on the command line."""

from collections.abc import Mapping

from whalecam.analysis.cues.findings import PATCH, CueFinding
from whalecam.text import number, short
from whalecam.words import Words

TITLES: Mapping[str, str] = {
    "sharpness": "sharpness",
    "jpeg_quality": "JPEG quality",
    "exposure": "exposure",
    "white_balance": "white balance",
    "scale": "scale of the {subject}",
    "framing": "place of the {subject} in the image",
    "border": "border",
}
"""Property → its name; one of another package is called as it is registered."""


def cue_title(finding: CueFinding, words: Words) -> str:
    """A cue by name, such as `a mark, lower right` or `JPEG quality`."""
    if finding.cue != PATCH:
        return TITLES.get(finding.cue, finding.cue.replace("_", " ")).format(subject=words.subject)
    return f"a mark, {finding.place}" if finding.place else "a mark at no fixed place"


def cue_sentence(finding: CueFinding, words: Words) -> str:
    """What was tested, on how many images, what it costs, and what the placebo costs."""
    p_value = f"p\u00a0{short(finding.p_value, 2)}"
    if finding.cue == PATCH:
        where = f" ({finding.place})" if finding.place else ", at no fixed place"
        return (
            f"{finding.group:,} of {finding.tested:,} images predicted {finding.predicted} have their strongest "
            f"evidence beside the {words.subject} in one kind of patch{where}; erasing it costs "
            f"{number(finding.drop)} of probability (placebo {number(finding.placebo)}; {p_value}). "
            f"{len(finding.images):,} rely on it."
        )
    if finding.is_loan:
        return (
            f"{len(finding.images):,} of {finding.tested:,} images predicted {finding.predicted} rely on the "
            f"{cue_title(finding, words)}: images of other labels that take theirs gain {number(finding.drop)} of "
            f"probability for {finding.predicted} ({number(finding.cost)} on average over all tested images; placebo "
            f"{number(finding.placebo)}; {p_value})."
        )
    return (
        f"{len(finding.images):,} of {finding.tested:,} images predicted {finding.predicted} rely on the "
        f"{cue_title(finding, words)}: with that of images of other labels they lose {number(finding.drop)} of "
        f"probability, all tested ones {number(finding.cost)} (placebo {number(finding.placebo)}; {p_value})."
    )
