"""What is to be said of maps of tokens: how much bookkeeping they may hold, and whether tokens have places."""

from dataclasses import dataclass

from whalecam.config import HIGH_NORM_LIMIT
from whalecam.store.run import Run
from whalecam.store.table import Table
from whalecam.store.token_places import Places, places_of
from whalecam.text import number, percent

ENOUGH = 0.5
"""Median correlation from which on tokens stand for their places."""


@dataclass(frozen=True, kw_only=True)
class TokenCaution:
    """What an audit measured of a network's tokens.

    Attributes:
        images: with a map whose tokens were measured.
        flagged: of them, those with more than HIGH_NORM_LIMIT of their evidence in tokens of high norm.
        places: what the exchange of backgrounds did to tokens; None where it was not measured.
        subject: what the images show, as the run calls it.
    """

    images: int
    flagged: int
    places: Places | None
    subject: str

    @property
    def sentences(self) -> tuple[str, ...]:
        """For people: one on tokens of high norm, one on their places."""
        norms = (
            f"{self.flagged:,} of {self.images:,} maps have more than {percent(HIGH_NORM_LIMIT)} of their evidence in "
            "tokens of high norm on the background, where transformers keep what they know of the whole image (Darcet "
            "et al., ICLR 2024): there, a bright patch is no evidence at that patch."
        )
        return (norms, places_sentence(self.places, self.subject)) if self.places else (norms,)


def token_caution(run: Run, table: Table) -> TokenCaution | None:
    """What is to be said of the tokens of a run's network; None for a network without tokens, and for older audits."""
    images, flagged = table.high_norm(HIGH_NORM_LIMIT)
    if not images:
        return None
    return TokenCaution(images=images, flagged=flagged, places=places_of(run), subject=run.words.subject)


def places_sentence(places: Places, subject: str) -> str:
    """Whether the tokens stand for their places, with the numbers."""
    text = (
        f"Where the background was exchanged ({places.images:,} images), tokens on the background moved by "
        f"{percent(places.on_background)} of their norm and those on the {subject} by {percent(places.on_animal)} "
        f"(correlation of a token's change with the background it shows: {number(places.correlation)})."
    )
    if places.correlation >= ENOUGH:
        return f"{text} So the tokens stand for their places."
    return f"{text} So the tokens hardly stand for their places: let the background test decide, not the maps."


def row_sentence(share: float | None) -> str:
    """What is to be said beside one image's map: "" below HIGH_NORM_LIMIT and where nothing was measured."""
    if share is None or share <= HIGH_NORM_LIMIT:
        return ""
    return (
        f"{percent(share)} of the evidence lies in tokens of high norm on the background, which may keep what the "
        "network knows of the whole image: no evidence at that place"
    )
