"""Questions to the table of a run: which rows (`filters`), what they say (`rows`), how sure networks were (`odds`)."""

from whalecam.table.cells import Overlay, unpack_maps, wilson
from whalecam.table.filters import ORDERS, REVIEW_STATES, Filters
from whalecam.table.odds import unseen_odds
from whalecam.table.rows import Table
from whalecam.table.store import NO_REVIEWS, Store

__all__ = [
    "NO_REVIEWS",
    "ORDERS",
    "REVIEW_STATES",
    "Filters",
    "Overlay",
    "Store",
    "Table",
    "unpack_maps",
    "unseen_odds",
    "wilson",
]
