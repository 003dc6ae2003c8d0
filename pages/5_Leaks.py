"""Where the evidence lies on water: scores, thresholds, and the verdicts people sign."""

import streamlit as st

from whalecam.ui import bulk, charts, filters, leaks, parts, reliance, session, trust
from whalecam.ui.canvas import overlay_controls
from whalecam.ui.frame import page, threshold_sliders
from whalecam.ui.opening import figures_first

with page("Leaks") as run:
    threshold_sliders()
    session.up_to_date(run)
    table = session.table_of(run)
    overlay_controls()
    leaks.summary(run)
    reliance.note_uncontrolled(table.overview())
    figures_first()
    scores = table.scores()
    left, right = st.columns(2, gap="medium")
    with left:
        st.plotly_chart(
            charts.histogram(scores, "excess", session.thresholds().excess),
            key="excess_bins",
            alt="Histogram of excess",
        )
    with right:
        leaks.lasso(scores)
    leaks.species_table(table)
    reliance.class_table(table)
    trust.calibration_and_agreement(run, table)
    view = filters.filter_bar(table, "leaks", run)
    bulk.offer(run, "shown by this filter", lambda: table.images(view.filters), "leaks")
    parts.reviewing_gallery(run, view, "leaks", leaks.show_me)
    parts.news(run)
