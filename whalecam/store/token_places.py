"""What an audit measured of the tokens of a run's network: how they moved where backgrounds were exchanged."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from whalecam.store.run import Run

METRIC = "places"
"""Its key in the run's metrics."""


@dataclass(frozen=True, kw_only=True)
class Places:
    """How tokens moved where the background of some images was exchanged.

    Attributes:
        correlation: between each token's change and how much background its cell shows, in [-1, 1]; the median.
        on_animal, on_background: how far tokens of either kind move, as a share of their norm; medians, ≥ 0.
        images: how many were measured.
    """

    correlation: float
    on_animal: float
    on_background: float
    images: int


def save_places(run: Run, places: Places) -> None:
    """Write it beside the run's other metrics."""
    run.save_metrics({**run.metrics(), METRIC: asdict(places)})


def places_of(run: Run) -> Places | None:
    """What the last audit wrote; None where it measured nothing."""
    known = run.metrics().get(METRIC)
    return Places(**known) if isinstance(known, Mapping) else None
