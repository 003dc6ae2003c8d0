"""How much of what a network decides by has a place in its maps."""

from dataclasses import dataclass

import numpy as np

from whalecam.explain.placement import median_share, refusal
from whalecam.store.parts import read_part
from whalecam.store.run import Run
from whalecam.store.table import unpack_maps
from whalecam.text import percent

IMAGES = 256
"""Of the audit's first part, of which the share is taken."""
ALL = 0.95
"""Median share from which on nothing is missing: biases alone take as much."""
LEAST = 0.5
"""Median share below which the maps alone tell too little."""


@dataclass(frozen=True)
class Placement:
    """The placed share of an audit: its median and, in `sentence`, what it means. `images`: of how many."""

    share: float
    images: int

    @property
    def is_partial(self) -> bool:
        """Whether something that tells classes apart has no place in the maps: it is said then."""
        return self.share < ALL

    @property
    def sentence(self) -> str:
        text = f"The maps account for {percent(self.share)} of the differences between the classes' logits (median of "
        text += f"{self.images:,} images); the rest belongs to no position."
        if self.share >= LEAST:
            return text
        return text + " Most of what its predictions rest on is on no map: let the background test decide."


def placement_of(run: Run) -> Placement | None:
    """The placed share of a run's audit; None without maps."""
    parts = run.parts()
    if not parts:
        return None
    names = ["maps", "map_height", "map_width", "logits"]
    rows = read_part(parts[0], names).slice(0, IMAGES).to_pylist()
    median = median_share(
        (maps, np.asarray(row["logits"]))
        for row in rows
        if (maps := unpack_maps(row["maps"], row["map_height"], row["map_width"])) is not None
    )
    return None if median is None else Placement(*median)


def refusal_of(run: Run) -> str:
    """Why the last audit drew none of the maps that its network has, and what draws others; "" where it did."""
    share = run.metrics().get("refused_maps")
    return "" if share is None else refusal(share)
