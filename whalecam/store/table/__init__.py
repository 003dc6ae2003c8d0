"""Questions to the table of a run: which rows (`filters`), what they say (`rows`), how sure networks were (`odds`),
what they saw, as vectors (`embeddings`), what they said on exchanged backgrounds (`exchanges`), and what a reviewer is
shown next (`queue`)."""

from whalecam.store.table.embeddings import aligned, embeddings
from whalecam.store.table.facets import Facets, Spread
from whalecam.store.table.filters import ORDERS, REVIEW_STATES, SCORES, Filters, Span
from whalecam.store.table.out_of_fold_probabilities import unseen_odds
from whalecam.store.table.queue import Queue, pace, with_controls
from whalecam.store.table.rows import Table
from whalecam.store.table.stats import Overlay, unpack_maps, wilson
from whalecam.store.table.store import NO_REVIEWS, Store
from whalecam.store.table.typed_rows import ImageRow, LeakCounts, ListedRow, MapRow, Totals

__all__ = [
    "NO_REVIEWS",
    "ORDERS",
    "REVIEW_STATES",
    "SCORES",
    "Facets",
    "Filters",
    "ImageRow",
    "LeakCounts",
    "ListedRow",
    "MapRow",
    "Overlay",
    "Queue",
    "Span",
    "Spread",
    "Store",
    "Table",
    "Totals",
    "aligned",
    "embeddings",
    "pace",
    "unpack_maps",
    "unseen_odds",
    "wilson",
    "with_controls",
]
