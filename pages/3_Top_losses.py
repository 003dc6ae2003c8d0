"""Pictures by loss, with or without their heat."""

import streamlit as st

from whalecam.ui import bulk, filters, parts, session
from whalecam.ui.canvas import overlay_controls
from whalecam.ui.frame import page, threshold_sliders

with page("Top losses") as run:
    threshold_sliders()
    session.up_to_date(run)
    table = session.table_of(run)
    overlay_controls()
    view = filters.filter_bar(
        table, "losses", run, ("loss", "least confident", "confidence", "evidence", "name", "random")
    )
    bulk.offer(run, "shown by this filter", lambda: table.images(view.filters), "losses")
    parts.reviewing_gallery(run, view, "losses")
    parts.news(run)
    st.caption(
        "Loss is the cross-entropy of the label, in nats: 0.7 is a coin toss between two classes. A high loss on a "
        "picture that looks fine often means a wrong label; select it and suggest the right one."
    )
