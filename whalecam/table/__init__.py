"""Questions to the table of a run: which rows (`filters`), and what they say (`rows`)."""

from whalecam.table.cells import Overlay, unpack_maps, wilson
from whalecam.table.filters import ORDERS, REVIEW_STATES, Filters
from whalecam.table.rows import NO_REVIEWS, Table

__all__ = ["NO_REVIEWS", "ORDERS", "REVIEW_STATES", "Filters", "Overlay", "Table", "unpack_maps", "wilson"]
