"""The Leaks page's own pieces: the summary, the lasso, the species table."""

import pandas as pd
import streamlit as st

from whalecam.config import SUSPECT_VERDICTS
from whalecam.table import Filters, Table
from whalecam.ui import charts, session


def summary(table: Table) -> None:
    """How many suspects at the present threshold, and how far the review has come."""
    facts = table.overview()
    suspects = table.count(Filters(verdicts=SUSPECT_VERDICTS))
    done = suspects - table.count(Filters(verdicts=SUSPECT_VERDICTS, review="unreviewed"))
    with st.container(horizontal=True):
        st.metric("Suspects", f"{suspects:,}", help=f"Excess of {session.thresholds().excess:g} or more")
        st.metric("Assessable", f"{facts['assessable']:,} of {facts['images']:,}")
        st.metric("Flagged", f"{facts['flagged']:,}")
        st.metric("Suspects reviewed", f"{done:,} of {suspects:,}")
    st.progress(done / suspects if suspects else 0.0)
    st.caption(
        "Heat on water is a suspicion, not a proof: a heat map alone cannot tell a leaking model from a sound one. "
        "Look at each suspect, then sign a verdict."
    )


def lasso(scores: pd.DataFrame) -> tuple[str, ...] | None:
    """Excess against loss; a lasso narrows the gallery. None while nothing is selected."""
    event = st.plotly_chart(
        charts.scatter(scores, "excess", "loss", {"excess": "excess (looks at water)", "loss": "loss (nats)"}),
        key="lasso",
        on_select="rerun",
        selection_mode=("lasso", "box", "points"),
        alt="Scatter of excess and loss",
    )
    points = event["selection"]["points"]
    if points:
        st.info(f"The gallery shows the {len(points)} pictures of your selection. Double-click the chart to end it.")
    return tuple(str(point["customdata"][0]) for point in points) or None


def species_table(table: Table) -> None:
    """Per species: accuracy, suspects with interval, flags."""
    st.dataframe(
        table.per_species(),
        hide_index=True,
        column_config={
            name: st.column_config.NumberColumn(format="percent") for name in ("accuracy", "share", "low", "high")
        }
        | {"median_excess": st.column_config.NumberColumn("median excess", format="%.2f")},
    )
