"""What an audit need not find out again, because another one of the same images did."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from whalecam.explain.background_test import Donor
from whalecam.explain.explainer import Agreement
from whalecam.explain.masks import Joined
from whalecam.store.parts import names_in, read_part
from whalecam.store.run import Run


@dataclass(frozen=True)
class Known:
    """Each empty where it is to be found out.

    Attributes:
        joined: the masks and boxes, joined with the data set.
        donors: the images that lend their background.
        agreements: by image the bits of a mask, and how far the mask network agrees with it.
    """

    joined: Joined | None = None
    donors: list[Donor] | None = None
    agreements: Mapping[str, Agreement] = field(default_factory=dict)


NOTHING = Known()


def agreements_of(run: Run) -> dict[str, Agreement]:
    """By image, what an audited run has measured of its mask."""
    columns = ["image", "mask_bits", "mask_agreement"]
    parts = [read_part(part, columns).to_pylist() for part in run.parts() if names_in(part).issuperset(columns)]
    rows = [row for part in parts for row in part if row["mask_agreement"] is not None]
    return {row["image"]: (row["mask_bits"], row["mask_agreement"]) for row in rows}
