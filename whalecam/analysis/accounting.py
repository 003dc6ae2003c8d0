"""Where every row of a table went: one line that joins the numbers of the pages."""

import pandas as pd

from whalecam.store.run import RowCounts
from whalecam.store.table import Totals


def rows_sentence(counts: RowCounts | None, facts: Totals, reasons: pd.DataFrame) -> str:
    """A sum, as in `361 rows = 358 audited + 1 missing file + 1 truncated + 1 repeated`.

    Args:
        counts: rows and image names of the table that was audited; None for an audit that did not note them.
        facts: `Table.overview()`.
        reasons: `Table.unassessed()`.
    """
    readable = facts["images"] - facts["unreadable"]
    unread = reasons[~reasons["is_readable"].astype(bool)]
    parts = [(readable, "audited"), *zip(unread["images"].tolist(), unread["reason"].tolist(), strict=True)]
    total, noun = facts["images"], "images"
    if counts and counts["images"] >= facts["images"]:
        parts += [(counts["rows"] - counts["images"], "of a repeated image")]
        parts += [(counts["images"] - facts["images"], "not audited yet")]
        total, noun = counts["rows"], "rows"
    terms = " + ".join(f"{images:,} {words}" for images, words in parts if images)
    return f"{total:,} {noun} = {terms or 'none audited'}"
