"""Questions to the table of a run: which rows (`filters`), what they say (`rows`), how sure networks were (`odds`),
and what they saw, as vectors (`embeddings`)."""

from whalecam.table.cells import Overlay, unpack_maps, wilson
from whalecam.table.embeddings import aligned, embeddings
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
    "aligned",
    "embeddings",
    "unpack_maps",
    "unseen_odds",
    "wilson",
]
